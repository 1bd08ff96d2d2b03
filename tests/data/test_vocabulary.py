"""Vocabularies that grow, against the log's own ids."""

import hypothesis.strategies as st
import polars as pl
import pytest
import torch
from hypothesis import given, settings

from resemb_gnn import BehaviorLog, InputError, extend_vocabulary
from resemb_gnn.io.ids import id_texts, parse_ids


def log_of(items: pl.Series) -> BehaviorLog:
    frame = pl.DataFrame({"user": [0] * len(items), "item": items, "time": range(len(items))})
    return BehaviorLog.from_frame(frame, "user", "item", "time")


IDS = st.sampled_from(["7", "8", "07", "+8", "100", "x", "7.0"])


@given(st.lists(IDS, min_size=1), st.lists(IDS, min_size=1, unique=True))
@settings(max_examples=60, deadline=None)
def test_known_items_keep_their_numbers_and_new_ones_follow(items, known):
    log = log_of(pl.Series(items))
    if not {*known} & {*items} and log.item_ids.dtype != parse_ids(pl.Series(known)).dtype:
        with pytest.raises(InputError, match="and none is in both"):
            extend_vocabulary(log, pl.Series(known))
        return
    extended = extend_vocabulary(log, pl.Series(known))
    texts = id_texts(extended.item_ids)
    assert texts[: len(known)].to_list() == known
    assert {*texts} == {*known, *items}
    assert texts.n_unique() == len(texts)
    assert texts.gather(extended.items.numpy()).to_list() == items
    assert torch.equal(extended.ptr, log.ptr)


def test_numbers_of_any_type_are_the_same_items() -> None:
    log = log_of(pl.Series([7, 8, 9]))
    for known in (
        pl.Series([8.0, 7.0]),
        pl.Series(["8", "7"]),
        pl.Series([8, 7], dtype=pl.UInt8),
        pl.Series(["8", "7"], dtype=pl.Categorical),
    ):
        extended = extend_vocabulary(log, known)
        assert extended.item_ids.dtype == pl.Int64
        assert extended.item_ids.to_list() == [8, 7, 9]
        assert extended.items.tolist() == [1, 0, 2]


def test_a_text_among_numbers_makes_texts_of_all() -> None:
    extended = extend_vocabulary(log_of(pl.Series(["9", "x", "7"])), pl.Series([7, 8]))
    assert extended.item_ids.to_list() == ["7", "8", "9", "x"]
    assert extended.items.tolist() == [2, 3, 0]
    again = extend_vocabulary(log_of(pl.Series([8, 10])), extended.item_ids)
    assert again.item_ids.to_list() == ["7", "8", "9", "x", "10"]
    assert again.items.tolist() == [1, 4]


@pytest.mark.parametrize("missing", [None, "", float("nan")])
def test_a_known_id_that_is_missing_is_refused(missing: object) -> None:
    known = pl.Series("known", ["a" if missing == "" else 0.5, missing])
    with pytest.raises(InputError, match="column 'known', row 1"):
        extend_vocabulary(log_of(pl.Series(["a", "b"])), known)
