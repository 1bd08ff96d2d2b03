"""The published train and test files of the benchmark AmazonElectronics_x1."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from resemb_gnn.data import BehaviorLog
from resemb_gnn.data.split import HISTORY, TEST, TRAIN, VALID, Split, split_by_part
from resemb_gnn.datasets.behavior_dataset import BehaviorDataset
from resemb_gnn.datasets.data_source import DataSource
from resemb_gnn.datasets.raw_table import id_strings, read_raw_table
from resemb_gnn.errors import InputError, shown
from resemb_gnn.io.download import fetch, verify
from resemb_gnn.io.frame import parse_labels, refuse

_URL = "https://huggingface.co/datasets/reczoo/AmazonElectronics_x1/resolve/main"
_CHECKSUMS = {
    "train.csv": "md5:e9bf80b92985e463db18fdc753d347b5",
    "test.csv": "md5:57a20e82fe736dd495f2eaf0669bf6d0",
}
_UNUSED = -2  # neither example nor history


class AmazonElectronicsX1(BehaviorDataset):
    r"""AmazonElectronics_x1 (BARS; the examples of DIN, Zhou et al., KDD 2018): the same
    examples as on the leaderboard, negatives included.

    Raw files ``train.csv`` and ``test.csv``: ``label,user_id,item_id,cate_id,item_history,
    cate_history``, histories joined by ``^``, oldest first. From a user's :math:`n` reviews
    :math:`b_0 \dots b_{n-1}` were made a row of label 1 with target :math:`b_t` and one of label 0
    with a drawn target for each :math:`t \ge 1`, both with history :math:`b_0 \dots b_{t-1}`;
    those of :math:`t = n - 1` are the test file.

    So every history is the start of one sequence of its user, and the log is this: a row of the
    files is an impression of its target at time :math:`t`, the length of its history, and
    :math:`b_0` is a positive at time 0. The history of a row is then the user's positives of
    earlier time, as everywhere in a log with labels, and nothing of the files is lost but the
    order of the rows. Files that are not made this way are refused.

    Args:
        root: folder of the data set.
        published: refuse files that are not the published ones (by MD5).
        force_reload: read the raw files anew.

    Raises:
        InputError: if a file is missing and cannot be downloaded, is not the published one, or has
            a row that does not fit; it names file and line.
    """

    page = "https://huggingface.co/datasets/reczoo/AmazonElectronics_x1"

    def __init__(
        self, root: str | Path, published: bool = True, force_reload: bool = False
    ) -> None:
        self.published = published
        super().__init__(root, force_reload)

    @property
    def raw_file_names(self) -> list[str]:
        return list(_CHECKSUMS)

    def download(self) -> None:
        for name, path in self.raw_files.items():
            if not path.is_file():
                fetch(f"{_URL}/{name}", path, self.page, _CHECKSUMS[name])

    def _process(self) -> None:
        if self.published:
            for name, path in self.raw_files.items():
                verify(path, _CHECKSUMS[name])
        super()._process()

    def read(self) -> BehaviorLog:
        parts = [_read_rows(path, path.name == "test.csv") for path in self.raw_files.values()]
        rows = pl.concat(parts).with_columns(last=pl.col("time").max().over("user"))
        first = self._check(rows)
        return BehaviorLog.from_frame(
            pl.concat([first, rows.select(first.columns)]),
            "user",
            "item",
            "time",
            category="category",
            label="label",
        )

    def _check(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Refuses rows that the log would not give back; returns the users' first reviews."""

        def refuse(bad: pl.Expr, why: str, among: pl.DataFrame = rows) -> None:
            found = among.filter(bad)
            if not found.is_empty():
                row = found.row(0, named=True)
                path = self.raw_files["test.csv" if row["test"] else "train.csv"]
                raise InputError(f"{path}, line {row['line']}: user {shown(row['user'])}: {why}")

        time, last = pl.col("time"), pl.col("last")
        refuse(
            pl.col("test") != (time == last),
            "test rows, and no others, must have the user's longest history",
        )
        positive = rows.filter(pl.col("label") == 1)
        twice = ~pl.struct("user", "time").is_first_distinct()
        refuse(twice, "two rows of label 1 have histories of the same length", positive)
        # One sequence a user: its first review from the longest history, the others from the
        # targets of label 1. Every history must be the start of it.
        longest = rows.filter(time == last).unique("user", keep="first", maintain_order=True)
        first = longest.select(
            "user",
            item=pl.col("item_history").str.extract(r"^([^^]*)"),
            category=pl.col("cate_history").str.extract(r"^([^^]*)"),
            time=pl.lit(0, dtype=pl.Int64),
            label=pl.lit(1, dtype=pl.Float32),
        )
        steps = pl.concat(
            [
                first.select("user", "item", "category", "time"),
                positive.filter(time < last).select("user", "item", "category", "time"),
            ]
        ).sort("user", "time")
        sequences = steps.group_by("user").agg(
            items=pl.col("item").str.join("^"), categories=pl.col("category").str.join("^")
        )
        joined = rows.join(sequences, on="user", how="left")
        for history, sequence in (("item_history", "items"), ("cate_history", "categories")):
            whole = pl.col(sequence) == pl.col(history)
            start = pl.col(sequence).str.starts_with(pl.col(history) + "^")
            refuse(~(whole | start), f"{history} is no start of the user's targets", joined)
        known = ["item", "category", "test", "line", "user"]
        of_first = longest.with_columns(item=first["item"], category=first["category"])
        kinds = pl.concat([rows.select(known), of_first.select(known)])
        other = pl.col("category") != pl.col("category").first().over("item")
        refuse(other, "the item has another cate_id elsewhere", kinds)
        return first

    def split(self, valid_share: float = 0.05, seed: int = 0) -> Split:
        """The published examples; validation is all training rows of some of the users.

        The files have no validation set, and the leaderboard's figures choose the epoch on the
        test set: they are higher than what a choice on validation gives. To train on all
        training rows, as there, is not offered. The graph may be built from the training
        users' reviews without each user's last, the test target.

        Args:
            valid_share: share of the users whose training rows validate.
            seed: which users, and seed of the training sample.

        Raises:
            InputError: if ``valid_share`` is not within (0, 1), or leaves a part empty.
        """
        if not 0 < valid_share < 1:
            raise InputError(f"valid_share must lie between 0 and 1, not {valid_share}")
        log = self.log
        rng = np.random.default_rng(seed)
        chosen = torch.zeros(log.num_users, dtype=torch.bool)
        count = max(1, round(valid_share * log.num_users))
        chosen[torch.from_numpy(rng.permutation(log.num_users)[:count])] = True
        users = log.users
        part = torch.where(chosen[users], VALID, TRAIN)
        part[log.times == log.times[log.ptr[1:] - 1][users]] = TEST
        # A first review has no history: it is no example. A validation user's is nothing at all.
        first = log.times == 0
        part[first] = torch.where(chosen[users[first]], _UNUSED, HISTORY)
        settings: dict[str, Any] = {
            "by": "published",
            "negatives": "published",
            "num_negatives": 1,
            "valid_share": valid_share,
            "seed": seed,
        }
        return split_by_part(log, part, settings)


