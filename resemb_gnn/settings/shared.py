"""The settings that commands share: data, graph and training."""

from dataclasses import dataclass
from functools import partial

from resemb_gnn.errors import InputError, shown, unknown_choice
from resemb_gnn.settings.embedding import SHARED, embedding_name, split_name
from resemb_gnn.settings.names import (
    ATTENTION_NORMALIZATIONS,
    FEATURE_KINDS,
    GRAPHS,
    MODELS,
    NEGATIVES,
    PRECISIONS,
    SPLITS,
)
from resemb_gnn.settings.setting import Settings, setting

DRAWN_NEGATIVES = 4
"""Negatives a positive in training, where some are drawn and nothing says how many."""

RATE, RATE_OF_DRAWN = 1e-3, 4e-3
"""Learning rates, where nothing says which: of rows, and where negatives are drawn anew."""

EARLIER = {"attention": "none", "ema_decay": None}
"""What was done before there were such settings: in files that do not name them."""

FEATURE_SETTINGS = (
    "items",
    "users",
    "context",
    "item_features",
    "user_features",
    "time_features",
    "kinds",
    "list_separator",
)
"""The settings that say where features come from."""

# Under which heading of the help a setting stands, and whether only --help-all lists it.
_data = partial(setting, group="data")
_feature = partial(setting, group="features of a table", rare=True)
_split = partial(setting, group="examples", rare=True)
_graph = partial(setting, group="co-visit graph", rare=True)
_network = partial(setting, group="click model", rare=True)
_training = partial(setting, group="training")
_rare_training = partial(_training, rare=True)


def named_kind(text: str) -> str:
    """``NAME=KIND``, the kind of a feature.

    Raises:
        InputError: if it is not of this form, or the kind is unknown.
    """
    name, _, kind = text.rpartition("=")
    if not name:
        raise InputError(f"kinds={shown(text)} is not of the form NAME=KIND")
    if kind not in FEATURE_KINDS:
        raise unknown_choice(f"kinds={shown(text)}: the kind {shown(kind)}", kind, FEATURE_KINDS)
    return text


def named_width(text: str) -> str:
    """``NAME=WIDTH``, the width of a feature's embedding, in one spelling.

    Raises:
        InputError: if it is not of this form, or the width is no whole number above 0.
    """
    name, _, width = text.rpartition("=")
    if not name or not width.isdecimal() or not int(width):
        raise InputError(
            f"widths={shown(text)} is not of the form NAME=WIDTH, with a whole number above 0"
        )
    return f"{name}={int(width)}"


def named_embedding(text: str) -> str:
    """``NAME=EMBEDDING``, the embedding that a feature has of its own, in one spelling.

    Raises:
        InputError: if it is not of this form, the embedding is unknown or needs categories.
    """
    name, _, embedding = text.rpartition("=")
    if not name:
        raise InputError(f"embed={shown(text)} is not of the form NAME=EMBEDDING")
    try:
        embedding = embedding_name(embedding)
    except InputError as error:
        raise InputError(f"embed={shown(text)}: {error}") from None
    if SHARED[split_name(embedding)[0]].needs_category:
        raise InputError(f"embed={shown(text)}: the values of a feature have no categories")
    return f"{name}={embedding}"


def by_name(pairs: tuple[str, ...] | None) -> dict[str, str]:
    """What stands behind the ``=`` of each pair, by its name.

    Raises:
        InputError: if a name comes twice.
    """
    found: dict[str, str] = {}
    for pair in pairs or ():
        name, _, value = pair.rpartition("=")
        if name in found:
            raise InputError(f"{name!r} comes twice: as {found[name]} and as {value}")
        found[name] = value
    return found


@dataclass(frozen=True, kw_only=True)
class DataSettings(Settings):
    """Where the behaviours come from and how they are split.

    Raises:
        InputError: if a value is of another type, an unknown choice or out of range.
    """

    data: str | tuple[str, ...] = _data(
        "complete-journey",
        "the log: a table (.csv; .tsv, and .txt where columns are named, with tabs; these also .gz;"
        " .parquet; a folder of such files, a pattern in quotes, as 'logs/2025-*.parquet', or"
        " several of these), or a sequence file (a line: user id, then item ids in time order), or"
        " a data set by its name (complete-journey, the embedded demo), or by name and place of its"
        " files (amazon-electronics-x1:FOLDER, kuairand:FOLDER, movielens-100k:FOLDER,"
        " movielens-1m:FOLDER, taobao:FOLDER; amazon:FOLDER/reviews_NAME_5.json.gz,"
        " s3rec:FOLDER/NAME.txt)",
    )
    user: str | None = _data(None, "table: column of the users' ids")
    item: str | None = _data(None, "table: column of the items' ids")
    time: str | None = _data(None, "table: column of times (numbers or ISO dates)")
    category: str | None = _data(None, "table: column of the items' categories")
    label: str | None = _data(None, "table: column of click labels (0 and 1, or true and false)")
    items: str | None = _data(
        None,
        "table: file with a row an item, whose id column is named as --item says; all other columns"
        " are features",
    )
    users: str | None = _data(None, "table: file with a row a user, likewise")
    context: tuple[str, ...] | None = _feature(
        None, "table: its columns that are features of a row, such as the page or the position"
    )
    item_features: tuple[str, ...] | None = _feature(
        None, "columns of --items to take (default: all)"
    )
    user_features: tuple[str, ...] | None = _feature(
        None, "columns of --users to take (default: all)"
    )
    time_features: tuple[str, ...] | None = _feature(
        None,
        "table: features of a row by its time, of hour, weekday, item_age and gap (since the user's"
        " last behaviour)",
    )
    kinds: tuple[str, ...] | None = _feature(
        None,
        "kinds of features, NAME=KIND each, of category, numeric, list and vector (default: by"
        " their types)",
        name_of=named_kind,
    )
    list_separator: str | None = _feature(
        None, "what stands between the values of a list in a text column, such as |"
    )
    split: str | None = _data(
        None,
        "test on each user's last behaviour, or on the latest time (default: last; with labels, and"
        " of complete-journey and kuairand: time)",
        SPLITS,
    )
    valid_from: str | None = _split(
        None,
        "split by time: from this time on (a number or ISO date, as in the log) rows validate"
        " (default: the last fifth)",
    )
    test_from: str | None = _split(
        None, "split by time: from this time on rows test (default: the last tenth)"
    )
    negatives: str = _split("uniform", "how negatives are drawn (a log without labels)", NEGATIVES)
    split_seed: int = _split(
        0, "seed of the negatives of validation and test (a log without labels)", lowest=0
    )


