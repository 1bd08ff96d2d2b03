"""The settings of a comparison: the one place where a flag has its name, default and meaning."""

from dataclasses import dataclass, fields, replace
from typing import Any

from resemb_gnn.data import NEGATIVES, SPLITS
from resemb_gnn.datasets import NAMED, PLACED
from resemb_gnn.errors import InputError
from resemb_gnn.experiment.arm_settings import ArmSettings, flag, value_type
from resemb_gnn.experiment.arms import ARMS, EMBEDDINGS, GRAPHS, MODELS
from resemb_gnn.training.fit import PRECISIONS


@dataclass(frozen=True, kw_only=True)
class CompareSettings(ArmSettings):
    """Settings of :func:`~resemb_gnn.experiment.compare`; ``resemb-gnn compare --help`` lists them.

    Raises:
        InputError: if a choice is unknown or a number out of range.
    """

    data: str = flag(
        "complete-journey",
        f"data set ({', '.join(NAMED)}), or data set and folder of its files"
        f" ({', '.join(f'{name}:FOLDER' for name in PLACED if name not in ('amazon', 's3rec'))};"
        " amazon:FOLDER/reviews_NAME_5.json.gz, s3rec:FOLDER/NAME.txt), or .csv, .csv.gz or"
        " .parquet table, or sequence file (a line: user id, then item ids in time order)",
    )
    user: str | None = flag(None, "table: column of the users' ids")
    item: str | None = flag(None, "table: column of the items' ids")
    time: str | None = flag(None, "table: column of times (numbers or ISO dates)")
    category: str | None = flag(None, "table: column of the items' categories")
    label: str | None = flag(None, "table: column of click labels, 0 or 1")
    embeddings: tuple[str, ...] = flag(
        ("plain", "average", "gcn", "gat"), "embeddings to compare", EMBEDDINGS
    )
    model: str = flag("din", "click model that they are trained in", MODELS)
    seeds: int = flag(3, "number of runs an embedding: seeds 0, 1, ...")
    epochs: int = flag(20, "most epochs of a run; validation AUC stops it earlier")
    split: str | None = flag(
        None,
        "test on each user's last behaviour, or on the latest time (default: last;"
        " complete-journey, kuairand: time)",
        SPLITS,
    )
    negatives: str = flag("uniform", "how negatives are drawn (a log without labels)", NEGATIVES)
    graph: str = flag(
        "covisit", "co-visit graph, or the control: the same with its nodes permuted", GRAPHS
    )
    window: int = flag(5, "behaviours that stand at most so many places apart are joined")
    top_k: int | None = flag(
        None, "keep each item's so many heaviest edges (default: all; complete-journey: 32)"
    )
    folds: int = flag(
        10,
        "groups of users whose training examples see a graph that they had no part in;"
        " 1 for the full graph alone",
    )
    max_history: int = flag(50, "most recent behaviours of a history that are used")
    use_category: bool = flag(
        True, "use the item's category, if the data have one, as a second feature"
    )
    override: tuple[str, ...] = flag(
        (),
        "settings of one embedding alone, ARM.SETTING=VALUE each, such as gcn.num_centers=256 or"
        " plain-l2.lr=0.002",
    )
    batch_size: int = flag(1024, "examples a training step")
    lr: float = flag(1e-3, "learning rate of Adam")
    patience: int = flag(2, "epochs without a better validation AUC before a run stops")
    precision: str = flag("float32", "of the network in training", PRECISIONS)
    compile: bool = flag(False, "compile the model for training (takes some seconds a run)")
    device: str = flag("cpu", "cpu, cuda or cuda:N")
    out: str = flag("runs/compare", "folder of results.json, results.md and report.html")
    resume: bool = flag(False, "go on with the comparison that stands in the folder")
    quiet: bool = flag(False, "no progress bars")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.embeddings:
            raise InputError("name at least one embedding to compare")
        for name in ARMS:
            self.of(name)

    def of(self, name: str) -> "CompareSettings":
        """The settings of one arm: these, with what ``override`` sets for it.

        Raises:
            InputError: if an override names an unknown arm, a setting that the arm does not read,
                or a value that the setting cannot have.
        """
        own = self.overrides(name)
        return replace(self, override=(), **own) if own else self

    def overrides(self, name: str) -> dict[str, Any]:
        """What ``override`` sets for one arm."""
        types = {spec.name: value_type(spec) for spec in fields(self)}
        found: dict[str, Any] = {}
        for text in self.override:
            target, equals, value = text.partition("=")
            arm, dot, key = target.partition(".")
            if not (equals and dot):
                raise InputError(f"override={text!r} is not of the form ARM.SETTING=VALUE")
            if arm not in ARMS:
                raise InputError(f"override={text!r}: choose the arm from {', '.join(ARMS)}")
            if key not in ARMS[arm].settings:
                known = ", ".join(ARMS[arm].settings)
                raise InputError(f"override={text!r}: {arm} does not read {key}, but {known}")
            if arm == name:
                found[key] = _parse(text, value, types[key])
        return found

    def identity(self) -> dict[str, Any]:
        """The settings that decide a run's figures: those that a resumed comparison must share.

        The data may have moved: their fingerprint is compared, not their path. Overrides belong to
        a run and stand beside it.
        """
        free = {"data", "embeddings", "seeds", "override", "out", "resume", "quiet"}
        return {
            spec.name: getattr(self, spec.name) for spec in fields(self) if spec.name not in free
        }


def _parse(text: str, value: str, kind: type) -> Any:
    if kind is bool:
        if value not in ("true", "false"):
            raise InputError(f"override={text!r}: {value!r} is neither true nor false")
        return value == "true"
    try:
        return kind(value)
    except ValueError as error:
        raise InputError(f"override={text!r}: {value!r} is no {kind.__name__}") from error
