"""SASRec over jagged batches against loops over each history, written from its formula."""

from dataclasses import replace
from typing import Any

import padded_reference as padded
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from padded_reference import (
    CATEGORY,
    FEATURES,
    NUM_ITEMS,
    SteadySASRec,
    assert_same_as_padded,
    make_batch,
    reordered,
)
from torch import Tensor, nn
from torch.autograd import gradgradcheck

from resemb_gnn import Batch, InputError, SASRec
from resemb_gnn.models.sasrec import like_lengths


def make_model(seed: int = 0, **options: Any) -> SASRec:
    return padded.make_model(SteadySASRec, seed, **options)


def normalized(x: Tensor, norm: nn.LayerNorm) -> Tensor:
    centred = x - x.mean(dim=-1, keepdim=True)
    variance = centred.square().mean(dim=-1, keepdim=True)
    return centred / (variance + norm.eps).sqrt() * norm.weight + norm.bias


def attended(x: Tensor, layer: nn.MultiheadAttention) -> Tensor:
    """Each row's mean over itself and the rows before, one row after the other."""
    query, key, value = (x @ layer.in_proj_weight.t() + layer.in_proj_bias).chunk(3, dim=1)
    rows = []
    for row in range(len(x)):
        score = key[: row + 1] @ query[row] / x.size(1) ** 0.5
        rows.append(score.softmax(dim=0) @ value[: row + 1])
    return torch.stack(rows) @ layer.out_proj.weight.t() + layer.out_proj.bias


def state_after(model: SASRec, history: Tensor) -> Tensor:
    if not history.numel():
        return model.empty
    history = history[-model.max_length :]
    x = padded.embed(model, history) + model.position[: len(history)].flip(0)
    for block in model.blocks:
        x = x + attended(normalized(x, block.norm1), block.self_attn)
        hidden = normalized(x, block.norm2) @ block.linear1.weight.t() + block.linear1.bias
        x = x + hidden.clamp(min=0) @ block.linear2.weight.t() + block.linear2.bias
    return normalized(x[-1], model.norm)


def looped_logits(model: SASRec, batch: Batch) -> Tensor:
    histories = batch.history.split(batch.ptr.diff().tolist())
    state = torch.stack([state_after(model, history) for history in histories])
    query = padded.embed(model, batch.target)
    logit = padded.value_logits(model, batch)
    if model.side is not None:
        moved = torch.cat(padded.side(model, batch), dim=1) @ model.side.weight.t()
        state, logit = state + moved[:, :-1], logit + moved[:, -1]
    return (state * query).sum(dim=1) + logit


@settings(max_examples=12, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 9), min_size=1, max_size=8),
    category=st.booleans(),
    features=st.booleans(),
    training=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_equals_loops_over_each_history(
    lengths: list[int], category: bool, features: bool, training: bool, seed: int
) -> None:
    model = make_model(
        seed,
        item_category=CATEGORY if category else None,
        features=FEATURES if features else None,
        num_blocks=1 + seed % 3,
        max_length=6,  # of longer ones, the most recent behaviours are read
    )
    assert_same_as_padded(model.train(training), looped_logits, make_batch(lengths, seed))


def test_of_no_examples_and_empty_histories() -> None:
    model, batch = make_model(), make_batch([0, 3, 0])
    none = replace(
        reordered(batch, torch.tensor([1])),
        history=batch.history[:0],
        ptr=batch.ptr[:1],
        target=batch.target[:0],
    )
    assert model(none).shape == (0,)
    query = model.embedding(batch.target)
    torch.testing.assert_close(model(batch)[[0, 2]], (query @ model.empty)[[0, 2]])


def test_what_is_dropped_is_drawn_and_only_in_training() -> None:
    model, batch = make_model(dropout=0.5), make_batch([3, 5])
    assert not torch.equal(model(batch), model(batch))
    torch.manual_seed(3)
    logit = model(batch)
    torch.manual_seed(3)
    assert torch.equal(model(batch), logit)
    torch.testing.assert_close(model.eval()(batch), looped_logits(model, batch))


@pytest.mark.parametrize("at", range(3))
def test_every_place_counts(at: int) -> None:
    model, batch = make_model().eval(), make_batch([3])
    other = batch.history.clone()
    other[at] = (other[at] + 1) % NUM_ITEMS
    assert not torch.allclose(model(replace(batch, history=other)), model(batch))


def test_it_can_be_differentiated_twice() -> None:
    model, batch = make_model(item_category=CATEGORY), make_batch([2, 0, 3])
    assert gradgradcheck(lambda *_: model(batch), tuple(model.parameters()), fast_mode=True)


def test_histories_are_padded_to_less_than_twice_their_length() -> None:
    lengths = torch.arange(1, 71)
    groups = lengths.split(like_lengths(lengths))
    assert [group.max().item() for group in groups] == [1, 2, 4, 8, 16, 32, 64, 70]
    assert all((2 * group > group.max()).all() for group in groups)
    assert like_lengths(torch.tensor([5, 7])) == [2]
    assert like_lengths(lengths[:0]) == []


def test_blocks_start_unlike_each_other() -> None:
    one, other = make_model(num_blocks=2).blocks
    assert not torch.equal(one.linear1.weight, other.linear1.weight)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_blocks": 0}, "num_blocks must be at least 1, not 0"),
        ({"max_length": 0}, "max_length must be at least 1, not 0"),
        ({"dropout": 1.0}, r"dropout must be at least 0 and below 1, not 1\.0"),
        ({"dropout": float("nan")}, "dropout must be at least 0 and below 1, not nan"),
    ],
)
def test_settings(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SASRec(nn.Embedding(NUM_ITEMS, 3), **options)