def _read_rows(path: Path, test: bool) -> pl.DataFrame:
    """The rows of a file, with ``time``, the length of the history, and ``line``."""
    parsers = {
        "label": parse_labels,
        "user_id": id_strings,
        "item_id": id_strings,
        "cate_id": id_strings,
        "item_history": _filled,
        "cate_history": _filled,
    }
    table = read_raw_table(path, parsers)
    items, categories = (
        pl.col(name).str.count_matches("^", literal=True).cast(pl.Int64) + 1
        for name in ("item_history", "cate_history")
    )
    table = table.rename({"user_id": "user", "item_id": "item", "cate_id": "category"})
    table = table.with_columns(time=items, line=pl.int_range(pl.len()) + 2, test=pl.lit(test))
    differ = table.filter(items != categories)
    if not differ.is_empty():
        raise InputError(
            f"{path}, line {differ['line'][0]}: item_history and cate_history differ in length"
        )
    return table


def _filled(column: pl.Series) -> pl.Series:
    refuse(column, column.is_null() | (column == ""), "empty")
    return column


def source(folder: Path) -> DataSource:
    """The data set as commands read it."""
    dataset = AmazonElectronicsX1(folder)
    return DataSource(
        "AmazonElectronics_x1",
        "The published examples, MD5 checked. All training rows of 5 % of the users validate; the"
        " leaderboard has no validation set and chooses the epoch on test.",
        dataset.log,
        published=dataset.split(),
    )
