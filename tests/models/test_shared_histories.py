"""Candidates that share a history are scored as if each had its own."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from padded_reference import CATEGORY, FEATURES, NUM_ITEMS, SteadySASRec, make_batch, make_model
from torch import Tensor, nn

from resemb_gnn import DIEN, DIN, PNN, Batch, PooledMLP, WideDeep
from resemb_gnn.models import CTRModel

MODELS = [DIEN, DIN, PNN, PooledMLP, SteadySASRec, WideDeep]


def shared(lengths: list[int], candidates: int) -> Batch:
    """Several candidates a history."""
    batch = make_batch(lengths)
    each = torch.arange(len(lengths)).repeat_interleave(candidates)
    torch.manual_seed(0)
    return replace(
        batch,
        target=torch.randint(NUM_ITEMS, each.shape),
        label=torch.randint(2, each.shape).float(),
        user=batch.user[each],
        row=batch.row[each],
        context=batch.context[each],
        candidates=candidates,
    )


def by_hand(batch: Batch) -> Batch:
    """Each example with a copy of its history."""
    histories = batch.history.split(batch.ptr.diff().tolist())
    copies = [one for one in histories for _ in range(batch.candidates)]
    lengths = torch.tensor([0, *(one.numel() for one in copies)])
    return replace(batch, history=torch.cat(copies), ptr=lengths.cumsum(0), candidates=1)


def gradients(model: CTRModel, batch: Batch, weight: Tensor) -> tuple[Tensor, list[Tensor]]:
    model.zero_grad()
    logit = model(batch)
    (logit * weight).sum().backward()
    return logit.detach(), [p.grad for p in model.parameters() if p.grad is not None]


@settings(max_examples=10, deadline=None)
@given(lengths=st.lists(st.integers(0, 5), min_size=1, max_size=5), candidates=st.integers(1, 4))
def test_the_batch_with_its_histories_copied(lengths: list[int], candidates: int) -> None:
    batch = shared(lengths, candidates)
    copied, expected = batch.expanded(), by_hand(batch)
    assert torch.equal(copied.history, expected.history)
    assert torch.equal(copied.ptr, expected.ptr)
    assert copied.candidates == 1
    assert copied.target is batch.target
    place, ptr = batch.pairs()
    assert torch.equal(batch.history[place], expected.history)
    assert torch.equal(ptr, expected.ptr)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("features", [None, FEATURES], ids=["", "features"])
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@settings(max_examples=5, deadline=None)
@given(lengths=st.lists(st.integers(0, 4), min_size=2, max_size=5), candidates=st.integers(2, 3))
def test_scores_and_gradients(
    kind: Callable[..., CTRModel],
    features: object,
    training: bool,
    lengths: list[int],
    candidates: int,
) -> None:
    batch = shared(lengths, candidates)
    options = {"auxiliary_weight": 0.0} if kind is DIEN else {}  # its draws are by behaviour
    model = make_model(kind, item_category=CATEGORY, features=features, **options).train(training)
    weight = torch.randn(len(batch), dtype=torch.double)
    logit, grads = gradients(model, batch, weight)
    expected, expected_grads = gradients(model, by_hand(batch), weight)
    torch.testing.assert_close(logit, expected)
    torch.testing.assert_close(grads, expected_grads)


def test_softmax_attention() -> None:
    batch = shared([3, 0, 4], 3)
    model = make_model(DIN, attention_normalization="softmax")
    torch.testing.assert_close(model(batch), model(by_hand(batch)))


@pytest.mark.parametrize("kind", MODELS)
def test_histories_are_not_copied(kind: Callable[..., CTRModel]) -> None:
    seen = []

    class Watched(kind):  # type: ignore[valid-type,misc]
        shares_history = True

        def score(self, *args: Tensor) -> Tensor:
            seen.append(args[1].numel())
            return super().score(*args)

    make_model(Watched)(shared([3, 2], 4))
    assert seen == [5]


def test_a_model_of_one_s_own_is_given_a_history_an_example() -> None:
    class Longest(DIN):
        def score(self, *args: Any) -> Tensor:  # type: ignore[override]
            lengths: Tensor = args[3].ptr.diff().double()  # one an example, if it was copied
            return lengths

    class Silent(DIN):
        pass

    assert not Longest.shares_history
    assert Silent.shares_history
    batch = shared([3, 1], 2)
    assert make_model(Longest)(batch).tolist() == [3, 3, 1, 1]


def test_penalty_of_histories_is_that_of_the_copied_ones() -> None:
    class Penalized(nn.Embedding):
        penalizes_history = True

        def penalty(self, ids: Tensor) -> Tensor:
            return self.weight[ids].sum()

    batch = shared([3, 0, 2], 3)
    model = make_model(DIN, embedding=Penalized(NUM_ITEMS, 3))
    torch.testing.assert_close(model.penalty(batch), model.penalty(by_hand(batch)))


def test_the_auxiliary_loss_counts_a_behaviour_once() -> None:
    batch = shared([3, 2], 3)
    model = make_model(DIEN)
    torch.manual_seed(1)
    model(batch)
    several = model.penalty(batch)
    torch.manual_seed(1)
    model(make_batch([3, 2]))
    torch.testing.assert_close(several, model.penalty(batch))
