import datetime
import math
from decimal import Decimal

import hypothesis.strategies as st
import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings

from resemb_gnn import InputError
from resemb_gnn.data import Feature, Features, FeatureTable, read_features
from resemb_gnn.data.features import FIRST, MISSING, UNKNOWN, read_feature

DAY = datetime.date(2024, 5, 31)
NOON = datetime.datetime(2024, 5, 31, 12)


def one(values, dtype=None, kind=None):
    return read_feature(pl.Series("x", values, dtype), kind)


@pytest.mark.parametrize(
    ("values", "dtype", "kind"),
    [
        (["a", None, ""], None, "category"),
        ([3, None, 1], None, "category"),
        ([True, None], None, "category"),
        ([Decimal("3")], pl.Decimal(10, 0), "category"),
        ([None, None], None, "category"),
        (["a", "b"], pl.Categorical, "category"),
        (["1.5", "x"], None, "category"),
        (["007", "12"], None, "category"),  # such as postal codes
        (["", ""], None, "category"),
        (["2024-05", "2024-06"], None, "category"),
        (["1.5", "", None, "2"], None, "numeric"),
        (["1.0", "2.0"], None, "numeric"),  # as pandas writes whole numbers beside missing ones
        (["2024-05-31", None], None, "numeric"),
        ([1.5, None], None, "numeric"),
        ([1.0, 2.0], None, "numeric"),
        ([Decimal("1.50")], None, "numeric"),
        ([DAY, None], None, "numeric"),
        ([NOON], None, "numeric"),
        ([["a"], [], None], None, "list"),
        ([[1, 2], [3, 4]], None, "list"),
        ([[1.5, 2.0], [2.5]], None, "list"),
        ([[1.5, 2.0], None, [], [2.5, 1.0]], None, "vector"),
        ([[1.5, 2.0]], pl.Array(pl.Float32, 2), "vector"),
        ([None], pl.Array(pl.Float32, 2), "vector"),
        ([[1, 2]], pl.Array(pl.Int64, 2), "list"),
    ],
)
def test_kinds_by_type(values, dtype, kind):
    assert one(values, dtype).kind == kind


def test_categories():
    found = one(["b", None, "a", "", "b"])
    assert found.vocabulary.to_list() == ["a", "b"]
    assert found.values.tolist() == [FIRST + 1, MISSING, FIRST, MISSING, FIRST + 1]
    assert found.missing().tolist() == [False, True, False, True, False]
    assert found.num_codes == 4
    assert found.decode().to_list() == ["b", None, "a", None, "b"]
    assert one(["b", "a"], pl.Categorical).vocabulary.to_list() == ["a", "b"]
    nothing = one([None, None])
    assert (nothing.num_codes, nothing.decode().to_list()) == (FIRST, [None, None])


@pytest.mark.parametrize(
    ("values", "kind", "numbers"),
    [
        (["1.5", "", None, "2e3"], None, [1.5, None, None, 2000]),
        ([1.5, math.nan, math.inf, -math.inf, 1e300], None, [1.5, None, None, None, None]),
        ([Decimal("1.25"), None], None, [1.25, None]),
        ([True, False, None], "numeric", [1, 0, None]),
        ([3, None], "numeric", [3, None]),
        ([None, None], "numeric", [None, None]),
        ([datetime.date(1970, 1, 2), None], None, [86_400, None]),
        (["1970-01-02", "1970-01-01T00:00:01Z", ""], None, [86_400, 1, None]),
        ([datetime.timedelta(seconds=5)], "numeric", [5]),
        ([datetime.time(0, 1)], "numeric", [60]),
    ],
)
def test_numbers(values, kind, numbers):
    found = one(values, kind=kind)
    assert found.kind == "numeric"
    assert found.values.dtype == torch.float32
    assert found.decode().to_list() == numbers
    assert found.missing().tolist() == [number is None for number in numbers]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_dates_are_the_same_numbers_in_every_unit(unit):
    seconds = np.float32(NOON.replace(tzinfo=datetime.UTC).timestamp())
    assert one([NOON], pl.Datetime(unit)).values.tolist() == [seconds]


