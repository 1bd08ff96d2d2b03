"""The query on Spark, against the in-memory builder: ``make test-spark``."""

import shutil
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resemb_gnn import BehaviorLog, InputError, covisit_edges, covisit_graph
from tests.ties import tie_key
from tests.time_columns import TIME_COLUMNS

pytestmark = pytest.mark.spark
ibis = pytest.importorskip("ibis", reason="needs the extra engines")
sql = pytest.importorskip("pyspark.sql", reason="needs the extra spark")


@pytest.fixture(scope="module")
def spark():
    if shutil.which("java") is None:
        pytest.skip("needs Java 17 on the PATH")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        builder = sql.SparkSession.builder.master("local[1]")
        for name, value in {
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.ui.enabled": "false",
            "spark.sql.shuffle.partitions": "2",
            "spark.sql.session.timeZone": "America/New_York",
            "spark.sql.legacy.parquet.nanosAsLong": "true",  # it refuses to read them otherwise
        }.items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
        yield session
        session.stop()


@pytest.fixture
def table_of(spark, tmp_path):
    """A function that makes a Spark table of a frame."""

    def make(frame):
        frame.write_parquet(tmp_path / "log.parquet", row_group_size=100)
        spark.read.parquet(str(tmp_path / "log.parquet")).createOrReplaceTempView("log")
        return ibis.pyspark.connect(spark).table("log")

    return make


def frame_of(seed, num_users=20, num_items=30, rows=1500):
    """Most behaviours tie in time; items are strings of integers."""
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "user": [f"u{user}" for user in rng.integers(num_users, size=rows)],
            "item": (num_items * rng.random(rows) ** 2).astype(int).astype(str),
            "time": rng.integers(5, size=rows),
            "label": rng.integers(2, size=rows),
        }
    )


def _named(log, **settings):
    graph = covisit_graph(log, **settings)
    low, high = graph.edge_index
    upper = low < high
    ids = log.item_ids
    ends = (ids[end[upper].numpy()] for end in (low, high))
    weights = graph.edge_weight[upper].long().tolist()
    return sorted(zip(*ends, weights, strict=True))


def _queried(edges):
    rows = edges.to_pyarrow().select(["item", "neighbor", "weight"]).to_pylist()
    return sorted(tuple(row.values()) for row in rows)


@pytest.mark.parametrize(
    "settings", [{}, {"window": 2, "top_k": 3}, {"window": 1, "min_count": 2, "top_k": 2}]
)
def test_edges_are_those_of_the_in_memory_builder(table_of, settings):
    frame = frame_of(seed=len(settings))
    log = BehaviorLog.from_frame(frame, "user", "item", "time")
    edges = covisit_edges(table_of(frame), "user", "item", "time", **settings)
    expected = _named(log, **settings)
    assert len(expected) > 20
    assert _queried(edges) == expected


@pytest.mark.parametrize("kind", TIME_COLUMNS)
@given(data=st.data())
@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_behaviors_come_in_the_order_of_their_exact_times(table_of, kind, data):
    times = data.draw(TIME_COLUMNS[kind])
    size = len(times.exact)
    frame = pl.DataFrame({"u": [0] * size, "i": range(size), "t": times.column})
    edges = covisit_edges(table_of(frame), "u", "i", "t", window=1)
    order = sorted(range(size), key=lambda i: (times.exact[i], tie_key(0, i)))
    assert _queried(edges) == sorted((*sorted(pair), 1) for pair in pairwise(order))


def test_only_rows_of_label_one_count(table_of):
    frame = frame_of(seed=7)
    log = BehaviorLog.from_frame(frame, "user", "item", "time", label="label")
    edges = covisit_edges(table_of(frame), "user", "item", "time", label="label", window=3)
    assert _queried(edges) == _named(log, window=3)


def test_bad_rows_are_refused(table_of):
    frame = frame_of(seed=0).with_columns(time=pl.Series([float("nan")] * 3 + [1.0] * 1497))
    with pytest.raises(InputError, match="'time': 3 of 1500 rows are not a time"):
        covisit_edges(table_of(frame), "user", "item", "time")
    frame = frame.with_columns(time=0, item=pl.Series([None] * 2 + ["a"] * 1498))
    with pytest.raises(InputError, match="'item': 2 of 1500 rows are missing"):
        covisit_edges(table_of(frame), "user", "item", "time")
