"""What an id is, against the definition written once more in plain Python."""

import datetime
from decimal import Decimal

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import example, given, settings

from resemb_gnn import InputError
from resemb_gnn.io.ids import find_ids, id_column, id_texts, parse_ids


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["10", "9", "-3"], [10, 9, -3]),
        (["9223372036854775807", "-9223372036854775808"], [2**63 - 1, -(2**63)]),
        (["007", "7"], ["007", "7"]),  # leading zero
        (["9223372036854775808", "1"], ["9223372036854775808", "1"]),  # beyond int64
        (["+1", "2"], ["+1", "2"]),
        (["-0", "1"], ["-0", "1"]),
        (["1.0", "2"], ["1.0", "2"]),
        (["a", "1"], ["a", "1"]),
        ([2**63, 1], [2**63, 1]),
        ([1.5, 2.0], [1.5, 2.0]),
        ([7.0, -0.0], [7, 0]),  # of integers with missing values pandas makes float numbers
        ([Decimal("7.00"), Decimal("-3")], [7, -3]),
        ([Decimal("7.90"), Decimal("100.00")], ["7.9", "100"]),
        ([Decimal(2**63), Decimal(1)], ["9223372036854775808", "1"]),
        ([True, False], [True, False]),
    ],
)
def test_parse_ids(values, expected):
    ids = parse_ids(pl.Series("item", values)).to_list()
    assert ids == expected
    assert [type(value) for value in ids] == [type(value) for value in expected]


def test_parse_ids_sorts_categories_of_a_frame_as_strings():
    for dtype in (pl.Categorical(), pl.Enum(["b", "a"])):
        column = parse_ids(pl.Series(["b", "a"], dtype=dtype))
        assert column.dtype == pl.String


@pytest.mark.parametrize("dtype", [pl.Int8, pl.UInt32, pl.UInt64, pl.Int128, pl.Float32])
def test_whole_numbers_are_int64_whatever_their_type(dtype):
    ids = parse_ids(pl.Series([7, 0], dtype=dtype))
    assert ids.dtype == pl.Int64
    assert ids.to_list() == [7, 0]


def test_parse_ids_nullable():
    with pytest.raises(InputError, match="not exact"):
        parse_ids(pl.Series([1.0, 2.0**53, None]), nullable=True)
    assert parse_ids(pl.Series(["10", None, "9"]), nullable=True).to_list() == [10, None, 9]
    assert parse_ids(pl.Series(["x", None]), nullable=True).to_list() == ["x", None]
    assert parse_ids(pl.Series([1.0, np.nan]), nullable=True).to_list() == [1.0, None]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pl.Series("item", [5, None, None]), r"'item', row 1 \(from 0\): None is missing \(2 such"),
        (pl.Series("item", [None, "x"]), r"'item', row 0 \(from 0\): None is missing"),
        (pl.Series("item", [1.0, np.nan]), r"'item', row 1 \(from 0\): nan is not an id"),
        (pl.Series("item", [1.0, 2.0**53]), "row 1 .*9007199254740992.0 is not an id.*not exact"),
        (pl.Series("item", [2.0**24], dtype=pl.Float32), "16777216.0 is not an id.*not exact"),
        (pl.Series("item", ["a", ""]), r"row 1 \(from 0\): None is missing"),
        (pl.Series("item", ["a", ""], dtype=pl.Categorical), "row 1 .*None is missing"),
        (pl.Series("item", [b"\xff"]), "'item' holds Binary, which cannot be an id"),
        (pl.Series("item", [[1], [2]]), r"'item' holds List\(Int64\)"),
        (pl.Series("item", [datetime.timedelta(7)]), "'item' holds Duration.*, which cannot be"),
        (pl.Series("item", [{"a": 1}]), r"'item' holds Struct"),
        (pl.Series("item", [object()], dtype=pl.Object), r"'item' holds Object"),
    ],
)
def test_parse_ids_refuses(column, message):
    with pytest.raises(InputError, match=message):
        parse_ids(column)


def key(value, dtype):
    """What the same ids have in common; ``None`` of what is no id."""
    if isinstance(value, bool):
        return "truth value", value
    if isinstance(value, float):
        most = {pl.Float64: 2**53, pl.Float32: 2**24, pl.Float16: 2**11}[dtype.base_type()]
        if not abs(value) < most:
            return None
        return "written", str(int(value)) if value == int(value) else repr(value)
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return "written", text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, int | str):
        return "written", str(value)
    if isinstance(value, datetime.datetime):
        zone = value.tzinfo is not None
        return "moment", zone, value.astimezone(datetime.UTC) if zone else value
    return "day", value


