"""DIEN over jagged batches against a padded version with the same parameters."""

import copy
from typing import Any

import padded_reference as padded
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from padded_reference import (
    ACTIVATIONS,
    CATEGORY,
    NUM_ITEMS,
    assert_same_as_padded,
    assert_same_gradients,
    make_batch,
)
from torch import Tensor, nn

from resemb_gnn import DIEN, Batch, InputError
from resemb_gnn.nn import AUGRU


def make_model(seed: int = 0, **options: Any) -> DIEN:
    return padded.make_model(DIEN, seed, **options)


def gru_step(layer: AUGRU, x: Tensor, h: Tensor, attention: Tensor | float) -> Tensor:
    w_reset, w_update, w_new = layer.weight_input.chunk(3)
    u_reset, u_update, u_new = layer.weight_hidden.chunk(3)
    b_reset, b_update, b_new = layer.bias.chunk(3)
    reset = torch.sigmoid(x @ w_reset.t() + h @ u_reset.t() + b_reset)
    update = torch.sigmoid(x @ w_update.t() + h @ u_update.t() + b_update) * attention
    new = torch.tanh(x @ w_new.t() + reset * (h @ u_new.t()) + b_new)
    return (1 - update) * h + update * new


def padded_states(model: DIEN, batch: Batch) -> Tensor:
    """States of the interest extractor, stepped over every padded row."""
    keys = padded.embed(model, padded.pad(batch)[0])
    states = [torch.zeros_like(keys[:, :1].sum(dim=1))]
    for x in keys.unbind(dim=1):
        states.append(gru_step(model.extractor, x, states[-1], 1.0))
    return torch.stack(states, dim=1)[:, 1:]


def padded_logits(model: DIEN, batch: Batch) -> Tensor:
    _, mask = padded.pad(batch)
    query, states = padded.embed(model, batch.target), padded_states(model, batch)
    score = torch.einsum("bth,ha,ba->bt", states, model.attention.weight, query)
    weight = score.masked_fill(~mask, -torch.inf).softmax(dim=1).nan_to_num(0.0)
    interest = torch.zeros_like(query)
    for step in range(mask.size(1)):
        evolved = gru_step(model.evolution, states[:, step], interest, weight[:, step, None])
        interest = torch.where(mask[:, step, None], evolved, interest)
    mean = padded.mean_history(model, batch)
    return padded.head(model, batch, interest, query, mean, query * mean)


def auxiliary_loss(model: DIEN, batch: Batch, drawn: Tensor) -> Tensor:
    """The loss by its formula; ``drawn[p]`` is the behaviour that serves behaviour ``p`` as the
    negative of its next.
    """
    states, losses = padded_states(model, batch), []
    negatives = batch.history[drawn].tolist()
    start = batch.ptr.tolist()
    for example, history in enumerate(batch.history.split(batch.ptr.diff().tolist())):
        for step, following in enumerate(history[1:].tolist()):
            negative, state = negatives[start[example] + step], states[example, step]
            loss = -(state @ padded.embed(model, torch.tensor(following))).sigmoid().log()
            if negative != following:
                other = padded.embed(model, torch.tensor(negative))
                loss = loss - (1 - (state @ other).sigmoid()).log()
            losses.append(loss)
    return torch.stack(losses).mean()


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@settings(max_examples=8, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 5), min_size=3, max_size=8),
    category=st.booleans(),
    features=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_equals_the_padded_model(
    activation: str, training: bool, lengths: list[int], category: bool, features: bool, seed: int
) -> None:
    model = make_model(
        seed,
        activation=activation,
        item_category=CATEGORY if category else None,
        features=padded.FEATURES if features else None,
    )
    assert_same_as_padded(model.train(training), padded_logits, make_batch(lengths, seed))


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("lengths", [[3], [0], [0, 0, 0], [0, 4, 0], [9, 1, 9]], ids=str)
def test_batch_of_one_and_empty_histories(training: bool, lengths: list[int]) -> None:
    model = make_model(item_category=CATEGORY).train(training)
    assert_same_as_padded(model, padded_logits, make_batch(lengths))
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters() if p.grad is not None)


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 5), min_size=1, max_size=6).filter(lambda n: max(n) > 1),
    category=st.booleans(),
    weight=st.sampled_from([1.0, 0.3]),
    seed=st.integers(0, 1000),
)
def test_auxiliary_loss(lengths: list[int], category: bool, weight: float, seed: int) -> None:
    model = make_model(seed, item_category=CATEGORY if category else None, auxiliary_weight=weight)
    reference, batch = copy.deepcopy(model), make_batch(lengths, seed)
    torch.manual_seed(seed)
    model(batch)
    torch.manual_seed(seed)
    drawn = torch.randint(sum(lengths), (sum(lengths) - 1,))
    value, expected = model.penalty(batch), weight * auxiliary_loss(reference, batch, drawn)
    torch.testing.assert_close(value, expected)
    assert_same_gradients(model, value, reference, expected)


def test_negatives_are_drawn_in_proportion_to_the_behaviours() -> None:
    model, batch = make_model(), make_batch([2, 6, 0, 4])
    size = batch.history.numel()
    # Over all the draws that there can be, one pair at a time, the mean is linear in the pairs.
    each = [auxiliary_loss(model, batch, torch.full((size,), row)) for row in range(size)]
    seen = []
    for _ in range(150):
        model(batch)
        seen.append(model.penalty(batch).detach())
    draws = torch.stack(seen)
    error = draws.std() / len(draws) ** 0.5
    assert abs(draws.mean() - torch.stack(each).mean()) < 4 * error
    assert draws.unique().numel() > 100


def test_auxiliary_loss_adds_to_the_embedding_s_penalty() -> None:
    class Priced(nn.Embedding):
        def penalty(self, ids: Tensor) -> Tensor:
            return self.weight[ids].square().sum()

    torch.manual_seed(0)
    batch, embedding = make_batch([2, 3]), Priced(NUM_ITEMS, 3)
    model = make_model(embedding=embedding)
    price = embedding.penalty(batch.target)
    assert torch.equal(model.penalty(batch), price)  # no forward pass yet
    model(batch)
    assert model.penalty(batch) > price
    assert torch.equal(model.penalty(batch), price)  # handed out once


@pytest.mark.parametrize("lengths", [[1, 0, 1], [0, 0]], ids=str)
def test_no_auxiliary_loss_without_a_next_behaviour(lengths: list[int]) -> None:
    model = make_model()
    model(make_batch([3, 2]))
    model(make_batch(lengths))
    assert model.penalty(make_batch(lengths)) is None


def test_no_auxiliary_loss_in_evaluation_or_with_weight_zero() -> None:
    batch = make_batch([3, 2])
    for model in (make_model().eval(), make_model(auxiliary_weight=0)):
        model(batch)
        assert model.penalty(batch) is None


def test_can_be_copied_in_the_middle_of_a_step() -> None:
    model, batch = make_model(), make_batch([3, 2])
    model(batch)
    other = copy.deepcopy(model)
    assert other.penalty(batch) is None
    assert model.penalty(batch) is not None


def test_settings() -> None:
    with pytest.raises(InputError, match="auxiliary_weight must be at least 0, not -1"):
        DIEN(nn.Embedding(NUM_ITEMS, 3), auxiliary_weight=-1)
