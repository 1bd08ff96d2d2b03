"""The query on DuckDB, against the in-memory builder on the same rows."""

from itertools import count, pairwise

import hypothesis.strategies as st
import polars as pl
import pytest
from hypothesis import given, settings

from resemb_gnn import BehaviorLog, InputError, covisit_edges, covisit_graph
from tests.ties import tie_key
from tests.time_columns import TIME_COLUMNS

ibis = pytest.importorskip("ibis", reason="needs the extra engines")
pytest.importorskip("duckdb", reason="needs the extra engines")


@pytest.fixture(scope="session")
def duckdb():
    return ibis.duckdb.connect(threads=1)


@pytest.fixture(scope="session")
def table_of(duckdb, tmp_path_factory):
    """A function that makes a DuckDB table of a frame; ``row`` is a row's place."""

    folder = tmp_path_factory.mktemp("tables")
    numbers = count()

    def make(frame):
        # Ibis 12's create_table fails beside sqlglot 30.
        path = folder / f"{next(numbers)}.parquet"
        frame.with_row_index("row").write_parquet(path)
        return duckdb.read_parquet(path)

    return make


def named_edges(log, **settings):
    """The in-memory builder's edges as rows of ids, each pair once."""
    graph = covisit_graph(log, **settings)
    low, high = graph.edge_index
    upper = low < high
    ids = log.item_ids
    columns = {
        "item": ids[low[upper].numpy()],
        "neighbor": ids[high[upper].numpy()],
        "weight": graph.edge_weight[upper].long().numpy(),
    }
    return pl.DataFrame(columns).sort("item", "neighbor").rows()


def queried_edges(edges):
    return edges.to_polars().select("item", "neighbor", "weight").sort("item", "neighbor").rows()


# Few users, items and times: most behaviours tie, and many pairs are of one item.
rows = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12), st.integers(0, 4)), min_size=1)


@given(rows, st.integers(1, 8), st.integers(1, 3), st.none() | st.integers(1, 3), st.booleans())
@settings(max_examples=40, deadline=None)
def test_edges_are_those_of_the_in_memory_builder(
    table_of, rows, window, min_count, top_k, strings
):
    """Strings of integers as numbers: as strings "10" comes before "9", and ties fall otherwise."""
    frame = pl.DataFrame(rows, schema=["user", "item", "time"], orient="row")
    if strings:
        frame = frame.with_columns(pl.col("item").cast(pl.String))
    settings = {"window": window, "min_count": min_count, "top_k": top_k}
    log = BehaviorLog.from_frame(frame, "user", "item", "time")
    edges = covisit_edges(table_of(frame), "user", "item", "time", **settings)
    assert queried_edges(edges) == named_edges(log, **settings)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["x", "y", "10", "é"]))))
@settings(max_examples=15, deadline=None)
def test_ids_that_are_strings(table_of, pairs):
    frame = pl.DataFrame([("a", "z"), *pairs], schema=["user", "item"], orient="row")
    frame = frame.with_columns(time=pl.lit(0.5))
    log = BehaviorLog.from_frame(frame, "user", "item", "time")
    edges = covisit_edges(table_of(frame), "user", "item", "time", top_k=1)
    assert queried_edges(edges) == named_edges(log, top_k=1)


def test_only_rows_of_label_one_count(table_of):
    """The row between them gone, 1 and 3 are neighbours."""
    frame = pl.DataFrame({"u": [0] * 4, "i": [1, 2, 3, 4], "t": [0, 1, 2, 3], "y": [1, 0, 1, 1]})
    edges = covisit_edges(table_of(frame), "u", "i", "t", window=1, label="y")
    assert queried_edges(edges) == [(1, 3, 1), (3, 4, 1)]


def test_columns_may_tell_the_order_of_one_time(table_of):
    frame = pl.DataFrame({"u": [0] * 8, "i": [5, 2, 7, 1, 8, 3, 6, 4], "t": [0] * 8})
    edges = covisit_edges(table_of(frame), "u", "i", "t", window=1, order="row")
    expected = sorted((*sorted(pair), 1) for pair in pairwise(frame["i"]))
    assert queried_edges(edges) == expected