@dataclass(frozen=True, kw_only=True)
class GraphSettings(DataSettings):
    """How the co-visit graph of the training behaviours is built.

    Raises:
        InputError: if a value is of another type, an unknown choice or out of range.
    """

    graph: str = _graph(
        "covisit",
        "co-visit graph, or the control: the same with its nodes permuted (and the items' counts)",
        GRAPHS,
    )
    window: int = _graph(5, "behaviours that stand at most so many places apart are joined")
    top_k: int | None = _graph(
        None, "keep each item's so many heaviest edges (default: all; complete-journey: 32)"
    )


@dataclass(frozen=True, kw_only=True)
class TrainingSettings(GraphSettings):
    """How a model is trained on them.

    Raises:
        InputError: if a value is of another type, an unknown choice or out of range, or features
            are to be embedded and left out.
    """

    folds: int = _graph(
        10,
        "groups of users whose training examples see a graph that they had no part in;"
        " 1 for the full graph alone",
    )
    graph_features: tuple[str, ...] | None = _graph(
        None,
        "features of items (columns of --items) to append to the graph's node features, so that"
        " items without co-visits have centres; all for every one",
    )
    cache: str | None = _graph(
        None,
        "folder that keeps the graph with its node features for other runs on the same behaviours",
    )
    model: str = _training("din", "click model that the embeddings are trained in", tuple(MODELS))
    attention: str = _network(
        "softmax",
        "din: whether the weights of a history are normalised, or (none) as in the paper not",
        ATTENTION_NORMALIZATIONS,
    )
    epochs: int = _training(20, "most epochs of a run; validation AUC stops it earlier")
    max_history: int = _network(50, "most recent behaviours of a history that are used")
    use_category: bool = _network(
        True, "use the item's category, if the data have one, as a second feature"
    )
    use_features: bool = _network(
        True, "use the features of items, users and context, if the data have some"
    )
    widths: tuple[str, ...] | None = _network(
        None,
        "widths of features' embeddings, NAME=WIDTH each (default: by their number of values)",
        name_of=named_width,
    )
    embed: tuple[str, ...] | None = _network(
        None,
        "categories of the items with an embedding of their own, by the co-visits of their values,"
        " NAME=EMBEDDING each, as fit's --embedding; as wide as the items', or as --widths says",
        name_of=named_embedding,
    )
    train_negatives: int | None = _split(
        None,
        "negatives a positive, drawn anew each epoch; a step holds batch_size / 2 positives with"
        f" theirs; 0 for one, drawn once (default: {DRAWN_NEGATIVES}; of a log with labels, none)",
        lowest=0,
    )
    ema_decay: float | None = _rare_training(
        0.999,
        "keep, validate and test an average of the weights over the steps, of this decay a step;"
        " 0 for the weights of an epoch's end",
        lowest=0,
        highest=0.999999,
    )
    batch_size: int = _rare_training(1024, "examples a training step")
    lr: float | None = _training(
        None,
        f"learning rate of Adam (default: {RATE}; where negatives are drawn anew, {RATE_OF_DRAWN})",
    )
    patience: int = _rare_training(2, "epochs without a better validation AUC before a run stops")
    precision: str = _rare_training("float32", "of the network in training", PRECISIONS)
    compile: bool = _rare_training(
        False, "compile the model for training (takes some seconds a run)"
    )
    device: str = _training("cpu", "cpu, cuda or cuda:N")
    tensorboard: str | None = _rare_training(None, "folder of TensorBoard logs of the training")
    quiet: bool = setting(False, "show no progress")

    def __post_init__(self) -> None:
        super().__post_init__()
        by_name(self.embed)
        if self.embed and not self.use_features:
            raise InputError("embed is for features, which use_features=False leaves out")

    @property
    def embedded(self) -> dict[str, str]:
        """The embeddings that features have of their own, by the features' names."""
        return by_name(self.embed)
