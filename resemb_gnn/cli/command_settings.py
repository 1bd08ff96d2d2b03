"""The settings of the commands that use a saved model, and of ``graph``."""

from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from resemb_gnn.errors import InputError, shown
from resemb_gnn.settings import FitSettings, GraphSettings
from resemb_gnn.settings.names import UNKNOWN
from resemb_gnn.settings.setting import Settings, setting

_TRAINING = {spec.name: spec for spec in fields(FitSettings)}


def _as_in_training(name: str) -> Any:
    """A setting that is taken over from the model if it is not given."""
    metadata = dict(_TRAINING[name].metadata)
    metadata["help"] = metadata["help"].partition(" (default")[0] + " (default: as in training)"
    return field(default=None, metadata=metadata)


def _shown(name: str) -> Any:
    """A setting of the graph, rare where a model is trained, that the graph's own help shows."""
    spec = next(spec for spec in fields(GraphSettings) if spec.name == name)
    return field(default=spec.default, metadata=spec.metadata | {"rare": False})


@dataclass(frozen=True, kw_only=True)
class ModelSettings(Settings):
    """A saved model and where to run it.

    Raises:
        InputError: if a choice is unknown or a number out of range.
    """

    model: str = setting(MISSING, "folder of the saved model")
    device: str = setting("cpu", "cpu, cuda or cuda:N")
    quiet: bool = setting(False, "show no progress")


@dataclass(frozen=True, kw_only=True)
class ModelDataSettings(ModelSettings):
    """A saved model and a log, which is read as that of training if nothing else is said."""

    data: str | tuple[str, ...] | None = _as_in_training("data")
    user: str | None = _as_in_training("user")
    item: str | None = _as_in_training("item")
    time: str | None = _as_in_training("time")
    category: str | None = _as_in_training("category")
    label: str | None = _as_in_training("label")
    items: str | None = _as_in_training("items")
    users: str | None = _as_in_training("users")
    context: tuple[str, ...] | None = _as_in_training("context")
    item_features: tuple[str, ...] | None = _as_in_training("item_features")
    user_features: tuple[str, ...] | None = _as_in_training("user_features")
    time_features: tuple[str, ...] | None = _as_in_training("time_features")
    kinds: tuple[str, ...] | None = _as_in_training("kinds")
    list_separator: str | None = _as_in_training("list_separator")
    negatives: str | None = _as_in_training("negatives")


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings(ModelDataSettings):
    """Settings of ``resemb-gnn evaluate``."""

    split: str | None = _as_in_training("split")
    valid_from: str | None = _as_in_training("valid_from")
    test_from: str | None = _as_in_training("test_from")
    split_seed: int | None = _as_in_training("split_seed")
    json: bool = setting(False, "print JSON instead of a table")


@dataclass(frozen=True, kw_only=True)
class UpdateSettings(ModelDataSettings):
    """Settings of ``resemb-gnn update``."""

    data: str | tuple[str, ...] = setting(
        MISSING, "log of the rows since training, as fit's --data"
    )
    epochs: int = setting(1, "most passes over the new rows; 0 for none", lowest=0)
    replay: float | None = setting(
        None,
        "old behaviours of the stored histories that are trained on again, for each new one"
        " (default: one; with labels none)",
        lowest=0,
    )
    lr: float | None = _as_in_training("lr")
    batch_size: int | None = _as_in_training("batch_size")
    patience: int | None = _as_in_training("patience")
    seed: int | None = _as_in_training("seed")
    threads: int | None = setting(None, "threads (default: OMP_NUM_THREADS, or else one)")
    out: str = setting(MISSING, "folder to save the updated model in")
    replace: bool = setting(False, "replace a model that stands in the folder")


@dataclass(frozen=True, kw_only=True)
class HistorySettings(ModelSettings):
    """A saved model and what its users did since."""

    user: str | None = setting(None, "column of the users' ids (default: as in training, or user)")
    item: str | None = setting(None, "column of the items' ids (default: as in training, or item)")
    time: str | None = setting(
        None, "column of times of --history (default: as in training, or time)"
    )
    label: str | None = setting(
        None, "column of click labels, if --history has one (default: as in training)"
    )
    history: str | tuple[str, ...] | None = setting(
        None,
        "log of the behaviours since training, with --user, --item and a time; users that the model"
        " does not know begin with what it holds, or with none",
    )


