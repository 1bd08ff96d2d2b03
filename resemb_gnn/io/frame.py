"""Reading a log's columns from a file or a frame, checked row by row."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import polars as pl

from resemb_gnn.errors import InputError, brief, shown
from resemb_gnn.io.paths import expanded
from resemb_gnn.io.tables import check_names, read_table

if TYPE_CHECKING:
    import pandas as pd

LAST_SECOND = 253_402_300_799  # since 1970, of the year 9999
EXACT = 2**53  # below it whole numbers are exact as float numbers
_ISO = r"^\d{4}-\d\d-\d\d([T ]\d\d:[0-5]\d(:[0-5]\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?$"

Frame: TypeAlias = "pl.DataFrame | pd.DataFrame | str | Path"


def read_columns(frame: Frame, columns: list[str]) -> pl.DataFrame:
    """The named columns of a polars or pandas frame, or of a ``.csv``, ``.csv.gz`` or ``.parquet``.

    A CSV's columns come back as strings, so that no id is changed by guessing its type.

    Raises:
        InputError: if the file is missing, empty, damaged or of another kind, or a column is
            missing or there twice.
    """
    columns = list(dict.fromkeys(columns))
    if isinstance(frame, str | Path):
        table = read_table(expanded(frame), columns)
    else:
        check_names("the frame", list(frame.columns), columns)
        if isinstance(frame, pl.DataFrame):
            table = frame.select(columns)
        else:
            table = pl.DataFrame({name: _from_pandas(name, frame[name]) for name in columns})
    if table.is_empty():
        raise InputError(f"{place_of(frame)} holds no rows")
    return table


def place_of(frame: Frame) -> str:
    """How messages name the frame: a file by its path."""
    return str(frame) if isinstance(frame, str | Path) else "the frame"


@contextlib.contextmanager
def naming(place: str) -> Iterator[None]:
    """Puts ``place`` before the message of an :class:`~resemb_gnn.InputError` of a column."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{place}, {error}") from None
    except pl.exceptions.PanicException as error:  # no Exception: nothing else would catch it
        raise InputError(f"{place} holds values that no log can use: {brief(error)}") from error


def _from_pandas(name: str, column: "pd.Series[Any]") -> pl.Series:
    try:
        return pl.from_pandas(column)
    except (ValueError, TypeError, NotImplementedError, OverflowError) as error:  # pyarrow's
        raise InputError(f"column {name!r} holds values of no one kind: {error}") from error
    except pl.exceptions.PanicException as error:  # no Exception: nothing else would catch it
        raise InputError(f"column {name!r} cannot be read: {brief(error)}") from error


def parse_times(column: pl.Series) -> pl.Series:
    """Times as Int64 (integers as they are, dates in microseconds since 1970) or Float64."""
    _refuse_nulls(column)
    if column.dtype == pl.String:
        # Whichever reading fits most rows is the one that was meant; the rest is reported.
        readings = [column.cast(pl.Int64, strict=False), column.cast(pl.Float64, strict=False)]
        dates = column.set(~column.str.contains(_ISO), None)  # of 01/02/2022 it guesses the month
        with contextlib.suppress(pl.exceptions.PolarsError):  # no row looks like a date
            readings.append(dates.str.to_datetime(strict=False, time_unit="us"))
        best = min(readings, key=lambda reading: reading.null_count())
        refuse(column, best.is_null(), "not a time (a number, or a date as 2024-05-31T12:00:00)")
        column = best
    if column.dtype.is_temporal():
        if column.dtype == pl.Time or column.dtype == pl.Duration:
            raise InputError(f"column {column.name!r} holds {column.dtype}, which is not a date")
        return column.cast(pl.Datetime("us")).to_physical()
    if column.dtype.is_integer():
        numbers = column.cast(pl.Int64, strict=False)
        refuse(column, numbers.is_null(), "not a time: it does not fit 64 bits")
        return numbers
    if column.dtype.is_float():
        refuse(column, ~column.is_finite(), "not a time")
        return column.cast(pl.Float64)
    raise InputError(f"column {column.name!r} holds {column.dtype}, which is not a time")


def parse_epoch(column: pl.Series, unit: Literal["s", "ms"]) -> pl.Series:
    """Numbers of seconds or milliseconds since 1970 as dates, of microseconds.

    A date beyond the year 9999 is refused: it is of another unit, and could wrap around.
    """
    times = parse_times(column)
    limit = LAST_SECOND * {"s": 1, "ms": 1000}[unit]
    refuse(column, (times > limit) | (times < -limit), f"not a time in {unit} since 1970")
    return pl.select(pl.from_epoch(times, unit))[column.name]


def parse_labels(column: pl.Series) -> pl.Series:
    """Click labels as Float32 of zeros and ones."""
    _refuse_nulls(column)
    if not (column.dtype.is_numeric() or column.dtype in (pl.String, pl.Boolean)):
        raise InputError(f"column {column.name!r} holds {column.dtype}, not labels")
    numbers = column.cast(pl.Float64, strict=False)
    refuse(column, ~numbers.is_in([0.0, 1.0]).fill_null(False), "not a label (0 or 1)")
    return numbers.cast(pl.Float32)


def _refuse_nulls(column: pl.Series) -> None:
    refuse(column, column.is_null(), "missing")


def refuse(column: pl.Series, bad: pl.Series, why: str) -> None:
    """Refuses a column with ``bad`` rows, naming the first of them.

    Raises:
        InputError: if there is one.
    """
    if bad.any():
        row = bad.arg_true()[0]
        raise InputError(
            f"column {column.name!r}, row {row} (from 0): {shown_value(column, row)} is {why}"
            f" ({bad.sum()} such rows)"
        )


def shown_value(column: pl.Series, row: int) -> str:
    """A column's value as a message shows it."""
    try:
        return shown(column[row])
    except (ValueError, OverflowError, pl.exceptions.PanicException):
        return f"{shown(column.to_physical()[row])} as {column.dtype}"  # a year beyond Python's