@pytest.mark.parametrize("kind", TIME_COLUMNS)
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_behaviors_come_in_the_order_of_their_exact_times(table_of, kind, data):
    """On the engine and in memory, for every type of times."""
    times = data.draw(TIME_COLUMNS[kind])
    size = len(times.exact)
    frame = pl.DataFrame({"u": [0] * size, "i": range(size), "t": times.column})
    log = BehaviorLog.from_frame(frame, "u", "i", "t")
    edges = covisit_edges(table_of(frame), "u", "i", "t", window=1)
    order = sorted(range(size), key=lambda i: (times.exact[i], tie_key(0, i)))
    expected = sorted((*sorted(pair), 1) for pair in pairwise(order))
    assert queried_edges(edges) == named_edges(log, window=1) == expected


@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Paris"])
def test_times_that_differ_by_nanoseconds_are_told_apart(table_of, zone):
    times = pl.Series([3000, 2001, 2000, 0]).cast(pl.Datetime("ns", zone))
    frame = pl.DataFrame({"u": [0] * 4, "i": [1, 2, 3, 4], "t": times})
    log = BehaviorLog.from_frame(frame, "u", "i", "t")
    edges = covisit_edges(table_of(frame), "u", "i", "t", window=1)
    assert queried_edges(edges) == named_edges(log, window=1) == [(1, 2, 1), (2, 3, 1), (3, 4, 1)]


@pytest.mark.parametrize(
    "texts",
    [
        [" 5", "6"],
        ["1_000", "5"],
        ["0x10", "5"],
        ["1e400", "5"],
        ["nan", "5"],
        ["5", "2022-05-01"],
        ["2022-02-30", "2022-05-01"],
        ["2022-05-01\n", "2022-05-01"],
        ["01/02/2022", "2022-05-01"],
    ],
)
def test_texts_that_are_no_times_are_refused_as_in_memory(table_of, texts):
    """Of these DuckDB's own cast takes some."""
    frame = pl.DataFrame({"u": [0, 0], "i": [1, 2], "t": texts})
    with pytest.raises(InputError, match=r"'t', row [01] .* is not a time"):
        BehaviorLog.from_frame(frame, "u", "i", "t")
    with pytest.raises(InputError, match="'t': 1 of 2 rows are not a time"):
        covisit_edges(table_of(frame), "u", "i", "t")


def test_without_an_order_ties_come_in_the_order_of_items(table_of):
    frame = pl.DataFrame({"u": [0] * 3, "i": [3, 1, 2], "t": [0, 0, 0]})
    edges = covisit_edges(table_of(frame), "u", "i", "t", window=1)
    assert queried_edges(edges) == [(1, 2, 1), (2, 3, 1)]


FRAME = pl.DataFrame({"u": [0, 1], "i": [1, 2], "t": [0.0, 1.0], "y": [0, 1]})


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("u", [None, 1], "'u': 1 of 2 rows are missing"),
        ("i", [0.5, 1.5], "'i' holds float64, not integers or strings"),
        ("t", ["a", "b"], "'t': 2 of 2 rows are not a time"),
        ("t", ["5", None], "'t': 1 of 2 rows are missing"),
        ("t", pl.Series([2**63, 1], dtype=pl.UInt64), "'t': 1 of 2 rows are not a time"),
        ("t", pl.Series([2**70, 1], dtype=pl.Decimal(38, 0)), "'t': 1 of 2 rows are not a time"),
        ("t", pl.Series([106751992, 1]).cast(pl.Date), "'t': 1 of 2 rows are not a time"),
        ("t", [True, False], "'t' holds boolean, which is not a time"),
        ("t", [[1], [2]], "'t' holds array<int64>, which is not a time"),
        ("t", [0.0, float("nan")], "'t': 1 of 2 rows are not a time"),
        ("t", [0.0, float("inf")], "'t': 1 of 2 rows are not a time"),
        ("t", [0.0, None], "'t': 1 of 2 rows are missing"),
        ("y", [0, 2], r"'y': 1 of 2 rows are not a label \(0 or 1\)"),
        ("y", ["0", "1"], "'y' holds string, not labels"),
        ("y", [0, None], "'y': 1 of 2 rows are missing"),
    ],
)
def test_bad_rows_are_refused(table_of, column, values, message):
    frame = FRAME.with_columns(pl.Series(column, values, strict=False))
    with pytest.raises(InputError, match=message):
        covisit_edges(table_of(frame), "u", "i", "t", label="y")