def test_lists():
    found = one([["b", "a"], [], None, [None, "a"], ["", "b"]])
    assert found.vocabulary.to_list() == ["a", "b"]
    assert found.values.tolist() == [3, 2, 2, 3]
    assert found.ptr.tolist() == [0, 2, 2, 2, 3, 4]
    assert found.missing().tolist() == [False, True, True, False, False]
    assert found.decode().to_list() == [["b", "a"], None, None, ["a"], ["b"]]
    assert one([[1, 2]], pl.Array(pl.Int64, 2)).vocabulary.to_list() == [1, 2]
    assert one([None, None], pl.List(pl.Int64)).ptr.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("values", "dtype", "words"),
    [
        ([[2.5, math.nan], [1.5, None, 2.5], [math.nan]], None, [[2.5], [1.5, 2.5], None]),
        ([["b", ""], ["a"], [""]], pl.List(pl.Categorical), [["b"], ["a"], None]),
    ],
)
def test_a_missing_value_of_a_list_is_left_out_in_any_type(values, dtype, words):
    found = one(values, dtype).check()
    assert found.kind == "list"
    assert found.decode().to_list() == words


def test_vectors():
    rows = [[1.5, 2.0], None, [], [math.nan, 1.0], [3.0, None], [math.inf, 1.0], [0.0, -1.0]]
    found = one(rows)
    assert found.values.shape == (7, 2)
    assert found.decode().to_list() == [[1.5, 2.0], *[None] * 5, [0.0, -1.0]]
    assert found.missing().tolist() == [False, *[True] * 5, False]
    words = one([["1", "2.5"], None], kind="vector")
    assert words.values[0].tolist() == [1, 2.5]
    assert one([None, None], pl.Array(pl.Float32, 3)).values.shape == (2, 3)


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        (["a"], "categry", r"kind 'categry' of the feature 'x' is unknown.*mean category\?"),
        (["1.5", "x", "y"], "numeric", r"column 'x', row 1 .*: 'x' is no number.*\(2 such rows\)"),
        ([["a"]], "numeric", r"column 'x' holds List\(String\), which cannot .* 'numeric'"),
        ([["a"]], "category", r"which cannot be a feature of kind 'category'"),
        (["a"], "list", r"column 'x' holds String, .* kind 'list' \(.*list separator"),
        (["a"], "vector", r"kind 'vector'"),
        ([None, [1.0, 2.0], [1.0]], "vector", r"column 'x', row 2 .*\[1\.0\] is no vector of 2"),
        ([["1", "2"], None, ["3", "y"]], "vector", r"row 2 \(from 0\): 'y' is no number"),
        ([[], None], "vector", r"column 'x' holds no vector"),
        ([{"a": 1}], None, r"holds Struct.*, which cannot be a feature"),
        ([b"a"], None, r"holds Binary, which cannot be a feature"),
        ([datetime.timedelta(1)], "category", "holds Duration.*'category'"),
        ([[[1]]], None, r"column 'x' holds List\(Int64\), which cannot"),
        (
            ["", None, "2024-02-30"],
            None,
            r"row 2 \(from 0\): '2024-02-30' is not a time",
        ),
        (
            [[1.5], [], [2.5, 1.5, math.inf]],
            None,
            r"row 2 \(from 0\): inf is not an id",
        ),
    ],
)
def test_what_cannot_be_a_feature_is_refused(values, kind, message):
    with pytest.raises(InputError, match=message):
        one(values, kind=kind)


@pytest.mark.parametrize("dtype", [pl.Date, pl.Datetime("ms"), pl.Duration("ms")])
def test_a_date_that_microseconds_do_not_reach_is_refused(dtype):
    days = pl.Series("x", [1, 2**31 - 1 if dtype == pl.Date else 2**62]).cast(dtype)
    with pytest.raises(InputError, match=r"column 'x', row 1 .* as D.* is no number"):
        read_feature(days, "numeric")


def test_vectors_without_a_number_are_refused():
    with pytest.raises(InputError, match="column 'x' holds no vector: each of its lists is empty"):
        one([[], []], pl.Array(pl.Float32, 0))


