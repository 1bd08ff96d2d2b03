"""What holds of every model."""

import copy
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from padded_reference import ACTIVATIONS, CATEGORY, NUM_ITEMS, make_batch, make_model, reordered
from torch import Tensor, nn
from torch_geometric.data import Data

from resemb_gnn import (
    DIEN,
    DIN,
    PNN,
    Batch,
    BehaviorLog,
    InputError,
    PooledMLP,
    ResEmbedding,
    WideDeep,
    covisit_graph,
    fit,
)
from resemb_gnn.models import CTRModel
from resemb_gnn.pipeline import embeddings
from resemb_gnn.settings.names import MODELS
from resemb_gnn.training import ModelAdam, training_step

pytestmark = pytest.mark.parametrize("kind", [DIEN, DIN, PNN, PooledMLP, WideDeep])


def test_batch_of_one_leaves_the_moving_averages(kind: type[CTRModel]) -> None:
    model = make_model(kind)
    before = model.norm.running_mean.clone()
    model(make_batch([2]))
    assert torch.equal(model.norm.running_mean, before)
    model(make_batch([2, 1, 0]))
    assert not torch.equal(model.norm.running_mean, before)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@settings(max_examples=8, deadline=None)
@given(lengths=st.lists(st.integers(0, 5), min_size=2, max_size=8), data=st.data())
def test_order_of_the_examples_does_not_matter(
    kind: type[CTRModel],
    activation: str,
    training: bool,
    lengths: list[int],
    data: st.DataObject,
) -> None:
    order = torch.tensor(data.draw(st.permutations(range(len(lengths)))))
    model = make_model(kind, activation=activation).train(training)
    batch = make_batch(lengths)
    torch.testing.assert_close(model(reordered(batch, order)), model(batch)[order])


def test_examples_do_not_mix_in_evaluation(kind: type[CTRModel]) -> None:
    model = make_model(kind, item_category=CATEGORY).eval()
    batch = make_batch([3, 0, 1, 5])
    alone = [model(reordered(batch, torch.tensor([i]))) for i in range(4)]
    torch.testing.assert_close(model(batch), torch.cat(alone))


def test_history_counts(kind: type[CTRModel]) -> None:
    model, batch = make_model(kind).eval(), make_batch([3, 4])
    other = Batch(batch.history.flip(0), batch.ptr, batch.target, batch.label, batch.user)
    assert not torch.allclose(model(other), model(batch))


def test_only_dien_sees_the_order_of_the_history(kind: type[CTRModel]) -> None:
    model, batch = make_model(kind).eval(), make_batch([5])
    other = Batch(batch.history.flip(0), batch.ptr, batch.target, batch.label, batch.user)
    assert torch.allclose(model(other), model(batch)) == (kind is not DIEN)


class Watched(nn.Module):
    """Somebody's embedding: it notes what it is asked for, and has a penalty."""

    embedding_dim = 3

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(NUM_ITEMS, 3)
        self.asked: list[Tensor] = []
        self.folds: list[int | None] = []

    def forward(self, ids: Tensor, fold: int | None = None) -> Tensor:
        self.asked.append(ids)
        self.folds.append(fold)
        return self.table(ids)

    def penalty(self, ids: Tensor) -> Tensor:
        return ids.double().sum()


def watched(known_size: bool = True) -> Watched:
    embedding = Watched()
    if known_size:
        embedding.num_embeddings = NUM_ITEMS
    return embedding


@pytest.mark.parametrize("known_size", [False, True])
def test_distinct_items_are_embedded_once(kind: type[CTRModel], known_size: bool) -> None:
    if kind is WideDeep and not known_size:
        with pytest.raises(InputError, match=r"item_bias needs Watched\.num_embeddings"):
            make_model(kind, embedding=watched(False))
        return
    model, batch = make_model(kind, embedding=watched(known_size)), make_batch([5, 0, 7, 6])
    model(batch)
    (asked,) = model.embedding.asked
    wanted = torch.cat([batch.history, batch.target]).unique()
    assert torch.equal(asked.sort().values, wanted)


@pytest.mark.parametrize("category", [None, CATEGORY], ids=["items", "category"])
def test_the_fold_reaches_the_embedding(kind: type[CTRModel], category: Tensor | None) -> None:
    model = make_model(kind, embedding=watched(), item_category=category)
    batch = make_batch([2, 3])
    model(batch)
    parts = {name: part for name, part in vars(batch).items() if name != "fold"}
    model(Batch(**parts, fold=1))
    assert model.embedding.folds == [None, 1]


