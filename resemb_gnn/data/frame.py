"""Reading a log's columns from a file or a frame, checked row by row."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl

from resemb_gnn.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

Frame: TypeAlias = "pl.DataFrame | pd.DataFrame | str | Path"


def read_columns(frame: Frame, columns: list[str]) -> pl.DataFrame:
    """The named columns of a polars or pandas frame, or of a ``.csv``, ``.csv.gz`` or ``.parquet``.

    A CSV's columns come back as strings, so that no id is changed by guessing its type.

    Raises:
        InputError: if the file is missing, empty, damaged or of another kind, or a column is
            missing.
    """
    place = str(frame) if isinstance(frame, str | Path) else "the frame"
    try:
        lazy, names = _open(frame, columns)
        for column in columns:
            if column not in names:
                raise InputError(f"{place} has no column {column!r}; its columns are {names}")
        table = lazy.select(list(dict.fromkeys(columns))).collect()
    except pl.exceptions.NoDataError:
        raise InputError(f"{place} is empty") from None
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{place} cannot be read: {error}") from error
    if table.is_empty():
        raise InputError(f"{place} holds no rows")
    return table


def _open(frame: Frame, columns: list[str]) -> tuple[pl.LazyFrame, list[str]]:
    """The frame to be read, and the names of all its columns."""
    if isinstance(frame, str | Path):
        path = Path(frame)
        if not path.is_file():
            raise InputError(f"no such file: {path}")
        if path.name.endswith((".csv", ".csv.gz")):
            lazy = pl.scan_csv(path, infer_schema=False, glob=False)
        elif path.suffix in (".parquet", ".pq"):
            lazy = pl.scan_parquet(path, glob=False)
        else:
            raise InputError(f"{path}: unknown kind of file; known are .csv, .csv.gz and .parquet")
        return lazy, lazy.collect_schema().names()
    if isinstance(frame, pl.DataFrame):
        return frame.lazy(), frame.columns
    names = list(frame.columns)
    twice = [name for name in columns if names.count(name) > 1]
    if twice:
        raise InputError(f"the frame has more than one column {twice[0]!r}")
    wanted = [name for name in dict.fromkeys(columns) if name in names]
    return pl.LazyFrame({name: _from_pandas(name, frame[name]) for name in wanted}), names


def _from_pandas(name: str, column: "pd.Series[Any]") -> pl.Series:
    try:
        return pl.from_pandas(column)
    except (ValueError, TypeError, NotImplementedError, OverflowError) as error:  # pyarrow's
        raise InputError(f"column {name!r} holds values of no one kind: {error}") from error


def parse_ids(column: pl.Series, nullable: bool = False) -> pl.Series:
    """Ids as integers or strings; a string column of canonical integers becomes integers.

    Missing ids are refused unless ``nullable``.
    """
    if nullable and column.dtype.is_float():
        column = column.fill_nan(None)
    if not nullable:
        _refuse_nulls(column)
    if column.dtype == pl.String:
        numbers = column.cast(pl.Int64, strict=False)
        read = numbers.null_count() == column.null_count()
        if read and bool((numbers.cast(pl.String) == column).all()):  # null pairs do not count
            return numbers
    elif column.dtype.is_float():
        _refuse(column, ~column.is_finite(), "not an id")
    elif column.dtype.is_nested() or column.dtype == pl.Object:
        raise InputError(f"column {column.name!r} holds {column.dtype}, which cannot be an id")
    elif column.dtype in (pl.Categorical, pl.Enum):
        return column.cast(pl.String)
    return column


def parse_times(column: pl.Series) -> pl.Series:
    """Times as Int64 (integers as they are, dates in microseconds since 1970) or Float64."""
    _refuse_nulls(column)
    if column.dtype == pl.String:
        # Whichever reading fits most rows is the one that was meant; the rest is reported.
        readings = [column.cast(pl.Int64, strict=False), column.cast(pl.Float64, strict=False)]
        with contextlib.suppress(pl.exceptions.PolarsError):  # no row looks like a date
            readings.append(column.str.to_datetime(strict=False, time_unit="us"))
        best = min(readings, key=lambda reading: reading.null_count())
        _refuse(column, best.is_null(), "not a time (a number, or a date as 2024-05-31T12:00:00)")
        column = best
    if column.dtype.is_temporal():
        if column.dtype == pl.Time or column.dtype == pl.Duration:
            raise InputError(f"column {column.name!r} holds {column.dtype}, which is not a date")
        return column.cast(pl.Datetime("us")).to_physical()
    if column.dtype.is_integer():
        numbers = column.cast(pl.Int64, strict=False)
        _refuse(column, numbers.is_null(), "not a time: it does not fit 64 bits")
        return numbers
    if column.dtype.is_float():
        _refuse(column, ~column.is_finite(), "not a time")
        return column.cast(pl.Float64)
    raise InputError(f"column {column.name!r} holds {column.dtype}, which is not a time")


def parse_labels(column: pl.Series) -> pl.Series:
    """Click labels as Float32 of zeros and ones."""
    _refuse_nulls(column)
    try:
        numbers = column.cast(pl.Float32, strict=False)
    except pl.exceptions.PolarsError:
        raise InputError(f"column {column.name!r} holds {column.dtype}, not labels") from None
    _refuse(column, ~numbers.is_in([0.0, 1.0]).fill_null(False), "not a label (0 or 1)")
    return numbers


def _refuse_nulls(column: pl.Series) -> None:
    _refuse(column, column.is_null(), "missing")


def _refuse(column: pl.Series, bad: pl.Series, why: str) -> None:
    if bad.any():
        row = bad.arg_true()[0]
        raise InputError(
            f"column {column.name!r}, row {row} (from 0): {column[row]!r} is {why}"
            f" ({bad.sum()} such rows)"
        )
