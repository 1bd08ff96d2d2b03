"""KuaiRand-Pure: real exposures with real click labels."""

import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import polars as pl

from resemb_gnn.data import BehaviorLog
from resemb_gnn.datasets.attributes import main_attribute
from resemb_gnn.datasets.behavior_dataset import BehaviorDataset
from resemb_gnn.datasets.raw_table import (
    days,
    id_strings,
    known_rows,
    numbers,
    read_raw_table,
    tag_strings,
    whole_times,
)
from resemb_gnn.errors import InputError, unknown_choice
from resemb_gnn.io.arrow import check_names
from resemb_gnn.io.download import fetch
from resemb_gnn.io.frame import naming, parse_labels, read_columns
from resemb_gnn.io.times import parse_epoch

PAGE = "https://kuairand.com (KuaiRand-Pure.tar.gz at https://zenodo.org/records/10439422)"
LABELS = ("is_click", "long_view")
_URL = "https://zenodo.org/records/10439422/files/KuaiRand-Pure.tar.gz"
_CHECKSUM = "md5:0820331067a3784d9691136f772b35a7"
_STANDARD = ("log_standard_4_08_to_4_21_pure.csv", "log_standard_4_22_to_5_08_pure.csv")
_RANDOM = "log_random_4_22_to_5_08_pure.csv"
_VIDEOS = "video_features_basic_pure.csv"
_USERS = "user_features_pure.csv"
# Whole numbers that are no categories.
_NUMBERS = ("follow_user_num", "fans_user_num", "friend_user_num", "register_days")


class KuaiRandPure(BehaviorDataset):
    """KuaiRand-Pure (Gao et al., CIKM 2022): what users of Kuaishou were shown, and clicked.

    Raw files: the publishers' CSV files, as they are in ``KuaiRand-Pure.tar.gz``. A behaviour is an
    exposure with its label; the time is that of the exposure, UTC, in microseconds. The category
    is the video's main tag: of its tags that fewer than half of the videos have, the most frequent.

    Features of a video are ``author_id``, ``tag`` (all of its tags) and ``video_duration``
    (milliseconds); of an exposure ``tab``, ``upload_age`` (days since the upload) and ``hour`` (of
    the day, UTC); of a user all columns of ``user_features_pure.csv``, if it is there.

    Args:
        root: folder of the data set.
        label: ``"is_click"``, or ``"long_view"`` (watched for 18 seconds, or to its end).
        random_exposures: also take the videos that were shown at random.
        force_reload: read the raw files anew.

    Raises:
        InputError: if a file is missing and cannot be downloaded, or cannot be used.
    """

    page = PAGE
    version = 2  # with features

    def __init__(
        self,
        root: str | Path,
        label: str = "is_click",
        random_exposures: bool = False,
        force_reload: bool = False,
    ) -> None:
        if label not in LABELS:
            raise unknown_choice(f"label={label!r}", label, LABELS)
        self.label = label
        self.random_exposures = random_exposures
        super().__init__(root, force_reload)

    @property
    def log_names(self) -> list[str]:
        return [*_STANDARD, _RANDOM] if self.random_exposures else list(_STANDARD)

    @property
    def raw_file_names(self) -> list[str]:
        places = (Path(self.root), Path(self.root) / "raw")
        users = [_USERS] if any((place / _USERS).is_file() for place in places) else []
        return [*self.log_names, _VIDEOS, *users]

    def options(self) -> dict[str, Any]:
        return {"label": self.label, "random_exposures": self.random_exposures}

    def download(self) -> None:
        folder = Path(self.raw_dir)
        archive = folder / "KuaiRand-Pure.tar.gz"
        if not archive.is_file():
            fetch(_URL, archive, self.page, _CHECKSUM)
        every = [*self.raw_files.values(), folder / _USERS]
        _extract(archive, [path for path in every if not path.is_file()])

    def read(self) -> BehaviorLog:
        exposures = pl.concat(
            read_exposures(self.raw_files[name], self.label) for name in self.log_names
        )
        users = None
        if _USERS in self.raw_files:
            users = _read_users(self.raw_files[_USERS])
        return log_of_exposures(exposures, read_videos(self.raw_files[_VIDEOS]), users)


