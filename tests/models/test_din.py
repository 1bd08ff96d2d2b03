"""DIN over jagged batches against a padded version with the same parameters."""

from typing import Any

import padded_reference as padded
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from padded_reference import ACTIVATIONS, CATEGORY, NUM_ITEMS, assert_same_as_padded, make_batch
from torch import Tensor, nn

from resemb_gnn import DIN, Batch, InputError


def make_model(seed: int = 0, **options: Any) -> DIN:
    return padded.make_model(DIN, seed, attention_hidden=(5, 4), **options)


def padded_logits(model: DIN, batch: Batch) -> Tensor:
    """The logits from padded histories, every item embedded where it stands."""
    ids, mask = padded.pad(batch)
    keys, query = padded.embed(model, ids), padded.embed(model, batch.target)
    q = query[:, None].expand_as(keys)
    attention = model.attention
    hidden = attention.first(torch.cat([q, keys, q - keys, q * keys], dim=2))
    # The layers of the unit see the real behaviours alone: their own tests are elsewhere.
    score = torch.zeros_like(hidden[..., 0])
    score[mask] = attention.rest(attention.activation(hidden[mask])).squeeze(1)
    if attention.normalization == "softmax":
        score = (score / attention.dim**0.5).masked_fill(~mask, -torch.inf)
        score = score.softmax(dim=1).nan_to_num(0.0)
    interest = (score[..., None] * keys).sum(dim=1)
    logit = padded.head(model, batch, interest, query, interest * query)
    if model.item_bias is not None:
        logit = logit + model.item_bias.weight[batch.target, 0]
    return logit


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("normalization", ["none", "softmax"])
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@settings(max_examples=8, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 5), min_size=3, max_size=8),
    item_bias=st.booleans(),
    category=st.booleans(),
    features=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_equals_the_padded_model(
    activation: str,
    normalization: str,
    training: bool,
    lengths: list[int],
    item_bias: bool,
    category: bool,
    features: bool,
    seed: int,
) -> None:
    model = make_model(
        seed,
        activation=activation,
        attention_normalization=normalization,
        item_bias=item_bias,
        item_category=CATEGORY if category else None,
        features=padded.FEATURES if features else None,
    )
    assert_same_as_padded(model.train(training), padded_logits, make_batch(lengths, seed))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("lengths", [[3], [0], [0, 0, 0], [0, 4, 0]], ids=str)
def test_batch_of_one_and_empty_histories(
    activation: str, training: bool, lengths: list[int]
) -> None:
    model = make_model(activation=activation, item_bias=True).train(training)
    assert_same_as_padded(model, padded_logits, make_batch(lengths))
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters() if p.grad is not None)


def test_item_bias_starts_at_zero() -> None:
    model = DIN(nn.Embedding(NUM_ITEMS, 3), item_bias=True)
    assert torch.equal(model.item_bias.weight, torch.zeros(NUM_ITEMS, 1))
    assert DIN(nn.Embedding(NUM_ITEMS, 3)).item_bias is None


def test_settings() -> None:
    nameless = nn.Identity()
    nameless.embedding_dim = 3
    with pytest.raises(InputError, match=r"item_bias needs Identity\.num_embeddings"):
        DIN(nameless, item_bias=True)
    with pytest.raises(InputError, match="normalization='sum' is unknown"):
        DIN(nn.Embedding(4, 3), attention_normalization="sum")