def test_a_missing_column_is_named():
    frame = pl.DataFrame({"brand": ["a"]})
    with pytest.raises(InputError, match=r"no column 'brnd', but \['brand'\]; did you mean brand"):
        read_features(frame, ["brnd"])


TRAINED = pl.DataFrame(
    {
        "brand": ["b", "a", None],
        "code": [7, 5, 7],
        "new": [True, False, None],
        "price": [1.5, None, 2.5],
        "tags": [["p", "q"], [], ["q"]],
        "at": [DAY, DAY, None],
        "vec": pl.Series([[1.0, 2.0]] * 3, dtype=pl.Array(pl.Float32, 2)),
    }
)


def table():
    return read_features(TRAINED, TRAINED.columns, {"at": "category"})


def encoded(**columns):
    """One row of the trained table with other values."""
    row = TRAINED[:1].with_columns(**{name: pl.Series(value) for name, value in columns.items()})
    return table().encode(row, list_separator="|").features


def test_other_rows_have_the_vocabularies_of_the_table():
    frame = pl.DataFrame(
        {
            "other": [1, 2, 3],
            "brand": ["a", "z", ""],
            "code": ["7", "5", "99"],  # as a CSV has them
            "new": ["True", "0", None],
            "price": ["2", "", "1e9"],
            "tags": ["q|z", "", "p"],
            "at": [DAY, DAY + datetime.timedelta(1), None],
            "vec": ["0.5|1", None, "nan|2"],
        }
    )
    found = table().encode(frame, list_separator="|")
    assert list(found.features) == TRAINED.columns
    values = {name: feature.values.tolist() for name, feature in found.features.items()}
    assert values["brand"] == [FIRST, UNKNOWN, MISSING]
    assert values["code"] == [FIRST + 1, FIRST, UNKNOWN]
    assert values["new"] == [FIRST + 1, FIRST, MISSING]
    assert found.features["price"].decode().to_list() == [2, None, 1e9]
    assert values["tags"] == [FIRST + 1, UNKNOWN, FIRST]
    assert found.features["tags"].ptr.tolist() == [0, 2, 2, 3]
    assert values["at"] == [FIRST, UNKNOWN, MISSING]
    assert found.features["vec"].decode().to_list() == [[0.5, 1], None, None]
    for name, feature in found.features.items():
        assert feature.kind == table().features[name].kind
        assert feature.num_codes == table().features[name].num_codes


def test_rows_without_any_value_can_be_encoded():
    nothing = pl.DataFrame({name: [None, None] for name in TRAINED.columns})
    found = table().encode(nothing)
    assert all(feature.missing().all() and len(feature) == 2 for feature in found)
    assert found.features["vec"].values.shape == (2, 2)
    assert len(table().encode(TRAINED[:0])) == 0


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ({"code": ["home"]}, r"'code', row 0 .*'home' is of another type than .*Int64, such as 5"),
        ({"code": [7.5]}, r"'code', row 0 \(from 0\): 7\.5 is of another type"),
        ({"code": [DAY]}, r"'code', row 0 .*2024.* is of another type"),
        ({"code": [True]}, r"'code', row 0 .*True is of another type"),
        ({"code": [[7]]}, r"column 'code' holds List\(Int64\), which cannot"),
        ({"brand": [DAY]}, r"'brand', row 0 .* is of another type .* String, such as 'a'"),
        ({"new": ["maybe"]}, r"'new', row 0 .*'maybe' is no truth value"),
        ({"price": ["dear"]}, r"'price', row 0 .*'dear' is no number"),
        ({"tags": [[DAY]]}, r"'tags', row 0 .* is of another type"),
        ({"tags": [7.5]}, r"'tags' holds Float64, which cannot be a feature of kind 'list'"),
        ({"at": [5]}, r"'at', row 0 .*: 5 is of another type .* Date, such as"),
        ({"vec": [[1.0, 2.0, 3.0]]}, r"'vec', row 0 .* is no vector of 2 numbers"),
    ],
)
def test_a_column_of_another_type_is_refused(column, message):
    with pytest.raises(InputError, match=message):
        encoded(**column)


