"""Times of behaviours, at the resolution that they come in.

A log keeps one number a behaviour: whole and float numbers as they are, decimal numbers with a
fraction as the nearest float number, dates as microseconds since 1970, rounded down. What this
number leaves out, nanoseconds and the digits of a decimal number, still orders the behaviours:
whatever reads a log, two that differ by a nanosecond do not change places. Only of the old 96-bit
timestamps of Parquet nothing below a microsecond is read, in no engine.

:mod:`resemb_gnn.graph.query_times` says the same in a query of other engines.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import polars as pl

from resemb_gnn.errors import InputError
from resemb_gnn.io.frame import as_text, refuse, refuse_nulls, shown_value

LAST_SECOND = 253_402_300_799  # since 1970, of the year 9999
# Texts that are times. Every engine reads these patterns alike, hence [0-9] rather than \d.
INTEGER = "^[+-]?[0-9]+$"
DECIMAL = "^[+-]?([0-9]{1,20}([.][0-9]{0,18})?|[.][0-9]{1,18})$"  # fits DECIMAL_DIGITS
NUMBER = "^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?$"
# Groups: date, hour, minute, second, fraction, sign of the offset, its hours, its minutes.
MOMENT = (
    "^([0-9]{4}-[0-9]{2}-[0-9]{2})"
    "(?:[T ]([01][0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9])(?:[.]([0-9]{1,9}))?)?"
    "(?: ?(?:Z|UTC|([+-])([01][0-9]|2[0-3])(?::?([0-5][0-9]))?))?)?$"
)
EXPECTED = "a number, or a date as 2024-05-31, 2024-05-31T12:00:00 or 2024-05-31 12:00:00+02:00"
DECIMAL_DIGITS = (38, 18)  # all of them, and those of the fraction


class Times(NamedTuple):
    """Times of a log.

    Args:
        numbers: what the log keeps, Int64 or Float64.
        finer: what orders those of one number, if they can differ.
    """

    numbers: pl.Series
    finer: pl.Series | None = None


def parse_times(column: pl.Series) -> pl.Series:
    """Times as Int64 (integers as they are, dates in microseconds since 1970) or Float64.

    Raises:
        InputError: naming the first row that holds none.
    """
    return read_times(column).numbers


def read_times(column: pl.Series) -> Times:
    """Times as :func:`parse_times` has them, and what orders them where these are the same.

    Raises:
        InputError: naming the first row that holds none.
    """
    refuse_nulls(column)
    column = as_text(column)
    kind = column.dtype
    if kind == pl.String:
        return _read_texts(column)
    if kind == pl.Time or kind == pl.Duration:
        raise InputError(f"column {column.name!r} holds {kind}, which is not a date")
    if kind.is_temporal():
        numbers = column.cast(pl.Datetime("us"), strict=False).to_physical()
        # As they are stored: of a year beyond 9999 Python has no date to show.
        beyond = "not a time: microseconds do not reach that far"
        refuse(column.to_physical(), numbers.is_null(), beyond)
        fine = isinstance(kind, pl.Datetime) and kind.time_unit == "ns"
        return Times(numbers, column.to_physical() if fine else None)
    if kind.is_integer() or (isinstance(kind, pl.Decimal) and kind.scale == 0):
        numbers = column.cast(pl.Int64, strict=False)
        refuse(column, numbers.is_null(), "not a time: it does not fit 64 bits")
        return Times(numbers)
    if kind.is_decimal():
        return Times(column.cast(pl.Float64), column)
    if kind.is_float():
        refuse(column, ~column.is_finite(), "not a time")
        return Times(column.cast(pl.Float64))
    raise InputError(f"column {column.name!r} holds {kind}, which is not a time")


def are_dates(column: pl.Series) -> bool:
    """Whether :func:`read_times` reads the column's values as dates rather than as numbers."""
    column = as_text(column)
    return column.dtype.is_temporal() or (
        column.dtype == pl.String and bool(column.str.contains(MOMENT).all())
    )


def _read_texts(column: pl.Series) -> Times:
    """Whichever reading fits most rows is the one that was meant; the rest is refused, a row that
    another reading fits beside one of those that it is unlike: neither is wrong by itself.
    """
    integers = column.cast(pl.Int64, strict=False)
    if not integers.null_count():
        return Times(integers)
    floats = column.cast(pl.Float64, strict=False)
    if floats.null_count():
        moments, nanoseconds = _read_moments(column)
        readings = (integers, floats, moments)
        best = min(readings, key=lambda reading: reading.null_count())
        refuse(column, best.is_null(), _why_none(column, best, readings))
        return Times(moments, nanoseconds if (nanoseconds > 0).any() else None)
    refuse(floats, ~floats.is_finite(), "not a time")
    plain = column.str.contains(DECIMAL).all()
    return Times(floats, column.cast(pl.Decimal(*DECIMAL_DIGITS)) if plain else None)


def _why_none(column: pl.Series, best: pl.Series, readings: Iterable[pl.Series]) -> str:
    """Why the first row that the best reading leaves out is no time, if there is one."""
    for row in best.is_null().arg_true()[:1]:
        if any(reading[row] is not None for reading in readings):
            like = best.is_not_null().arg_true()[0]
            return f"not a time like {shown_value(column, like)} of others: they have no order"
    return f"not a time ({EXPECTED})"


def _read_moments(texts: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Dates in text as microseconds since 1970, null where there is none, and the nanoseconds
    that are left, all Int64.
    """
    groups = pl.DataFrame({"text": texts.str.extract_groups(MOMENT)}).unnest("text")
    date, *clock, fraction, sign, zone_hour, zone_minute = map(pl.col, groups.columns)
    days = date.str.to_date("%Y-%m-%d", strict=False).cast(pl.Int64)
    clock = [part.cast(pl.Int64).fill_null(0) for part in (*clock, zone_hour, zone_minute)]
    east = pl.when(sign == "-").then(-1).otherwise(1)
    nanoseconds = fraction.str.pad_end(9, "0").cast(pl.Int64).fill_null(0)
    found = groups.select(
        micro=epoch_seconds(days, clock, east) * 1_000_000 + nanoseconds // 1000,
        nano=nanoseconds % 1000,
    )
    return found["micro"].alias(texts.name), found["nano"]


def epoch_seconds(days: Any, clock: Sequence[Any], east: Any) -> Any:
    """Seconds since 1970 of columns of any kind, polars' or an engine's.

    Args:
        days: since 1970.
        clock: hour, minute and second of the day, hours and minutes of the offset from UTC.
        east: 1 where the offset is to the east, -1 where it is to the west.
    """
    hour, minute, second, zone_hour, zone_minute = clock
    hours = days * 24 + hour - east * zone_hour
    return (hours * 60 + minute - east * zone_minute) * 60 + second


def parse_epoch(column: pl.Series, unit: Literal["s", "ms"]) -> pl.Series:
    """Numbers of seconds or milliseconds since 1970 as dates, of microseconds.

    A date beyond the year 9999 is refused: it is of another unit, and could wrap around.
    """
    times = parse_times(column)
    limit = LAST_SECOND * {"s": 1, "ms": 1000}[unit]
    refuse(column, (times > limit) | (times < -limit), f"not a time in {unit} since 1970")
    return pl.select(pl.from_epoch(times, unit))[column.name]
