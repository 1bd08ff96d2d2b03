"""Graphs that DuckDB counted in parts on disk, against the in-memory builder."""

import os
import sys

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
import torch

from resemb_gnn import (
    BehaviorLog,
    InputError,
    covisit_graph,
    read_covisit_graph,
    write_covisit_graph,
)
from resemb_gnn.datasets.sequence_file import read_sequence_file
from resemb_gnn.graph import covisit_parts

pytest.importorskip("ibis", reason="needs the extra engines")
pytest.importorskip("duckdb", reason="needs the extra engines")


@pytest.fixture(scope="module")
def frame():
    """5,000 behaviours of 100 users on 80 items, of which most tie in time."""
    rng = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "user": rng.integers(100, size=5000),
            "item": (80 * rng.random(5000) ** 2).astype(int).astype(str),
            "time": rng.integers(10, size=5000),
            "label": rng.integers(2, size=5000),
        }
    )


def _write(path, out, **settings):
    write_covisit_graph(path, out, "user", "item", "time", threads=1, **settings)


def _check(graph, expected):
    graph.validate()
    assert graph.num_nodes == expected.num_nodes
    for name in ("edge_index", "edge_weight", "count"):
        one, other = graph[name], expected[name]
        assert one.dtype == other.dtype
        assert torch.equal(one, other)


