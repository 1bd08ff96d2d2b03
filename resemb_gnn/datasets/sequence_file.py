"""Sequence files as used in the sequential recommendation literature (SASRec, S3-Rec)."""

from pathlib import Path

import polars as pl

from resemb_gnn.data import BehaviorLog
from resemb_gnn.errors import InputError


def read_sequence_file(path: str | Path) -> BehaviorLog:
    """Reads a file with a user a line: the user's id, then item ids in time order.

    Ids are separated by white space. The file has no times; a behaviour's position in its line
    stands for one.

    Raises:
        InputError: if the file is missing or empty, a line names no item, or a user comes
            twice.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    table = pl.DataFrame({"line": lines}, schema={"line": pl.String}).with_row_index("number", 1)
    table = table.with_columns(token=pl.col("line").str.extract_all(r"\S+"))
    table = table.filter(pl.col("token").list.len() > 0)
    if table.is_empty():
        raise InputError(f"{path} is empty")
    alone = table.filter(pl.col("token").list.len() < 2)
    if not alone.is_empty():
        raise InputError(
            f"{path}, line {alone['number'][0]}: user {alone['token'][0][0]!r} has no item"
        )
    table = table.with_columns(
        user=pl.col("token").list.first(), item=pl.col("token").list.slice(1)
    )
    twice = table.filter(~pl.col("user").is_first_distinct())
    if not twice.is_empty():
        raise InputError(
            f"{path}, line {twice['number'][0]}: user {twice['user'][0]!r} came before"
        )
    table = table.with_columns(time=pl.int_ranges(pl.col("item").list.len()))
    behaviors = table.select("user", "item", "time").explode("item", "time")
    return BehaviorLog.from_frame(behaviors, user="user", item="item", time="time")
