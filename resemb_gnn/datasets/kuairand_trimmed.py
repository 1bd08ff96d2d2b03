"""KuaiRand-Pure trimmed to Parquet: late exposures, and what users had watched before."""

from pathlib import Path

import polars as pl

from resemb_gnn.data import BehaviorLog
from resemb_gnn.datasets.behavior_dataset import BehaviorDataset
from resemb_gnn.datasets.data_source import DataSource
from resemb_gnn.datasets.kuairand import (
    PAGE,
    KuaiRandPure,
    log_of_exposures,
    moments,
    read_exposures,
    read_videos,
)
from resemb_gnn.datasets.raw_table import id_strings, read_raw_table
from resemb_gnn.errors import InputError
from resemb_gnn.io.frame import naming

_EXPOSURES = ("exposures_val.parquet", "exposures_test.parquet")


class KuaiRandPureTrimmed(BehaviorDataset):
    """KuaiRand-Pure (Gao et al., CIKM 2022) without the log of 8 to 24 April, of which it holds
    each user's last (at most 50) long-viewed videos instead.

    Raw files: ``exposures_val.parquet``, ``exposures_test.parquet`` (``user_id, video_id, time_ms,
    is_click, tab``), ``histories.parquet`` (``user_id, last_time_ms, positive_history``) and
    ``items.parquet`` (``video_id, tag, author_id, video_duration, upload_dt``). Features are those
    of :class:`KuaiRandPure`, but for the users'; ``tab`` and the last three columns may be lacking.

    An exposure is a behaviour with its click label, as in :class:`KuaiRandPure`. A video of a
    history comes before them as a positive behaviour. Of a history only its last time is known;
    its videos come up to it a microsecond apart, before exposures later than the whole of it, in
    their order. Since histories hold no video that was not watched, they are not to be
    trained on: split with ``train_from`` after them.

    Args:
        root: folder of the data set.
        force_reload: read the raw files anew.

    Raises:
        InputError: if a file is missing or cannot be used.
    """

    page = PAGE
    version = 3  # with features, and histories in their order

    @property
    def raw_file_names(self) -> list[str]:
        return [*_EXPOSURES, "histories.parquet", "items.parquet"]

    def read(self) -> BehaviorLog:
        exposures = [
            read_exposures(self.raw_files[name], "is_click", tab=False) for name in _EXPOSURES
        ]
        histories = _read_histories(self.raw_files["histories.parquet"])
        return log_of_exposures(
            pl.concat([histories, *exposures]), read_videos(self.raw_files["items.parquet"])
        )


def _read_histories(path: Path) -> pl.DataFrame:
    parsers = {
        "user_id": id_strings,
        "last_time_ms": moments,
        "positive_history": lambda column: column,
    }
    table = read_raw_table(path, parsers)
    kind = table["positive_history"].dtype
    if not isinstance(kind, pl.List):
        raise InputError(f"{path}, column 'positive_history' holds {kind}, not lists of videos")
    rows = table.explode("positive_history")
    rows = rows.filter(pl.col("positive_history").is_not_null())
    with naming(str(path)):
        videos = id_strings(rows["positive_history"])
    later = pl.int_range(pl.len()).reverse().over("user_id")  # of the history, by their number
    return rows.select(
        user="user_id",
        item=videos,
        time=pl.col("last_time_ms") - pl.duration(microseconds=later),
        label=pl.lit(1, dtype=pl.Float32),
        tab=pl.lit(None, dtype=pl.String),
    )


def source(folder: Path) -> DataSource:
    """The data set as commands read it."""
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