def test_bad_arguments_are_refused(table_of):
    table = table_of(FRAME)
    with pytest.raises(InputError, match=r"no column 'v'; its columns are .*'u', 'i', 't', 'y'"):
        covisit_edges(table, "v", "i", "t")
    with pytest.raises(InputError, match="no column 'place'"):
        covisit_edges(table, "u", "i", "t", order=["row", "place"])
    with pytest.raises(InputError, match="holds no rows"):
        covisit_edges(table_of(FRAME.clear()), "u", "i", "t")
    for name in ("window", "min_count", "top_k"):
        with pytest.raises(InputError, match=f"{name} must be at least 1, not 0"):
            covisit_edges(table, "u", "i", "t", **{name: 0})


IDS = ["7", "8", "07", "+8", " 7", "7.0", "-0", "x", "9223372036854775808", "", None]
NUMBERS = [7.0, 8.0, -0.0, 2.0**53 - 1, 2.0**53, 2.0**63, float("inf"), float("nan"), None]


@given(
    st.lists(st.sampled_from(IDS[:2]), min_size=1)
    | st.lists(st.sampled_from(IDS[:-2]), min_size=1)
    | st.lists(st.sampled_from(IDS), min_size=1)
    | st.lists(st.sampled_from(NUMBERS[:4]), min_size=1)
    | st.lists(st.sampled_from(NUMBERS), min_size=1),
    st.sampled_from(["u", "i"]),
)
@settings(max_examples=40, deadline=None)
def test_what_is_an_id_to_the_log_is_one_to_the_query(table_of, ids, column):
    """Strings, and float numbers that are whole, as pandas makes them of integers."""
    kind = pl.Float64 if any(isinstance(one, float) for one in ids) else pl.String
    frame = pl.DataFrame({"u": [0] * len(ids), "i": range(len(ids)), "t": range(len(ids))})
    frame = frame.with_columns(pl.Series(column, ids, dtype=kind))
    try:
        log = BehaviorLog.from_frame(frame, "u", "i", "t")
    except InputError:
        with pytest.raises(InputError, match=f"'{column}'"):
            covisit_edges(table_of(frame), "u", "i", "t")
        return
    edges = covisit_edges(table_of(frame), "u", "i", "t")
    assert queried_edges(edges) == named_edges(log)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (["", "x"], "'i': 1 of 2 rows are missing"),
        ([1.0, None], "'i': 1 of 2 rows are missing"),
        ([True, False], "'i' holds boolean, not integers or strings"),
        (pl.Series([2.0**24, 1], dtype=pl.Float32), "'i' holds float32, not integers or strings"),
    ],
)
def test_bad_ids_are_refused(table_of, ids, message):
    frame = FRAME.with_columns(pl.Series("i", ids))
    with pytest.raises(InputError, match=message):
        covisit_edges(table_of(frame), "u", "i", "t")


def test_whole_decimal_numbers_are_integers(table_of):
    kind = pl.Decimal(10, 2)
    frame = pl.DataFrame({"u": [0] * 3, "i": pl.Series(["3", "1", "2"]).cast(kind), "t": [0, 1, 2]})
    edges = covisit_edges(table_of(frame), "u", "i", "t", window=1)
    log = BehaviorLog.from_frame(frame, "u", "i", "t")
    assert queried_edges(edges) == named_edges(log, window=1) == [(1, 2, 1), (1, 3, 1)]
