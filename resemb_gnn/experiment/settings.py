"""The settings of a comparison: the one place where a flag has its name, default and meaning."""

from dataclasses import dataclass, field, fields
from typing import Any

from resemb_gnn.data import NEGATIVES, SPLITS
from resemb_gnn.datasets import NAMED, PLACED
from resemb_gnn.errors import InputError
from resemb_gnn.experiment.arms import EMBEDDINGS, GRAPHS, MODELS


def _flag(
    default: Any, text: str, choices: tuple[str, ...] | None = None, lowest: float | None = None
) -> Any:
    return field(default=default, metadata={"help": text, "choices": choices, "lowest": lowest})


@dataclass(frozen=True)
class CompareSettings:
    """Settings of :func:`~resemb_gnn.experiment.compare`; ``resemb-gnn compare --help`` lists them.

    Raises:
        InputError: if a choice is unknown or a number out of range.
    """

    data: str = _flag(
        "complete-journey",
        f"data set ({', '.join(NAMED)}), or data set and folder of its files"
        f" ({', '.join(f'{name}:FOLDER' for name in PLACED if name not in ('amazon', 's3rec'))};"
        " amazon:FOLDER/reviews_NAME_5.json.gz, s3rec:FOLDER/NAME.txt), or .csv, .csv.gz or"
        " .parquet table, or sequence file (a line: user id, then item ids in time order)",
    )
    user: str | None = _flag(None, "table: column of the users' ids")
    item: str | None = _flag(None, "table: column of the items' ids")
    time: str | None = _flag(None, "table: column of times (numbers or ISO dates)")
    category: str | None = _flag(None, "table: column of the items' categories")
    label: str | None = _flag(None, "table: column of click labels, 0 or 1")
    embeddings: tuple[str, ...] = _flag(
        ("plain", "average", "gcn", "gat"), "embeddings to compare", EMBEDDINGS
    )
    model: str = _flag("din", "click model that they are trained in", MODELS)
    seeds: int = _flag(3, "number of runs an embedding: seeds 0, 1, ...")
    epochs: int = _flag(20, "most epochs of a run; validation AUC stops it earlier")
    split: str | None = _flag(
        None,
        "test on each user's last behaviour, or on the latest time (default: last;"
        " complete-journey, kuairand: time)",
        SPLITS,
    )
    negatives: str = _flag("uniform", "how negatives are drawn (a log without labels)", NEGATIVES)
    graph: str = _flag(
        "covisit", "co-visit graph, or the control: the same with its nodes permuted", GRAPHS
    )
    window: int = _flag(5, "behaviours that stand at most so many places apart are joined")
    top_k: int | None = _flag(
        None, "keep each item's so many heaviest edges (default: all; complete-journey: 32)"
    )
    folds: int = _flag(
        10,
        "groups of users whose training examples see a graph that they had no part in;"
        " 1 for the full graph alone",
    )
    max_history: int = _flag(50, "most recent behaviours of a history that are used")
    use_category: bool = _flag(
        True, "use the item's category, if the data have one, as a second feature"
    )
    embedding_dim: int = _flag(32, "width of the item embeddings")
    num_centers: int = _flag(64, "number of centres (average: one an item)")
    shrinkage: float = _flag(
        1000.0,
        "residual of an item with n behaviours is scaled by n / (n + shrinkage); 0 for no scaling",
        lowest=0,
    )
    residual_penalty: float = _flag(
        1.0, "penalty on the squared residuals of a batch's candidates", lowest=0
    )
    batch_size: int = _flag(1024, "examples a training step")
    lr: float = _flag(1e-3, "learning rate of Adam")
    patience: int = _flag(2, "epochs without a better validation AUC before a run stops")
    compile: bool = _flag(False, "compile the model for training (takes some seconds a run)")
    device: str = _flag("cpu", "cpu, cuda or cuda:N")
    out: str = _flag("runs/compare", "folder of results.json, results.md and report.html")
    resume: bool = _flag(False, "go on with the comparison that stands in the folder")
    quiet: bool = _flag(False, "no progress bars")

    def __post_init__(self) -> None:
        for spec in fields(self):
            choices = spec.metadata["choices"]
            value = getattr(self, spec.name)
            for one in value if isinstance(value, tuple) else [value]:
                if choices is not None and one is not None and one not in choices:
                    raise InputError(
                        f"{spec.name}={one!r} is unknown; choose from {', '.join(choices)}"
                    )
            if isinstance(value, int | float) and not isinstance(value, bool):
                lowest = spec.metadata["lowest"]
                if lowest is None and not value > 0:
                    raise InputError(f"{spec.name} must be above 0, not {value}")
                if lowest is not None and not value >= lowest:
                    raise InputError(f"{spec.name} must be at least {lowest}, not {value}")
        if not self.embeddings:
            raise InputError("name at least one embedding to compare")

    def identity(self) -> dict[str, Any]:
        """The settings that decide a run's figures: those that a resumed comparison must share.

        The data may have moved: their fingerprint is compared, not their path.
        """
        free = {"data", "embeddings", "seeds", "out", "resume", "quiet"}
        return {
            spec.name: getattr(self, spec.name) for spec in fields(self) if spec.name not in free
        }
