import datetime
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resemb_gnn import InputError
from resemb_gnn.io.times import parse_times, read_times
from tests.time_columns import TIME_COLUMNS

NOON = int(datetime.datetime(2024, 5, 31, 12, tzinfo=datetime.UTC).timestamp()) * 1_000_000
HOUR = 3_600_000_000
DAYS = pl.Series("t", [106751991, 106751992], dtype=pl.Int32)  # the last day of 64 bits, the next


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3, -1], [3, -1]),
        ([3.5, -1.0], [3.5, -1.0]),
        (["10", "9"], [10, 9]),
        (["10", "9.5", "1e3"], [10.0, 9.5, 1000.0]),
        (["1717156800000001", "1717156800000002"], [1717156800000001, 1717156800000002]),
        (["2024-05-31T12:00:00", "2024-05-31T13:00:00"], [NOON, NOON + HOUR]),
        (["2024-05-31 12:00:00", "2024-05-31"], [NOON, NOON - 12 * HOUR]),
        (["2024-05-31T12:00:00.5", "2024-05-31T12:00:00"], [NOON + 500_000, NOON]),
        (["2024-05-31T12:00:00Z", "2024-05-31T12:00:00+02:00"], [NOON, NOON - 2 * HOUR]),
        (["2024-05-31 12:00:00 UTC", "2024-05-31 12:00:00.5 UTC"], [NOON, NOON + 500_000]),
        (["2024-05-31 12:00:00+00", "2024-05-31 12:00:00-01:30"], [NOON, NOON + 3 * HOUR // 2]),
        (["2024-05-31T12:00Z", "2024-05-31T12:00:00", "2024-05-31 12:00"], [NOON] * 3),
        ([Decimal("1717156800"), Decimal("-3")], [1717156800, -3]),
        ([Decimal("1717156800.123"), Decimal("0.1")], [1717156800.123, 0.1]),
        ([datetime.datetime(2024, 5, 31, 12)], [NOON]),
        ([datetime.datetime(2024, 5, 31, 12, tzinfo=datetime.UTC)], [NOON]),
        ([datetime.date(2024, 5, 31)], [NOON - 12 * HOUR]),
    ],
)
def test_parse_times(values, expected):
    times = parse_times(pl.Series("time", values))
    assert times.to_list() == expected
    assert times.dtype == (pl.Float64 if isinstance(expected[0], float) else pl.Int64)


@pytest.mark.parametrize("dtype", [pl.Int8, pl.UInt16, pl.UInt64, pl.Float32])
def test_parse_times_widens(dtype):
    times = parse_times(pl.Series([1, 2], dtype=dtype))
    assert times.to_list() == [1, 2]
    assert times.dtype == (pl.Float64 if dtype == pl.Float32 else pl.Int64)


def test_parse_times_of_nanoseconds():
    stamps = pl.Series([NOON * 1000 + 1999], dtype=pl.Int64).cast(pl.Datetime("ns"))
    assert parse_times(stamps).to_list() == [NOON + 1]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pl.Series("t", [1, None]), r"'t', row 1 \(from 0\): None is missing \(1 such row\)"),
        (pl.Series("t", ["1", None]), r"'t', row 1 \(from 0\): None is missing"),
        (pl.Series("t", [1.0, np.nan]), r"'t', row 1 \(from 0\): nan is not a time"),
        (pl.Series("t", [np.inf, 1.0]), r"'t', row 0 \(from 0\): inf is not a time"),
        (pl.Series("t", ["1.5", "nan"]), r"'t', row 1 \(from 0\): nan is not a time"),
        (pl.Series("t", ["5", "soon", "7"]), r"'t', row 1 \(from 0\): 'soon' is not a time"),
        (pl.Series("t", ["2024-05-31", "5", "2024-06-01"]), r"row 1 \(from 0\): '5' is not a time"),
        (
            pl.Series("t", ["2024-05-31", "5"]),
            r"row 0 .*'2024-05-31' is not a time like '5' of others",
        ),
        (pl.Series("t", ["1.5", "2024-05-31"]), r"row 1 .*not a time like '1.5' of others"),
        (
            pl.Series("t", ["2024-05-31", "2024-05-31 12:00+25"]),
            r"row 1 .*\+25' is not a time \(a number, or a date as .*:00\+02:00\) \(1 such row\)",
        ),
        (pl.Series("t", ["soon", "late"]), r"row 0 \(from 0\): 'soon' is.*\(2 such rows\)"),
        (pl.Series("t", [2**63], dtype=pl.UInt64), r"9223372036854775808 is not a time"),
        (
            pl.Series("t", [2**70], dtype=pl.Decimal(38, 0)),
            r"1180591620717411303424.* is not a time",
        ),
        (DAYS.cast(pl.Date), r"row 1 \(from 0\): 106751992 is not a time: microseconds do not"),
        (pl.Series("t", [2**62]).cast(pl.Datetime("ms", "UTC")), r"row 0 .* is not a time: micros"),
        (pl.Series("t", ["2022-02-29"]), r"'2022-02-29' is not a time"),
        (pl.Series("t", ["2022-05-01 10:00:00 CET"]), "is not a time"),
        (pl.Series("t", ["2022-05-01 24:00:00"]), "is not a time"),
        (pl.Series("t", ["2022-05-01 10:00:00+25"]), "is not a time"),
        (pl.Series("t", [True]), r"'t' holds Boolean, which is not a time"),
        (pl.Series("t", [[1]]), r"'t' holds List\(Int64\), which is not a time"),
        (pl.Series("t", [datetime.time(12)]), r"'t' holds Time, which is not a date"),
        (pl.Series("t", [datetime.timedelta(1)]), r"'t' holds Duration.*, which is not a date"),
    ],
)
def test_parse_times_refuses(column, message):
    with pytest.raises(InputError, match=message):
        parse_times(column)


def test_fields_that_only_look_like_dates_are_refused():
    # polars reads these: as the year 22, as the minute after, with the day before the month.
    for text in (
        "0022-3-06",
        "2022-03- 8T15:12:04",
        "222-03-06",
        "2022-03-04T16:31:60",
        "01/02/2022",
    ):
        with pytest.raises(InputError, match="is not a time"):
            parse_times(pl.Series("t", ["2022-03-01", text]))
        with pytest.raises(InputError, match="is not a time"):
            parse_times(pl.Series("t", [text]))


@pytest.mark.parametrize("kind", TIME_COLUMNS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_times_order_as_the_exact_values_do(kind, data):
    """Whatever the type: by the number that the log keeps, then by what it leaves out."""
    times = data.draw(TIME_COLUMNS[kind])
    found = read_times(times.column)
    assert found.numbers.to_list() == times.numbers
    keys = {"number": found.numbers}
    if found.finer is not None:
        keys["finer"] = found.finer
    order = pl.DataFrame(keys).with_row_index("row").sort(list(keys), maintain_order=True)
    exact = sorted(range(len(times.exact)), key=times.exact.__getitem__)
    assert order["row"].to_list() == exact


def test_categories_that_are_dates():
    column = pl.Series("t", ["2024-05-31T12:00:00", "2024-05-31"], dtype=pl.Categorical)
    assert parse_times(column).to_list() == [NOON, NOON - 12 * HOUR]