@pytest.fixture(params=[1, 5], ids=["one part", "many parts"])
def parts(request, monkeypatch):
    """Makes the rows so large that users, and items, are cut into so many parts."""
    if request.param > 1:
        memory = 2**28
        monkeypatch.setattr(covisit_parts, "BEHAVIOR_BYTES", request.param * memory // 5000)
        monkeypatch.setattr(covisit_parts, "PAIR_BYTES", request.param * memory // 50_000)
    return request.param


@pytest.mark.parametrize("settings", [{}, {"window": 2, "top_k": 3}, {"min_count": 3}])
def test_graph_is_that_of_the_in_memory_builder(tmp_path, frame, settings, parts):
    frame.write_parquet(tmp_path / "log.parquet")
    _write(tmp_path / "log.parquet", tmp_path / "graph", memory_limit=2**29, **settings)
    log = BehaviorLog.from_frame(frame, "user", "item", "time")
    _check(read_covisit_graph(tmp_path / "graph"), covisit_graph(log, **settings))
    files = list((tmp_path / "graph" / "edges").iterdir())
    assert (len(files) > 1) == (parts > 1)
    items = pl.read_parquet(tmp_path / "graph" / "items.parquet")["item"]
    assert items.equals(log.item_ids, null_equal=False)
    assert {path.name for path in tmp_path.iterdir()} == {"log.parquet", "graph"}  # none left over


def test_rows_without_the_label_leave_their_items_in(tmp_path, frame):
    frame.write_parquet(tmp_path / "log.parquet")
    _write(tmp_path / "log.parquet", tmp_path / "graph", label="label")
    log = BehaviorLog.from_frame(frame, "user", "item", "time", label="label")
    _check(read_covisit_graph(tmp_path / "graph"), covisit_graph(log))
    frame.with_columns(label=0).write_parquet(tmp_path / "none.parquet")
    _write(tmp_path / "none.parquet", tmp_path / "empty", label="label", top_k=1)
    graph = read_covisit_graph(tmp_path / "empty")
    assert (graph.num_nodes, graph.num_edges, int(graph.count.sum())) == (log.num_items, 0, 0)


def test_training_part_of_a_log(tmp_path, frame):
    """A column that marks the split's history gives the graph of the history."""
    log = BehaviorLog.from_frame(frame, "user", "item", "time")
    split = log.split(by="time")
    history = split.history
    first_later = log.times.max() if history.num_behaviors == 0 else history.times.max() + 1
    marked = frame.with_columns(known=(pl.col("time") < int(first_later)).cast(pl.Int8))
    marked.write_parquet(tmp_path / "log.parquet")
    _write(tmp_path / "log.parquet", tmp_path / "graph", label="known")
    assert 0 < history.num_behaviors < log.num_behaviors
    _check(read_covisit_graph(tmp_path / "graph"), covisit_graph(history))


def test_folder_of_files_is_read_in_the_order_of_their_names(tmp_path, frame):
    (tmp_path / "log").mkdir()
    for place, start in enumerate(range(0, 5000, 700)):
        frame[start : start + 700].write_parquet(tmp_path / "log" / f"{place}.parquet")
    _write(tmp_path / "log", tmp_path / "graph")
    log = BehaviorLog.from_frame(frame, "user", "item", "time")
    _check(read_covisit_graph(tmp_path / "graph"), covisit_graph(log))


def _times_of(size):
    """Columns of times, by their type; of ten values each, some a nanosecond apart."""
    rng = np.random.default_rng(0)
    nanoseconds = pl.Series(rng.integers(10, size=size) + 1_651_399_200_123_456_495)
    text = nanoseconds.cast(pl.Datetime("ns")).dt.strftime("%Y-%m-%d %H:%M:%S%.9f UTC")
    return {
        "unsigned": nanoseconds.cast(pl.UInt64),
        "nanoseconds": nanoseconds.cast(pl.Datetime("ns")),
        "with a zone": nanoseconds.cast(pl.Datetime("ns", "Asia/Kolkata")),
        "decimals": nanoseconds.cast(pl.String).cast(pl.Decimal(38, 9)),
        "dates": (nanoseconds % 10).cast(pl.Date),
        "text of dates": text,
        "text of decimals": nanoseconds.cast(pl.String) + ".5",
        "text of numbers": nanoseconds.cast(pl.String),
    }


@pytest.mark.parametrize("kind", _times_of(1))
def test_times_of_every_type(tmp_path, frame, kind, parts):
    frame = frame.with_columns(time=_times_of(len(frame))[kind])
    frame.write_parquet(tmp_path / "log.parquet")
    _write(tmp_path / "log.parquet", tmp_path / "graph", memory_limit=2**29, window=2)
    log = BehaviorLog.from_frame(frame, "user", "item", "time")
    _check(read_covisit_graph(tmp_path / "graph"), covisit_graph(log, window=2))


def test_96_bit_timestamps_are_microseconds_in_both(tmp_path, frame):
    """DuckDB cuts them off; Arrow's own reading wraps around after the year 2262."""
    stamps = _times_of(len(frame))["nanoseconds"].dt.cast_time_unit("us")
    late = pl.Series([253_402_300_799_000_000]).cast(pl.Datetime("us"))  # the end of 9999
    table = frame.with_columns(time=pl.concat([stamps[:-1], late])).to_arrow()
    pq.write_table(table, tmp_path / "log.parquet", use_deprecated_int96_timestamps=True)
    log = BehaviorLog.from_frame(tmp_path / "log.parquet", "user", "item", "time")
    assert int(log.times.max()) == 253_402_300_799_000_000
    _write(tmp_path / "log.parquet", tmp_path / "graph")
    _check(read_covisit_graph(tmp_path / "graph"), covisit_graph(log))


def test_folder_as_spark_writes_it(tmp_path, frame):
    folder = tmp_path / "log.parquet"
    folder.mkdir()
    for place, start in enumerate(range(0, 5000, 1700)):
        with (folder / f"part-0000{place}-a.snappy.parquet").open("wb") as file:
            frame[start : start + 1700].write_parquet(file)
    for name in ("_SUCCESS", "._SUCCESS.crc", ".part-00000-a.snappy.parquet.crc"):
        (folder / name).write_bytes(b"")
    _write(folder, tmp_path / "graph", memory_limit=2**29)
    log = BehaviorLog.from_frame(frame, "user", "item", "time")
    _check(read_covisit_graph(tmp_path / "graph"), covisit_graph(log))
    again = BehaviorLog.from_frame(folder, "user", "item", "time")
    _check(covisit_graph(again), covisit_graph(log))


def test_parts_that_differ_are_refused(tmp_path, frame):
    folder = tmp_path / "log"
    folder.mkdir()
    frame.write_parquet(folder / "0.parquet")
    times = frame["time"].cast(pl.Datetime("us"))
    frame.with_columns(times).write_parquet(folder / "1.parquet")
    message = r"1\.parquet: column 'time' holds timestamp\[us\], but int64 in 0\.parquet"
    with pytest.raises(InputError, match=message):
        _write(folder, tmp_path / "graph")
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_beauty(tmp_path, shared_data):
    log = read_sequence_file(shared_data / "amazon" / "Beauty.txt")
    rows = {"user": log.users.numpy(), "item": log.items.numpy(), "time": log.times.numpy()}
    pl.DataFrame(rows).write_parquet(tmp_path / "log.parquet")
    _write(tmp_path / "log.parquet", tmp_path / "graph", top_k=20)
    _check(read_covisit_graph(tmp_path / "graph"), covisit_graph(log, top_k=20))


def test_bad_input_is_refused_and_nothing_is_left(tmp_path, frame):
    log, out = tmp_path / "log.parquet", tmp_path / "graph"
    with pytest.raises(InputError, match=r"no such file: .*log.parquet"):
        _write(log, out)
    log.write_text("no Parquet")
    with pytest.raises(InputError, match=r"log.parquet cannot be read"):
        _write(log, out)
    frame.with_columns(time=pl.lit(None, pl.Int64)).write_parquet(log)
    with pytest.raises(InputError, match="'time': 5000 of 5000 rows are missing"):
        _write(log, out)
    with pytest.raises(InputError, match="memory_limit must be at least 1, not 0"):
        _write(log, out, memory_limit=0)
    assert [path.name for path in tmp_path.iterdir()] == ["log.parquet"]
    out.mkdir()
    with pytest.raises(InputError, match="graph exists already"):
        _write(log, out)


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ({"item": [0, 0], "neighbor": [1, 2], "weight": [1, 1]}, "of its 2 items"),
        ({"item": [-1], "neighbor": [1], "weight": [1]}, "of its 2 items"),
        ({"item": [0, 0], "neighbor": [1, 1], "weight": [1, 1]}, "in order"),
        ({"item": [1], "neighbor": [0], "weight": [1]}, "from an item to a later one"),
        ({"item": [0]}, "holds no co-visit graph"),
        ({"item": [0], "neighbor": [1], "weight": [-1]}, "a weight is not above 0"),
        ({"item": [0], "neighbor": [1], "weight": [float("nan")]}, "a weight is not above 0"),
        ({"item": [0], "neighbor": [1], "weight": ["1"]}, "'weight' does not hold numbers"),
        ({"item": [0], "neighbor": [1.5], "weight": [1]}, "'neighbor' does not hold whole numbers"),
        ({"item": [0], "neighbor": [None], "weight": [1]}, "'neighbor' does not hold whole"),
    ],
)
def test_damaged_folders_are_refused(tmp_path, edges, message):
    with pytest.raises(InputError, match="holds no co-visit graph"):
        read_covisit_graph(tmp_path)
    pl.DataFrame({"item": ["a", "b"], "count": [1, 1]}).write_parquet(tmp_path / "items.parquet")
    (tmp_path / "edges").mkdir()
    pl.DataFrame(edges).write_parquet(tmp_path / "edges" / "part-00000.parquet")
    with pytest.raises(InputError, match=message):
        read_covisit_graph(tmp_path)


