"""Behaviours of one time, which have no order."""

from hashlib import md5

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
    _same(*(covisit_graph(log, window=2) for log in (one, other)), ["edge_index", "edge_weight"])
    try:
        splits = [log.split(by) for log in (one, other)]
    except InputError:  # a part is empty
        return
    for part in ("train", "valid", "test", "train_sample"):
        _same(*(getattr(split, part) for split in splits), ["start", "end", "target", "label"])


def _same(one, other, names):
    for name in names:
        assert torch.equal(getattr(one, name), getattr(other, name)), name


@given(ROWS)
@settings(max_examples=50, deadline=None)
def test_ties_fall_by_a_digest_of_the_ids(rows):
    log = BehaviorLog.from_frame(_frame(rows), "user", "item", "time")
    expected = sorted(
        (user, time, md5(f"{user}\tp{item}".encode()).hexdigest(), f"p{item}")
        for user, item, time, _ in rows
    )
    assert log.item_ids[log.items.numpy()].to_list() == [item for *_, item in expected]


def test_each_user_has_an_order_of_its_own():
    """Otherwise the graph would join in every basket the same ones of its items."""
    frame = pl.DataFrame({"user": range(20)}).join(pl.DataFrame({"item": range(6)}), how="cross")
    log = BehaviorLog.from_frame(frame.with_columns(time=0), "user", "item", "time")
    orders = {tuple(order) for order in log.items.view(20, 6).tolist()}
    assert len(orders) > 15
    assert covisit_graph(log, window=1).num_edges == 6 * 5