def test_the_row_of_a_value_in_a_list_is_named():
    trained = read_features(pl.DataFrame({"x": [[1], [2]]}), ["x"])
    other = pl.DataFrame({"x": [["1", "2"], [], ["1"], ["2", "b"]]})
    with pytest.raises(InputError, match=r"column 'x', row 3 \(from 0\): 'b' is of another type"):
        trained.encode(other)
    trained = read_features(pl.DataFrame({"x": [[True], [False]]}), ["x"])
    other = pl.DataFrame({"x": [["true"], [], ["maybe"]]})
    with pytest.raises(InputError, match=r"row 2 \(from 0\): 'maybe' is no truth value"):
        trained.encode(other)


def test_what_was_read_by_itself_is_renumbered():
    frame = TRAINED.with_columns(code=pl.Series([5.0, None, 9.0]))
    other = read_features(frame, frame.columns, {"at": "category"})
    assert other.features["code"].kind == "numeric"
    found = table().recode(other).features
    assert found["code"].values.tolist() == [FIRST, MISSING, UNKNOWN]
    assert found["brand"].values.tolist() == table().features["brand"].values.tolist()
    grown = table().recode(other, grow=True).features["code"]
    assert grown.vocabulary.to_list() == [5, 7, 9]


def test_lists_of_one_that_were_read_as_a_category_are_lists():
    frame = TRAINED.with_columns(tags=pl.Series(["q", "z", None]))
    found = table().recode(read_features(frame, frame.columns, {"at": "category"}))
    assert found.features["tags"].values.tolist() == [FIRST + 1, UNKNOWN]
    assert found.features["tags"].ptr.tolist() == [0, 1, 2, 2]


@pytest.mark.parametrize("dtype", [pl.String, pl.Int64, pl.Float32, pl.Date, pl.List(pl.Date)])
def test_a_column_without_values_is_of_every_kind(dtype):
    nothing = TRAINED.clear(2).cast(dict.fromkeys(TRAINED.columns, pl.Null))
    nothing = nothing.with_columns(pl.all().cast(dtype))
    for found in (table().encode(nothing), table().recode(read_features(nothing, TRAINED.columns))):
        assert all(feature.missing().all() and len(feature) == 2 for feature in found)


@pytest.mark.parametrize(
    ("values", "later", "kind", "first"),
    [
        (["0.1", "x"], ["0.1", "0.2"], "category", r"'0\.1'"),  # .1 in 32 bits is another number
        ([0.1, 0.2], [0.1, None], "category", r"0\.1"),
        ([[0.1], [0.2, 0.1]], [[0.1], [0.2]], "list", r"0\.1"),
        ([DAY], [DAY], "category", "datetime.date"),
    ],
)
def test_decimal_numbers_that_were_read_as_such_are_no_values_of_a_vocabulary(
    values, later, kind, first
):
    trained = FeatureTable({"x": one(values, kind=kind)})
    message = rf"column 'x' was read as .* a {kind} .* as {first}.*kinds=\{{'x': '{kind}'\}}"
    with pytest.raises(InputError, match=message):
        trained.recode(FeatureTable({"x": one(later)}))
    found = trained.recode(FeatureTable({"x": one(later, kind=kind)})).features["x"]
    assert FIRST in found.values.tolist()
    nothing = FeatureTable({"x": one(later)[torch.tensor([0])]})
    nothing.features["x"].values[:] = math.nan
    assert trained.recode(nothing).features["x"].missing().tolist() == [True]


def test_a_column_that_is_missing_is_named():
    with pytest.raises(InputError, match=r"the column 'price' is missing.*did you mean Price\?"):
        table().encode(TRAINED.rename({"price": "Price"}))