def read_exposures(path: Path, label: str, tab: bool = True) -> pl.DataFrame:
    """Columns ``user``, ``item``, ``time``, ``label`` and ``tab`` of a log file; of one that may
    lack it, ``tab`` is missing throughout then.
    """
    parsers = {
        "user_id": id_strings,
        "video_id": id_strings,
        "time_ms": moments,
        label: parse_labels,
    }
    shown = {"tab": tag_strings}
    table = read_raw_table(path, parsers | shown) if tab else read_raw_table(path, parsers, shown)
    return table.rename({"user_id": "user", "video_id": "item", "time_ms": "time", label: "label"})


def read_videos(path: Path) -> pl.DataFrame:
    """A row a video: ``item``, ``tag`` (lists), ``author_id``, ``video_duration`` and
    ``upload_dt``, the last three missing throughout where the file lacks them.
    """
    known = {"author_id": tag_strings, "video_duration": numbers, "upload_dt": days}
    table = read_raw_table(path, {"video_id": id_strings, "tag": tag_strings}, known)
    # A column of single tags may have been written as decimal numbers.
    tag = pl.element().str.strip_chars().str.strip_suffix(".0")
    tags = pl.col("tag").str.split(",").list.eval(tag.filter(tag != ""))
    return (
        table.with_columns(tags)
        .rename({"video_id": "item"})
        .unique("item", keep="first", maintain_order=True)
    )


def _read_users(path: Path) -> pl.DataFrame:
    """A row a user: ``user`` and whatever else the file tells."""
    table = read_columns(path, None)
    check_names(str(path), table.columns, ["user_id"])
    with naming(str(path), path):
        return table.select(id_strings(table["user_id"]).alias("user"), pl.exclude("user_id"))


def moments(column: pl.Series) -> pl.Series:
    """Dates of whole milliseconds since 1970."""
    return parse_epoch(whole_times(column), "ms")


def log_of_exposures(
    exposures: pl.DataFrame, videos: pl.DataFrame, users: pl.DataFrame | None = None
) -> BehaviorLog:
    """The log of exposures, with the features of videos and of users, if they are known."""
    pairs = videos.select("item", attribute="tag").explode("attribute").drop_nulls()
    category = main_attribute(pairs, num_items=len(videos))
    known = videos.select("item", "upload_dt").join(category, on="item", how="left")
    table = exposures.join(known, on="item", how="left", maintain_order="left")
    # The days are those of Beijing, eight hours before UTC.
    age = pl.col("time") - pl.col("upload_dt").cast(pl.Datetime("us")).dt.offset_by("-8h")
    numeric = [] if users is None else [name for name in _NUMBERS if name in users.columns]
    return BehaviorLog.from_frame(
        table.with_columns(upload_age=age.dt.total_seconds() / 86_400),
        "user",
        "item",
        "time",
        category="category",
        label="label",
        items=known_rows(table["item"], videos.drop("upload_dt")),
        users=None if users is None else known_rows(table["user"], users),
        context=["tab", "upload_age"],
        time_features=["hour"],
        kinds={"tag": "list"} | dict.fromkeys(numeric, "numeric"),
    )


def _extract(archive: Path, paths: list[Path]) -> None:
    """Takes files out of a tar archive, wherever in it they stand."""
    wanted = {path.name: path for path in paths}
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                path = wanted.pop(Path(member.name).name, None) if member.isfile() else None
                source = tar.extractfile(member) if path is not None else None
                if path is None or source is None:
                    continue
                with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as target:
                    shutil.copyfileobj(source, target)
                Path(target.name).chmod(0o644)
                Path(target.name).replace(path)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise InputError(f"{archive} cannot be read: {error}") from error
    if wanted:
        raise InputError(f"{archive} holds no {', '.join(wanted)}")
