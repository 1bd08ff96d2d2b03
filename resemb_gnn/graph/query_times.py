"""What orders a log's rows by time in a query, as :mod:`resemb_gnn.io.times` orders them in memory.

Numbers, dates and timestamps are left to the engine at the resolution that they have there: a cast
to microseconds would round on one engine and cut off on another.
"""

from typing import TYPE_CHECKING, Any

from resemb_gnn.errors import InputError
from resemb_gnn.io.times import (
    DECIMAL,
    DECIMAL_DIGITS,
    EXPECTED,
    INTEGER,
    MOMENT,
    NUMBER,
    epoch_seconds,
)

if TYPE_CHECKING:
    from ibis.expr.types import BooleanValue, Column, StringValue, Table

_KINDS = ("whole numbers", "numbers", "numbers", "dates")  # of text, as it is tried
_INT64 = range(-(2**63), 2**63)


def order_by_time(table: "Table", name: str) -> "tuple[BooleanValue | None, list[Column]]":
    """Which rows of a column hold no time (``None`` if it cannot be), and what orders the others.

    Of a column of text a query tells how it is meant; it runs at once.

    Raises:
        InputError: if the column's type is none of times, or rows of text are none.
    """
    column = table[name]
    kind = column.type()
    bad: BooleanValue | None = None
    if kind.is_string():
        return None, _order_of_text(table, name)
    if kind.is_floating():
        # DuckDB 2.0 answers isnan() from a Parquet file's statistics, which leave NaN out.
        bad = column - column != 0
    elif kind.is_unsigned_integer() or (kind.is_decimal() and kind.scale == 0):
        bad = (column < _INT64[0]) | (column > _INT64[-1])
    elif kind.is_date():
        # beyond what microseconds reach
        bad = column.notnull() & column.try_cast("timestamp(6)").isnull()
    elif not (
        kind.is_integer()
        or kind.is_decimal()
        or kind.is_timestamp()
        # DuckDB's of nanoseconds with a zone, of which Ibis 12 knows the name alone.
        or (kind.is_unknown() and str(kind.raw_type) == "TIMESTAMPTZ_NS")
    ):
        raise InputError(f"column {name!r} holds {kind}, which is not a time")
    return bad, [column]


def _order_of_text(table: "Table", name: str) -> "list[Column]":
    """By the first reading that fits all rows, as :func:`resemb_gnn.io.times.read_times` has it."""
    import ibis

    text: StringValue = table[name]

    def where(pattern: str, kind: str) -> Any:
        # An engine's cast takes more, such as blanks, and rounds 9.5 to an integer.
        return ibis.ifelse(text.re_search(pattern), text.try_cast(kind), ibis.null(kind))

    number = where(NUMBER, "float64")
    readings = [
        [where(INTEGER, "int64")],
        [where(DECIMAL, "decimal({}, {})".format(*DECIMAL_DIGITS))],
        [ibis.ifelse(number - number == 0, number, ibis.null("float64"))],
        _moment(text),
    ]
    misfits = [(first.isnull() & text.notnull()).fill_null(False) for first, *_ in readings]
    sums = {f"wrong{place}": bad.sum() for place, bad in enumerate(misfits)}
    found = table.agg(rows=table.count(), **sums).to_pyarrow().to_pylist()[0]
    wrong = [found[f"wrong{place}"] or 0 for place in range(len(readings))]  # of no rows, none
    if min(wrong):
        message = f"column {name!r}: {min(wrong)} of {found['rows']} rows are not a time"
        if min(wrong) < found["rows"]:
            message += f" like the others, which are {_KINDS[wrong.index(min(wrong))]}"
        raise InputError(f"{message} ({EXPECTED})")
    return readings[wrong.index(0)]


def _moment(text: "StringValue") -> list[Any]:
    """Seconds since 1970 of a date in text, null where there is none, and the nanoseconds."""
    import ibis

    def part(group: int) -> Any:
        return text.re_extract(MOMENT, group)

    days = part(1).try_cast("date").delta(ibis.date(1970, 1, 1), unit="day")
    clock = [part(group).try_cast("int64").fill_null(0) for group in (2, 3, 4, 7, 8)]
    east = ibis.ifelse(part(6) == "-", -1, 1)
    nanoseconds = part(5).rpad(9, "0").try_cast("int64").fill_null(0)
    return [epoch_seconds(days, clock, east), nanoseconds]
