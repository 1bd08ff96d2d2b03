"""Behaviours of one time, which have no order."""

import hypothesis.strategies as st
import polars as pl
import torch
from hypothesis import given, settings

from resemb_gnn import BehaviorLog, InputError, covisit_graph

ROWS = st.lists(st.tuples(*(st.integers(0, top) for top in (3, 9, 3, 1))), min_size=1, max_size=40)


def _frame(rows):
    frame = pl.DataFrame(rows, schema=["user", "item", "time", "label"], orient="row")
    return frame.with_columns(pl.format("p{}", "item").alias("item"))


@given(ROWS, st.randoms(use_true_random=False), st.booleans(), st.sampled_from(["last", "time"]))
@settings(max_examples=50, deadline=None)
def test_the_order_of_the_rows_changes_nothing(rows, random, labelled, by):
    """Every reader of logs with times makes them by ``from_frame``."""
    label = "label" if labelled else None
    shuffled = random.sample(rows, len(rows))
    one, other = (
        BehaviorLog.from_frame(_frame(each), "user", "item", "time", label=label)
        for each in (rows, shuffled)
    )
    _same(one, other, ["items", "ptr", "times", *(["labels"] if labelled else [])])
    graphs = [covisit_graph(log, window=2) for log in (one, other)]
    _same(graphs[0], graphs[1], ["edge_index", "edge_weight"])
    try:
        splits = [log.split(by) for log in (one, other)]
    except InputError:  # a part is empty
        return
    for part in ("train", "valid", "test", "train_sample"):
        found, again = (getattr(split, part) for split in splits)
        _same(found, again, ["start", "end", "target", "label"])


def _same(one, other, names):
    for name in names:
        assert torch.equal(getattr(one, name), getattr(other, name)), name


def test_each_user_has_an_order_of_its_own():
    """Otherwise the graph would join in every basket the same ones of its items."""
    frame = pl.DataFrame({"user": range(20)}).join(pl.DataFrame({"item": range(6)}), how="cross")
    log = BehaviorLog.from_frame(frame.with_columns(time=0), "user", "item", "time")
    orders = {tuple(order) for order in log.items.view(20, 6).tolist()}
    assert len(orders) > 15
    assert covisit_graph(log, window=1).num_edges == 6 * 5
