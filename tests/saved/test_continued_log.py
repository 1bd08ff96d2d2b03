"""What a model keeps of its users stands before a later log, under one numbering."""

from dataclasses import replace
from typing import Any

import polars as pl
import pytest
import torch

import resemb_gnn as rg
from resemb_gnn.saved.continued_log import ContinuedLog


def later(**columns: list[Any]) -> rg.BehaviorLog:
    """Three rows of a known user and one of a new one, on known items and a new one."""
    own = {
        "user": ["u00", "u00", "u01", "new"],
        "item": ["P-100", "P-900", "P-101", "P-100"],
        "time": [3, 1, 2, 1],
        "category": ["c0"] * 4,
    }
    frame = pl.DataFrame(own | columns)
    return rg.BehaviorLog.from_frame(frame, "user", "item", "time", "category")


@pytest.mark.parametrize("first", [7, 0.0, -2.5, 1.8e18, -1.8e18, 1e300])
def test_what_was_known_comes_before_all_else_in_its_order(
    first: float, trained: rg.TrainedModel
) -> None:
    """Whatever the numbers: of nanoseconds since 1970, the nearest float number is 256 away."""
    times = [first + 1e-3 * abs(first), first, first, first]
    found = ContinuedLog.of(trained, later(time=times), "the log")
    log, own = found.log, trained.histories
    before = log.times[~found.is_new]
    assert log.times[found.is_new].min() == first > before.max()
    assert torch.equal(log.items[~found.is_new], own.items)
    same_user = log.users[~found.is_new].diff() == 0
    assert bool((before.diff()[same_user] > 0).all())


@pytest.mark.parametrize(
    ("known", "asked", "every"),
    [
        ([None, "a", "b", "c", "d"], ["b", None, "x", "b"], [None, "a", "b", "c", "d", "x"]),
        ([1, 2, 3, 4, 5], ["2", "2", "x", "2"], ["1", "2", "3", "4", "5", "x"]),
        # A number is one category, in whichever type a table has it.
        ([None, 1.5, 2.0, 3.0, 4.0], [2, None, 9, 2], [None, "1.5", "2", "3", "4", "9"]),
        ([1, 2, 3, 4, 5], [2.0, None, 2.5, 2.0], ["1", "2", "3", "4", "5", None, "2.5"]),
    ],
)
def test_known_categories_keep_their_numbers_and_new_ones_follow(
    known: list[Any], asked: list[Any], every: list[Any], trained: rg.TrainedModel
) -> None:
    model = replace(trained, category_ids=pl.Series("category", known))
    log = later(item=["P-901", "P-902", "P-903", "P-100"], category=asked)
    found = ContinuedLog.of(model, log, "the log").log
    assert found.category_ids is not None
    assert found.item_category is not None
    assert found.category_ids.to_list() == every
    size = len(trained.item_ids)
    assert torch.equal(found.item_category[:size], trained.item_category)
    names = found.category_ids.gather(found.item_category[size:].numpy()).to_list()
    expected = pl.Series(asked[:3])
    text = expected.cast(pl.String).str.strip_suffix(".0")
    assert names == text.to_list()