DAYS = [datetime.date(1970, 1, 8), datetime.date(1970, 1, 2)]
MOMENTS = [datetime.datetime(1970, 1, 8), datetime.datetime(1970, 1, 1, 0, 0, 0, 7000)]
WHOLE = [-7, 0, 1, 7, 8, 2**24, 2**24 + 1, 2**53 - 1, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**70]
FLOATS = [-7.0, -0.0, 0.0, 1.0, 7.0, 7.875, 8.0, 2.0**24, 2.0**53, 2.0**63, float("inf")]
TEXTS = [
    "-7", "0", "-0", "1", "7", "07", "+7", " 7", "7 ", "7.0", "7.875", "7e0", "7_0",
    "\u0667", "\uff17", "true", "True", "1970-01-08", "16777216", "9007199254740993",
    "9223372036854775808", "1180591620717411303424", "inf", "nan", "x",
]  # fmt: skip
NUMBERS = {
    pl.Int8: 2**7, pl.UInt8: 2**8, pl.Int32: 2**31, pl.UInt32: 2**32, pl.Int64: 2**63,
    pl.UInt64: 2**64, pl.Int128: 2**127,
}  # fmt: skip
POOLS = {
    kind: [n for n in WHOLE if n < end and (n >= 0 or str(kind)[0] != "U")]
    for kind, end in NUMBERS.items()
}
POOLS |= {pl.Float64: FLOATS, pl.Float32: FLOATS, pl.Float16: FLOATS[:7]}
POOLS |= {pl.Decimal(38, 2): [Decimal("7.00"), Decimal("7.90"), Decimal("-7"), Decimal("0.50")]}
POOLS |= {pl.Decimal(38, 0): [Decimal(7), Decimal(100), Decimal(2**63)]}
POOLS |= {pl.String: TEXTS, pl.Categorical: TEXTS, pl.Enum(TEXTS): TEXTS, pl.Boolean: [True, False]}
POOLS |= {pl.Date: DAYS}
POOLS |= {pl.Datetime(unit): MOMENTS for unit in ("ms", "us", "ns")}
POOLS |= {pl.Datetime("us", zone): MOMENTS for zone in ("UTC", "Europe/Berlin")}


@st.composite
def columns(draw):
    dtype = draw(st.sampled_from(list(POOLS)))
    values = draw(st.lists(st.sampled_from(POOLS[dtype]), min_size=1, max_size=8))
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        naive = pl.Series("item", values, dtype=pl.Datetime("us"))
        return naive.dt.replace_time_zone("UTC").dt.convert_time_zone(dtype.time_zone)
    return pl.Series("item", values, dtype=dtype)


@given(columns(), columns())
@settings(max_examples=400, deadline=None)
@example(pl.Series(["007", "7", "+7"]), pl.Series([7]))
@example(pl.Series([7.9, 7.0]), pl.Series([7]))
@example(pl.Series(DAYS), pl.Series([7]))
@example(pl.Series([True]), pl.Series([1]))
@example(pl.Series([2.0**53]), pl.Series([2**53, 2**53 + 1]))
@example(pl.Series([0.1], dtype=pl.Float32), pl.Series([0.1]))
def test_an_id_is_known_only_if_it_is_the_same_id(ids, known):
    keys = [key(value, known.dtype) for value in known]
    first = [place for place, one in enumerate(keys) if one and one not in keys[:place]]
    known, keys = known.gather(first), [keys[place] for place in first]
    wanted = [key(value, ids.dtype) for value in ids]
    expected = [keys.index(one) if one in keys else None for one in wanted]
    found = find_ids(ids, parse_ids(known))
    assert found.dtype == pl.Int64
    assert found.to_list() == expected
    for one, place in zip(range(len(ids)), expected, strict=True):  # each by itself, too
        assert find_ids(ids[one : one + 1], parse_ids(known)).to_list() == [place]


@given(columns(), columns())
@settings(max_examples=300, deadline=None)
def test_the_same_ids_have_the_same_text(ids, others):
    ids, others = (
        parse_ids(column.filter([key(value, column.dtype) is not None for value in column]))
        for column in (ids, others)
    )
    same = [[key(a, ids.dtype) == key(b, others.dtype) for b in others] for a in ids]
    written = [column.dtype.is_numeric() or column.dtype == pl.String for column in (ids, others)]
    if all(written):
        assert same == [[a == b for b in id_texts(others)] for a in id_texts(ids)]


@pytest.mark.parametrize("missing", [None, "", float("nan")])
def test_a_missing_id_is_refused_wherever_it_is_looked_for(missing):
    some = "a" if missing == "" else 1.5
    with pytest.raises(InputError, match=r"column 'item', row 1 \(from 0\): None is missing"):
        find_ids(pl.Series("item", [some, missing, missing]), pl.Series([7]))


def test_nothing_is_known_to_no_vocabulary_and_nothing_asked_is_nothing_found():
    for dtype in (pl.Int64, pl.String, pl.Null, pl.Boolean, pl.Datetime("us")):
        assert find_ids(pl.Series([], dtype=dtype), pl.Series([7])).to_list() == []
        assert find_ids(pl.Series([7]), pl.Series([], dtype=dtype)).to_list() == [None]


@pytest.mark.parametrize(
    "ids", [[7, 8], (7, 8), range(7, 9), np.array([7, 8]), pd.Series([7, 8], [3, 1])]
)
def test_ids_of_a_caller_as_a_column(ids):
    column = id_column(ids, "item")
    assert column.name == "item"
    assert column.to_list() == [7, 8]


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([7, "x"], "no ids of one kind"),
        ([7, 7.9], "no ids of one kind"),
        ([7, True], "no one kind: truth values and others"),
        ([True, None, "x"], "no one kind: truth values and others"),
        ([2**140], "no ids of one kind: int value too large"),
        ([Decimal("NaN")], "no ids of one kind"),  # polars panics
        (pd.Series([7j]), "no ids of one kind"),
        ({7}, "no ids of one kind"),
        (7, "no ids of one kind"),
        ("u01", "must be a sequence of ids, not 'u01'"),
    ],
)
def test_what_is_no_column_of_ids(ids, message):
    with pytest.raises(InputError, match=f"column 'item' .*{message}"):
        id_column(ids, "item")