@dataclass(frozen=True, kw_only=True)
class PredictSettings(HistorySettings):
    """Settings of ``resemb-gnn predict``."""

    data: str | tuple[str, ...] = setting(
        MISSING,
        "table with a user and a candidate item a row: .csv; .tsv or .txt, with tabs; these also"
        " .gz; .parquet; a folder of such files, a pattern in quotes, or several of these",
    )
    time: str | None = setting(
        None,
        "column of times, if --data has one: of --history count the behaviours before it (default:"
        " as in training, or time)",
    )
    items: str | None = setting(
        None, "table with a row an item that the model does not know: its features, as in training"
    )
    users: str | None = setting(None, "likewise of users")
    out: str = setting(MISSING, ".csv or .parquet for the rows of --data and their scores")
    replace: bool = setting(False, "replace the file that --out names, if it is there")
    unknown: str = setting(
        "refuse",
        "users and items that the model does not know: refuse them, leave their score empty (skip),"
        " or score them, users from an empty history and items from their features",
        UNKNOWN,
    )


def named_value(text: str) -> str:
    """``NAME=VALUE``, the value of a context feature.

    Raises:
        InputError: if it is not of this form.
    """
    if not text.partition("=")[0] or "=" not in text:
        raise InputError(f"context_values={shown(text)} is not of the form NAME=VALUE")
    return text


@dataclass(frozen=True, kw_only=True)
class RecommendSettings(HistorySettings):
    """Settings of ``resemb-gnn recommend``."""

    users: str | None = setting(
        None, "table with a column of users' ids (default: all users of the model and --history)"
    )
    candidates: str | None = setting(
        None, "table with a column of items' ids to choose from (default: all items of the model)"
    )
    k: int = setting(20, "items a user")
    include_seen: bool = setting(
        False, "leave in what stands in a user's stored history or in --history"
    )
    retrieve: int | None = setting(
        None,
        "score so many candidates alone, found by a rough score first: many times faster for"
        " thousands of users, and not exact (default: score every item)",
    )
    context_values: tuple[str, ...] | None = setting(
        None,
        "of a model with context features: a value of each, NAME=VALUE, that is to hold for all",
        name_of=named_value,
    )
    out: str = setting(MISSING, ".csv or .parquet for user, rank, item and score")
    replace: bool = setting(False, "replace the file that --out names, if it is there")


@dataclass(frozen=True, kw_only=True)
class SimilarSettings(ModelSettings):
    """Settings of ``resemb-gnn similar``."""

    item_id: str = setting(MISSING, "item whose neighbours are asked for")
    k: int = setting(10, "how many")


@dataclass(frozen=True, kw_only=True)
class ExportSettings(ModelSettings):
    """Settings of ``resemb-gnn export``."""

    out: str = setting(MISSING, "folder to write")
    index: bool = setting(True, "write the nearest-neighbour index (usearch)")
    scorer: bool = setting(True, "write the scorer (scorer.pt2)")
    onnx: bool = setting(True, "write the scorer as ONNX, too")
    candidates: bool = setting(False, "write the scorer for one history and many candidates, too")
    replace: bool = setting(False, "replace what was exported to the folder before")


@dataclass(frozen=True, kw_only=True)
class GraphCommandSettings(GraphSettings):
    """Settings of ``resemb-gnn graph``.

    Raises:
        InputError: if a choice is unknown or a number out of range.
    """

    window: int = _shown("window")
    top_k: int | None = _shown("top_k")
    most: int = setting(10, "most joined items to list")
    out: str | None = setting(None, ".csv or .parquet for the edges: item, other, weight")
    replace: bool = setting(False, "replace the file that --out names, if it is there")
    quiet: bool = setting(False, "show no progress")