@pytest.mark.parametrize(("size", "memory"), [(1000, 6000), (150_000, 600_000)])
def test_ranges_of_items_hold_a_bounded_number_of_rows(tmp_path, size, memory):
    """Of more items, too, than are read at a time (2**16)."""
    count = np.random.default_rng(0).integers(1, 50, size=size)
    count[size // 2] = 2 * memory  # more than a range holds
    pl.DataFrame({"count": count}).write_parquet(tmp_path / "items.parquet", row_group_size=64)
    bounds = covisit_parts._bounds(tmp_path / "items.parquet", 3, memory)
    sums = [3 * part.sum() for part in np.split(count, bounds)]
    assert bounds == sorted(set(bounds))
    assert all(rows < memory + 3 * count.max() for rows in sums)
    assert sum(rows > memory + 3 * 50 for rows in sums) == 1
    assert len(sums) <= 1 + 3 * count.sum() // memory


def test_without_ibis(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ibis", None)
    with pytest.raises(ImportError, match=r"needs ibis: pip install 'resemb-gnn\[engines\]'"):
        _write(tmp_path / "log.parquet", tmp_path / "graph")


@pytest.mark.parametrize("count", [[1, -1], [1, None], ["1", "2"], [1.5, 2.0], [1, 2**64 - 1]])
def test_counts_that_are_none_are_refused(tmp_path, count):
    kind = pl.UInt64 if count[1] == 2**64 - 1 else None
    items = pl.DataFrame({"count": pl.Series(count, dtype=kind)})
    items.write_parquet(tmp_path / "items.parquet")
    (tmp_path / "edges").mkdir()
    with pytest.raises(InputError, match=str(tmp_path)):
        read_covisit_graph(tmp_path)


FOLDERS = ["run[1]", "[", "[!a]", "a*", "**", "q?", "{a,b}", "user=3", "count=3", "it's"]
FOLDERS += ["\"'", "\u200b"]


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.parametrize("folder", [False, True], ids=["file", "folder"])
def test_names_of_folders_are_no_patterns_and_no_columns(tmp_path, name, folder):
    """Beside a folder of another log that fits the pattern."""
    rows = pl.DataFrame({"user": [1, 1, 2, 2], "item": ["a", "b", "a", "b"], "time": range(4)})
    for place, frame in (("run1", pl.concat([rows] * 3)), (name, rows)):
        (tmp_path / place).mkdir()
        with (tmp_path / place / "log.parquet").open("wb") as file:
            frame.write_parquet(file)
    log = tmp_path / name if folder else tmp_path / name / "log.parquet"
    place = tmp_path / "out" / name / "graph"
    _write(log, place, top_k=1)
    graph = read_covisit_graph(place)
    _check(graph, covisit_graph(BehaviorLog.from_frame(rows, "user", "item", "time"), top_k=1))


def test_a_backslash_that_duckdb_would_take_for_a_folder_is_refused(tmp_path, frame):
    if os.sep == "\\":
        pytest.skip("a backslash does end a folder's name here")
    frame.write_parquet(tmp_path / "log.parquet")
    for place in ({"out": tmp_path / "a\\b" / "graph"}, {"temp_directory": tmp_path / "a\\b"}):
        with pytest.raises(InputError, match="takes a backslash for the end of a folder's name"):
            _write(tmp_path / "log.parquet", **({"out": tmp_path / "graph"} | place))
    assert [path.name for path in tmp_path.iterdir()] == ["log.parquet"]


@pytest.mark.parametrize("name", ["filename", "file_row_number", "order0", "part", "counts", "of"])
def test_a_column_may_have_any_name(tmp_path, frame, name):
    frame.rename({"item": name}).write_parquet(tmp_path / "log.parquet")
    write_covisit_graph(tmp_path / "log.parquet", tmp_path / "graph", "user", name, "time")
    log = BehaviorLog.from_frame(frame, "user", "item", "time")
    _check(read_covisit_graph(tmp_path / "graph"), covisit_graph(log))


def test_a_missing_id_is_refused_as_in_a_log(tmp_path, frame):
    frame.with_columns(pl.col("item").replace("7", "")).write_parquet(tmp_path / "log.parquet")
    number = int((frame["item"] == "7").sum())
    with pytest.raises(InputError, match=f"'item': {number} of 5000 rows are missing"):
        _write(tmp_path / "log.parquet", tmp_path / "graph")
    with pytest.raises(InputError, match=rf"'item', row .* is missing \({number} such rows?\)"):
        BehaviorLog.from_frame(tmp_path / "log.parquet", "user", "item", "time")
    assert [path.name for path in tmp_path.iterdir()] == ["log.parquet"]


def test_the_place_is_looked_at_first(tmp_path, frame):
    (tmp_path / "parts").mkdir()
    frame.write_parquet(tmp_path / "parts" / "log.parquet")
    (tmp_path / "file").touch()
    for place in (tmp_path / "file" / "graph", tmp_path / ("n" * 256)):
        with pytest.raises(InputError, match="cannot be written"):
            _write(tmp_path / "parts", place)
    with pytest.raises(InputError, match="cannot be written"):
        _write(tmp_path / "parts", tmp_path / "graph", temp_directory=tmp_path / "file")
    with pytest.raises(InputError, match="is among what is read"):
        _write(tmp_path / "parts", tmp_path / "parts" / "graph.parquet")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "log.parquet", "parts"]