# Texts of one letter are no numbers, truth values or dates, so that text stays a category. Names
# are what tables of the code's own might have.
_NUMBER = st.floats(width=32, allow_nan=False, allow_infinity=False)
_COLUMNS = {
    "text": (st.none() | st.text("abcxyz", max_size=1), pl.String),
    "whole": (st.none() | st.integers(-(2**40), 2**40), pl.Int64),
    "truth": (st.none() | st.booleans(), pl.Boolean),
    "number": (st.none() | _NUMBER, pl.Float32),
    "row": (st.none() | st.lists(st.none() | st.sampled_from("abc")), pl.List(pl.String)),
    "codes": (st.none() | st.lists(st.integers(0, 5)), pl.List(pl.Int64)),
    "vector": (st.none() | st.lists(_NUMBER, min_size=3, max_size=3), pl.Array(pl.Float32, 3)),
}
_ROWS = st.lists(st.tuples(*(values for values, _ in _COLUMNS.values())), max_size=20)


def _frame(rows):
    schema = {name: dtype for name, (_, dtype) in _COLUMNS.items()}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _plain(value):
    """A value as it comes back: an empty text or list is none, and a list has no missing ones."""
    if isinstance(value, list):
        value = [one for one in value if one is not None]
    return None if value in ("", []) else value


@settings(deadline=None)
@given(_ROWS)
def test_values_come_back_as_they_were(rows):
    frame = _frame(rows)
    found = read_features(frame, frame.columns)
    for again in (found.decode(), found.encode(frame).decode()):
        assert again.columns == frame.columns
        for name in frame.columns:
            assert again[name].to_list() == [_plain(value) for value in frame[name].to_list()]


@settings(deadline=None)
@given(_ROWS.filter(len), st.data())
def test_rows_are_fetched_one_by_one(rows, data):
    frame = _frame(rows)
    found = read_features(frame, frame.columns)
    places = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=9))
    part = found[torch.tensor(places, dtype=torch.long)]
    want = found.decode().to_dict(as_series=False)
    for name, feature in part.features.items():
        feature.check()
        assert len(feature) == len(places)
        assert feature.decode().to_list() == [want[name][place] for place in places]


def test_unknown_values_are_none_when_decoded():
    found = table().encode(TRAINED.with_columns(brand=pl.lit("z"), tags=pl.lit(["z", "q"])))
    assert found.decode()["brand"].to_list() == [None] * 3
    assert found.decode()["tags"].to_list() == [["q"]] * 3


@pytest.mark.parametrize(
    "parts",
    [
        {"values": torch.tensor([4]), "vocabulary": pl.Series(["a", "b"])},
        {"values": torch.tensor([-1]), "vocabulary": pl.Series(["a"])},
        {"values": torch.tensor([0]), "vocabulary": pl.Series(["a"]), "ptr": torch.tensor([0, 1])},
        {"values": torch.tensor([2]), "vocabulary": pl.Series(["a"]), "ptr": torch.tensor([0, 2])},
        {"values": torch.tensor([2]), "vocabulary": pl.Series(["a"]), "ptr": torch.tensor([1, 1])},
        {"values": torch.zeros(0), "vocabulary": pl.Series(["a"]), "ptr": torch.tensor([])},
        {
            "values": torch.tensor([2]),
            "vocabulary": pl.Series(["a"]),
            "ptr": torch.tensor([0, 2, 1]),
        },
        {"values": torch.zeros(2), "ptr": torch.tensor([0, 2])},
        {"values": torch.zeros(2, 2, 2)},
        {"values": torch.zeros(2, 2), "vocabulary": pl.Series(["a"])},
    ],
)
def test_parts_that_do_not_fit_are_refused(parts):
    with pytest.raises(InputError, match="the parts of the feature 'x' do not fit"):
        Feature("x", **parts).check()


def test_tables_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match=r"differ in length: \{'a': 1, 'b': 2\}"):
        FeatureTable({"a": Feature("a", torch.zeros(1)), "b": Feature("b", torch.zeros(2))})
    same = read_features(TRAINED, ["brand", "price"])
    with pytest.raises(InputError, match="'brand' is a feature of items and of context: rename"):
        Features(same, None, read_features(TRAINED, ["code", "brand"]))


def test_summary():
    brand, price = read_features(TRAINED, ["brand", "price"]).summary()
    third = float(np.float32(1 / 3))
    assert brand == {"name": "brand", "kind": "category", "num_values": 2, "missing": third}
    assert price == {"name": "price", "kind": "numeric", "num_values": None, "missing": third}
