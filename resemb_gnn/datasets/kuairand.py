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
from resemb_gnn.datasets.raw_table import id_strings, read_raw_table, tag_strings, whole_times
from resemb_gnn.errors import InputError
from resemb_gnn.io.download import fetch
from resemb_gnn.io.frame import parse_labels
from resemb_gnn.io.times import parse_epoch

PAGE = "https://kuairand.com (KuaiRand-Pure.tar.gz at https://zenodo.org/records/10439422)"
LABELS = ("is_click", "long_view")
_URL = "https://zenodo.org/records/10439422/files/KuaiRand-Pure.tar.gz"
_CHECKSUM = "md5:0820331067a3784d9691136f772b35a7"
_STANDARD = ("log_standard_4_08_to_4_21_pure.csv", "log_standard_4_22_to_5_08_pure.csv")
_RANDOM = "log_random_4_22_to_5_08_pure.csv"
_VIDEOS = "video_features_basic_pure.csv"


class KuaiRandPure(BehaviorDataset):
    """KuaiRand-Pure (Gao et al., CIKM 2022): what users of Kuaishou were shown, and clicked.

    Raw files: the publishers' CSV files, as they are in ``KuaiRand-Pure.tar.gz``. A behaviour is an
    exposure with its label; the time is that of the exposure, UTC, in microseconds. The category
    is the video's main tag: of its tags that fewer than half of the videos have, the most frequent.

    Args:
        root: folder of the data set.
        label: ``"is_click"``, or ``"long_view"`` (watched for 18 seconds, or to its end).
        random_exposures: also take the videos that were shown at random.
        force_reload: read the raw files anew.

    Raises:
        InputError: if a file is missing and cannot be downloaded, or cannot be used.
    """

    page = PAGE

    def __init__(
        self,
        root: str | Path,
        label: str = "is_click",
        random_exposures: bool = False,
        force_reload: bool = False,
    ) -> None:
        if label not in LABELS:
            raise InputError(f"label={label!r} is unknown; choose from {', '.join(LABELS)}")
        self.label = label
        self.random_exposures = random_exposures
        super().__init__(root, force_reload)

    @property
    def log_names(self) -> list[str]:
        return [*_STANDARD, _RANDOM] if self.random_exposures else list(_STANDARD)

    @property
    def raw_file_names(self) -> list[str]:
        return [*self.log_names, _VIDEOS]

    def options(self) -> dict[str, Any]:
        return {"label": self.label, "random_exposures": self.random_exposures}

    def download(self) -> None:
        folder = Path(self.raw_dir)
        archive = folder / "KuaiRand-Pure.tar.gz"
        if not archive.is_file():
            fetch(_URL, archive, self.page, _CHECKSUM)
        _extract(archive, [path for path in self.raw_files.values() if not path.is_file()])

    def read(self) -> BehaviorLog:
        exposures = pl.concat(
            read_exposures(self.raw_files[name], self.label) for name in self.log_names
        )
        return log_of_exposures(exposures, read_tags(self.raw_files[_VIDEOS]))


def read_exposures(path: Path, label: str) -> pl.DataFrame:
    """Columns ``user``, ``item``, ``time`` and ``label`` of a log file."""
    parsers = {
        "user_id": id_strings,
        "video_id": id_strings,
        "time_ms": moments,
        label: parse_labels,
    }
    return read_raw_table(path, parsers).rename(
        {"user_id": "user", "video_id": "item", "time_ms": "time", label: "label"}
    )


def read_tags(path: Path) -> pl.DataFrame:
    """Columns ``item`` and ``category``: the main tag of each video that has one."""
    table = read_raw_table(path, {"video_id": id_strings, "tag": tag_strings})
    pairs = table.select(item="video_id", attribute=pl.col("tag").str.split(",")).explode(
        "attribute"
    )
    # A column of single tags may have been written as decimal numbers.
    pairs = pairs.with_columns(pl.col("attribute").str.strip_chars().str.strip_suffix(".0"))
    pairs = pairs.filter(pl.col("attribute").str.len_chars() > 0)
    return main_attribute(pairs, num_items=table["video_id"].n_unique())


def moments(column: pl.Series) -> pl.Series:
    """Dates of whole milliseconds since 1970."""
    return parse_epoch(whole_times(column), "ms")


def log_of_exposures(exposures: pl.DataFrame, category: pl.DataFrame) -> BehaviorLog:
    """The log of exposures, each video with its category."""
    table = exposures.join(category, on="item", how="left", maintain_order="left")
    return BehaviorLog.from_frame(table, "user", "item", "time", category="category", label="label")


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
