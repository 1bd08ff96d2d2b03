"""The settings that commands share: data, graph and training."""

from dataclasses import dataclass

from resemb_gnn.settings.names import GRAPHS, MODELS, NEGATIVES, PRECISIONS, SPLITS
from resemb_gnn.settings.setting import Range, Settings, setting


@dataclass(frozen=True, kw_only=True)
class DataSettings(Settings):
    """Where the behaviours come from and how they are split.

    Raises:
        InputError: if a value is of another type, an unknown choice or out of range.
    """

    data: str = setting(
        "complete-journey",
        "data set (complete-journey), or data set and folder of its files"
        " (amazon-electronics-x1:FOLDER, kuairand:FOLDER, movielens-100k:FOLDER,"
        " movielens-1m:FOLDER, taobao:FOLDER;"
        " amazon:FOLDER/reviews_NAME_5.json.gz, s3rec:FOLDER/NAME.txt), or table (.csv; .tsv, and"
        " .txt where columns are named, with tabs; these also .gz; .parquet, or a folder of"
        " Parquet files), or sequence file (a line: user id, then item ids in time order)",
    )
    user: str | None = setting(None, "table: column of the users' ids")
    item: str | None = setting(None, "table: column of the items' ids")
    time: str | None = setting(None, "table: column of times (numbers or ISO dates)")
    category: str | None = setting(None, "table: column of the items' categories")
    label: str | None = setting(None, "table: column of click labels (0 and 1, or true and false)")
    split: str | None = setting(
        None,
        "test on each user's last behaviour, or on the latest time (default: last;"
        " complete-journey, kuairand: time)",
        SPLITS,
    )
    negatives: str = setting("uniform", "how negatives are drawn (a log without labels)", NEGATIVES)


@dataclass(frozen=True, kw_only=True)
class GraphSettings(DataSettings):
    """How the co-visit graph of the training behaviours is built.

    Raises:
        InputError: if a value is of another type, an unknown choice or out of range.
    """

    graph: str = setting(
        "covisit",
        "co-visit graph, or the control: the same with its nodes permuted (and the items' counts)",
        GRAPHS,
    )
    window: int = setting(5, "behaviours that stand at most so many places apart are joined")
    top_k: int | None = setting(
        None, "keep each item's so many heaviest edges (default: all; complete-journey: 32)"
    )


@dataclass(frozen=True, kw_only=True)
class TrainingSettings(GraphSettings):
    """How a model is trained on them.

    Raises:
        InputError: if a value is of another type, an unknown choice or out of range.
    """

    folds: int = setting(
        10,
        "groups of users whose training examples see a graph that they had no part in;"
        " 1 for the full graph alone",
    )
    model: str = setting("din", "click model that the embeddings are trained in", tuple(MODELS))
    epochs: int = setting(20, "most epochs of a run; validation AUC stops it earlier")
    max_history: int = setting(50, "most recent behaviours of a history that are used")
    use_category: bool = setting(
        True, "use the item's category, if the data have one, as a second feature"
    )
    batch_size: int = setting(1024, "examples a training step")
    lr: float = setting(1e-3, "learning rate of Adam", search=Range(3e-4, 3e-3))
    patience: int = setting(2, "epochs without a better validation AUC before a run stops")
    precision: str = setting("float32", "of the network in training", PRECISIONS)
    compile: bool = setting(False, "compile the model for training (takes some seconds a run)")
    device: str = setting("cpu", "cpu, cuda or cuda:N")
    tensorboard: str | None = setting(None, "folder of TensorBoard logs of the training")
    quiet: bool = setting(False, "show no progress")
