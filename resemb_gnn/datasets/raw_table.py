"""Columns of a raw table, checked before tables are put together."""

from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl

from resemb_gnn.io.frame import EXACT, naming, read_columns, refuse
from resemb_gnn.io.ids import id_texts, parse_ids
from resemb_gnn.io.times import parse_times


def read_raw_table(
    path: Path, columns: Mapping[str, Callable[[pl.Series], pl.Series]]
) -> pl.DataFrame:
    """The named columns of a CSV or Parquet file, each through its parser.

    Raises:
        InputError: naming the file and, of a value that cannot be read, its column and row.
    """
    table = read_columns(path, list(columns))
    with naming(str(path)):
        return pl.DataFrame([parse(table[name]) for name, parse in columns.items()])


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


def tag_strings(column: pl.Series) -> pl.Series:
    """Categories, some missing, as strings."""
    return id_texts(parse_ids(column, nullable=True))
