"""Columns of a raw table, checked before tables are put together."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import polars as pl

from resemb_gnn.io.arrow import check_names
from resemb_gnn.io.frame import EXACT, naming, read_columns, refuse
from resemb_gnn.io.ids import id_texts, parse_ids
from resemb_gnn.io.times import parse_times

Parsers: TypeAlias = Mapping[str, Callable[[pl.Series], pl.Series]]


def read_raw_table(path: Path, columns: Parsers, others: Parsers | None = None) -> pl.DataFrame:
    """The named columns of a CSV or Parquet file, each through its parser.

    Args:
        path: the file.
        columns: columns that it must have.
        others: columns that it may lack, which are missing throughout then.

    Raises:
        InputError: naming the file and, of a value that cannot be read, its column and row.
    """
    table = read_columns(path, None if others else list(columns))
    check_names(str(path), table.columns, list(columns))
    for name in others or ():
        if name not in table.columns:
            table = table.with_columns(pl.lit(None, pl.String).alias(name))
    parsers = {**columns, **(others or {})}
    with naming(str(path), path):
        return pl.DataFrame([parse(table[name]) for name, parse in parsers.items()])


def known_rows(ids: pl.Series, table: pl.DataFrame) -> pl.DataFrame:
    """A row for each of the ids, missing throughout where the table, which has a column of the ids'
    name, has none.
    """
    every = ids.unique(maintain_order=True).to_frame()
    rows = table.unique(ids.name, keep="first", maintain_order=True)
    return every.join(rows, on=ids.name, how="left", maintain_order="left")


def id_strings(column: pl.Series) -> pl.Series:
    """Ids as strings, so that the columns of several files go together; none may be missing.

    :meth:`~resemb_gnn.BehaviorLog.from_frame` makes them numbers again where all are.
    """
    return id_texts(parse_ids(column))


def whole_times(column: pl.Series) -> pl.Series:
    """Times as Int64; a number with a fraction, or too large for one, is refused."""
    times = parse_times(column)
    if times.dtype.is_float():
        refuse(column, (times != times.round()) | (times.abs() >= EXACT), "not a whole number")
    return times.cast(pl.Int64)


def numbers(column: pl.Series) -> pl.Series:
    """Numbers, some missing, as Float64."""
    found = column.cast(pl.Float64, strict=False)
    refuse(column, found.is_null() & _there(column), "not a number")
    return found


def days(column: pl.Series) -> pl.Series:
    """Days, some missing, as dates."""
    found = column.cast(pl.String).str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
    refuse(column, found.is_null() & _there(column), "not a day, such as 2022-04-30")
    return found


def _there(column: pl.Series) -> pl.Series:
    return column.is_not_null() & (column.cast(pl.String) != "")


def tag_strings(column: pl.Series) -> pl.Series:
    """Categories, some missing, as strings."""
    return id_texts(parse_ids(column, nullable=True))
