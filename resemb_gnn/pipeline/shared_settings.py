"""The settings that commands share: data, graph and training, each declared once."""

from dataclasses import dataclass, fields
from typing import Any

from resemb_gnn.data import NEGATIVES, SPLITS
from resemb_gnn.datasets import NAMED, PLACED, DataSource, load_source
from resemb_gnn.pipeline.arms import GRAPHS, MODELS
from resemb_gnn.pipeline.flag import check_settings, flag
from resemb_gnn.training.fit import PRECISIONS


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Where the behaviours come from and how they are split.

    Raises:
        InputError: if a choice is unknown or a number out of range.
    """

    data: str = flag(
        "complete-journey",
        f"data set ({', '.join(NAMED)}), or data set and folder of its files"
        f" ({', '.join(f'{name}:FOLDER' for name in PLACED if name not in ('amazon', 's3rec'))};"
        " amazon:FOLDER/reviews_NAME_5.json.gz, s3rec:FOLDER/NAME.txt), or table (.csv; .tsv, and"
        " .txt where columns are named, with tabs; these also .gz; .parquet, or a folder of"
        " Parquet files), or sequence file (a line: user id, then item ids in time order)",
    )
    user: str | None = flag(None, "table: column of the users' ids")
    item: str | None = flag(None, "table: column of the items' ids")
    time: str | None = flag(None, "table: column of times (numbers or ISO dates)")
    category: str | None = flag(None, "table: column of the items' categories")
    label: str | None = flag(None, "table: column of click labels (0 and 1, or true and false)")
    split: str | None = flag(
        None,
        "test on each user's last behaviour, or on the latest time (default: last;"
        " complete-journey, kuairand: time)",
        SPLITS,
    )
    negatives: str = flag("uniform", "how negatives are drawn (a log without labels)", NEGATIVES)

    def __post_init__(self) -> None:
        check_settings(self)

    def load(self) -> DataSource:
        """Reads the data.

        Raises:
            InputError: if they cannot be used.
        """
        columns = ("user", "item", "time", "category", "label")
        return load_source(self.data, **{name: getattr(self, name) for name in columns})


@dataclass(frozen=True, kw_only=True)
class GraphSettings(DataSettings):
    """How the co-visit graph of the training behaviours is built.

    Raises:
        InputError: if a choice is unknown or a number out of range.
    """

    graph: str = flag(
        "covisit",
        "co-visit graph, or the control: the same with its nodes permuted (and the items' counts)",
        GRAPHS,
    )
    window: int = flag(5, "behaviours that stand at most so many places apart are joined")
    top_k: int | None = flag(
        None, "keep each item's so many heaviest edges (default: all; complete-journey: 32)"
    )


@dataclass(frozen=True, kw_only=True)
class TrainingSettings(GraphSettings):
    """How a model is trained on them.

    Raises:
        InputError: if a choice is unknown or a number out of range.
    """

    folds: int = flag(
        10,
        "groups of users whose training examples see a graph that they had no part in;"
        " 1 for the full graph alone",
    )
    model: str = flag("din", "click model that the embeddings are trained in", MODELS)
    epochs: int = flag(20, "most epochs of a run; validation AUC stops it earlier")
    max_history: int = flag(50, "most recent behaviours of a history that are used")
    use_category: bool = flag(
        True, "use the item's category, if the data have one, as a second feature"
    )
    batch_size: int = flag(1024, "examples a training step")
    lr: float = flag(1e-3, "learning rate of Adam")
    patience: int = flag(2, "epochs without a better validation AUC before a run stops")
    precision: str = flag("float32", "of the network in training", PRECISIONS)
    compile: bool = flag(False, "compile the model for training (takes some seconds a run)")
    device: str = flag("cpu", "cpu, cuda or cuda:N")
    tensorboard: str | None = flag(None, "folder of TensorBoard logs of the training")
    quiet: bool = flag(False, "show no progress")


def without(settings: Any, names: set[str]) -> dict[str, Any]:
    """The settings by name, but for ``names``."""
    return {
        spec.name: getattr(settings, spec.name)
        for spec in fields(settings)
        if spec.name not in names
    }