@pytest.mark.parametrize("category", [None, CATEGORY], ids=["items", "category"])
def test_penalty_is_the_embedding_s_on_the_candidates(
    kind: type[CTRModel], category: Tensor | None
) -> None:
    batch = make_batch([2, 3])
    model = make_model(kind, embedding=watched(), item_category=category).eval()
    model(batch)
    assert model.penalty(batch).item() == float(batch.target.sum())
    model = make_model(kind, item_category=category).eval()
    model(batch)
    assert model.penalty(batch) is None


@pytest.mark.parametrize("encoder", ["average", "gcn", "gat"])
def test_with_res_embedding(kind: type[CTRModel], encoder: str) -> None:
    ring = torch.arange(NUM_ITEMS)
    graph = Data(
        edge_index=torch.stack([ring, ring.roll(1)]),
        x=torch.randn(NUM_ITEMS, 4),
        count=ring,
        num_nodes=NUM_ITEMS,
    )
    emb = ResEmbedding(graph, 3, 2, encoder, shrinkage=5.0, residual_std=0.5)
    model, batch = make_model(kind, embedding=emb).eval(), make_batch([4, 0, 3, 5])
    expected = copy.deepcopy(model)
    expected.embedding = emb.materialize()
    torch.testing.assert_close(model(batch), expected(batch))
    # Many rows of one batch reach the shared centres.
    model(batch).square().sum().backward()
    assert bool((emb.centers.grad.abs().sum(dim=1) > 0).all())
    assert model.penalty(batch).item() == pytest.approx(emb.penalty(batch.target).item())


def test_items_of_a_log_with_category(kind: type[CTRModel], log: BehaviorLog) -> None:
    split = log.split()
    model = kind(nn.Embedding(log.num_items, 4), item_category=log.item_category)
    assert model.feature_dim == 8  # the category's embedding is as wide as the item's
    for batch in split.valid.batches(50):
        assert model(batch).shape == (len(batch),)


def test_the_category_counts(kind: type[CTRModel]) -> None:
    torch.manual_seed(0)
    table = nn.Embedding(NUM_ITEMS, 3)
    model = make_model(kind, embedding=table, item_category=CATEGORY).eval()
    other = make_model(kind, embedding=table, item_category=CATEGORY.flip(0)).eval()
    with torch.no_grad():
        for parameter, value in zip(other.parameters(), model.parameters(), strict=True):
            parameter.copy_(value)
    for buffer, value in zip(other.buffers(), model.buffers(), strict=True):
        if buffer.is_floating_point():
            buffer.copy_(value)
    batch = make_batch([3, 2, 4])
    assert not torch.allclose(other(batch), model(batch))


@pytest.mark.parametrize("sparse_rows", [None, 1], ids=["dense", "sparse"])
def test_training_reduces_the_loss(
    kind: Callable[..., CTRModel], sparse_rows: int | None, log: BehaviorLog
) -> None:
    torch.manual_seed(0)
    model = kind(nn.Embedding(log.num_items, 4), item_category=log.item_category, hidden=(16,))
    (batch,) = log.split().train.batches(10_000)
    optimizer = ModelAdam(model, 0.02, sparse_rows)
    losses = [training_step(model, batch, optimizer).item() for _ in range(20)]
    assert losses[-1] < 0.9 * losses[0]


def test_learns_what_is_to_be_learnt(kind: Callable[..., CTRModel], log: BehaviorLog) -> None:
    """Users of the small log stay in their cluster: on validation, which is not trained on."""
    split = log.split()
    torch.manual_seed(0)
    graph = covisit_graph(split.history)
    model = kind(ResEmbedding(graph, 8, 5, feature_dim=8), hidden=(16,))
    result = fit(model, split, epochs=12, batch_size=128, lr=0.02, patience=12, progress=False)
    assert result.valid.auc > 0.65


def test_state_dict_round_trip(kind: type[CTRModel]) -> None:
    options = {"item_category": CATEGORY}
    model, other = make_model(kind, 0, **options).eval(), make_model(kind, 1, **options).eval()
    batch = make_batch([3, 0, 2])
    assert not torch.allclose(other(batch), model(batch))
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(batch), model(batch))


def test_settings(kind: Callable[..., CTRModel]) -> None:
    with pytest.raises(InputError, match="Linear has no embedding_dim"):
        kind(nn.Linear(3, 3))
    with pytest.raises(InputError, match="activation='tanh' is unknown"):
        kind(nn.Embedding(4, 3), activation="tanh")
    with pytest.raises(InputError, match=r"item_category has shape \[12\]"):
        kind(nn.Embedding(4, 3), item_category=CATEGORY)


def test_has_a_name_in_comparisons(kind: type[CTRModel]) -> None:
    models = [embeddings.make_model(name, nn.Embedding(NUM_ITEMS, 3), CATEGORY) for name in MODELS]
    assert [type(model) for model in models].count(kind) == 1
