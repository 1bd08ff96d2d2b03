"""The models that pool the history, over jagged batches against padded versions."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from padded_reference import (
    ACTIVATIONS,
    CATEGORY,
    FEATURES,
    NUM_ITEMS,
    assert_same_as_padded,
    batch_norm,
    embed,
    head,
    make_batch,
    make_model,
    mean_history,
    side,
    value_logits,
)
from torch import Tensor, nn

from resemb_gnn import PNN, Batch, InputError, PooledMLP, WideDeep
from resemb_gnn.models import CTRModel
from resemb_gnn.nn import HashedCrosses


def padded_mlp(model: CTRModel, batch: Batch) -> Tensor:
    return head(model, batch, mean_history(model, batch), embed(model, batch.target))


def padded_pnn(model: PNN, batch: Batch) -> Tensor:
    pooled, query = mean_history(model, batch), embed(model, batch.target)
    beside = side(model, batch)
    fields = [field for part in (pooled, query, *beside) for field in part.split(3, dim=1)]
    products = [
        torch.linalg.vecdot(one, other) for i, one in enumerate(fields) for other in fields[i:]
    ]
    every = torch.cat([*fields, torch.stack(products, dim=1)], dim=1)
    logit = model.mlp(batch_norm(every, model.norm, model.training)).squeeze(1)
    return logit + value_logits(model, batch)


def padded_wide_deep(model: WideDeep, batch: Batch) -> Tensor:
    def crosses(table: HashedCrosses, first: int, seconds: list[int]) -> Tensor:
        weight = table.weight.weight.flatten()
        pairs = torch.tensor([[first, second] for second in seconds]).long().view(-1, 2)
        return weight[table.bucket(*pairs.t())].sum()

    rows = []
    histories = batch.history.split(batch.ptr.diff().tolist())
    for target, history in zip(batch.target.tolist(), histories, strict=True):
        wide = model.item_bias.weight[target, 0]
        wide = wide + crosses(model.item_crosses, target, history.tolist())
        if model.category_crosses is not None:
            categories = CATEGORY[history].tolist()
            wide = wide + crosses(model.category_crosses, int(CATEGORY[target]), categories)
        rows.append(wide)
    return torch.stack(rows) + padded_mlp(model, batch)


PADDED = [(PooledMLP, padded_mlp), (PNN, padded_pnn), (WideDeep, padded_wide_deep)]


@pytest.mark.parametrize(("kind", "reference"), PADDED, ids=lambda value: value.__name__)
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
    kind: type[CTRModel],
    reference: Callable[[CTRModel, Batch], Tensor],
    activation: str,
    training: bool,
    lengths: list[int],
    category: bool,
    features: bool,
    seed: int,
) -> None:
    chosen = CATEGORY if category else None
    model = make_model(
        kind,
        seed,
        activation=activation,
        item_category=chosen,
        features=FEATURES if features else None,
    )
    assert_same_as_padded(model.train(training), reference, make_batch(lengths, seed))


@pytest.mark.parametrize(("kind", "reference"), PADDED, ids=lambda value: value.__name__)
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("lengths", [[3], [0], [0, 0, 0], [0, 4, 0]], ids=str)
def test_batch_of_one_and_empty_histories(
    kind: type[CTRModel],
    reference: Callable[[CTRModel, Batch], Tensor],
    training: bool,
    lengths: list[int],
) -> None:
    model = make_model(kind, item_category=CATEGORY).train(training)
    assert_same_as_padded(model, reference, make_batch(lengths))
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters() if p.grad is not None)


def test_pnn_has_a_field_an_embedding_and_their_products() -> None:
    assert PNN(nn.Embedding(NUM_ITEMS, 3)).norm.num_features == 6 + 3
    with_category = PNN(nn.Embedding(NUM_ITEMS, 3), item_category=CATEGORY)
    assert with_category.norm.num_features == 12 + 10


def test_wide_part_starts_at_nothing() -> None:
    torch.manual_seed(0)
    wide = WideDeep(nn.Embedding(NUM_ITEMS, 3), item_category=CATEGORY).eval()
    torch.manual_seed(0)
    deep = PooledMLP(nn.Embedding(NUM_ITEMS, 3), item_category=CATEGORY).eval()
    batch = make_batch([3, 0, 5])
    assert torch.equal(wide(batch), deep(batch))


def test_cross_bits() -> None:
    model = WideDeep(nn.Embedding(NUM_ITEMS, 3), item_category=CATEGORY, cross_bits=4)
    assert model.item_crosses.weight.num_embeddings == 16
    assert model.category_crosses.weight.num_embeddings == 16
    with pytest.raises(InputError, match="bits must lie between 1 and 30, not 0"):
        WideDeep(nn.Embedding(NUM_ITEMS, 3), cross_bits=0)
