"""DIN over jagged batches against a padded version with the same parameters."""

import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch_geometric.data import Data

from resemb_gnn import DIN, Batch, BehaviorLog, InputError, ResEmbedding

NUM_ITEMS = 12
CATEGORY = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 2, 2, 2, 1])
ACTIVATIONS = ["dice", "prelu", "relu"]


def make_batch(lengths: list[int], seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    size = (len(lengths),)
    return Batch(
        history=torch.randint(NUM_ITEMS, (sum(lengths),), generator=generator),
        ptr=torch.tensor([0, *lengths]).cumsum(0),
        target=torch.randint(NUM_ITEMS, size, generator=generator),
        label=torch.randint(2, size, generator=generator).float(),
        user=torch.arange(len(lengths)),
    )


def reordered(batch: Batch, order: Tensor) -> Batch:
    parts = batch.history.split(batch.ptr.diff().tolist())
    lengths = batch.ptr.diff()[order]
    return Batch(
        history=torch.cat([parts[i] for i in order.tolist()]),
        ptr=nn.functional.pad(lengths.cumsum(0), (1, 0)),
        target=batch.target[order],
        label=batch.label[order],
        user=batch.user[order],
    )


def make_model(seed: int = 0, embedding: nn.Module | None = None, **options: Any) -> DIN:
    """In double precision, with a batch norm, slopes and item biases that are not the start's."""
    torch.manual_seed(seed)
    embedding = nn.Embedding(NUM_ITEMS, 3) if embedding is None else embedding
    model = DIN(embedding, attention_hidden=(5, 4), hidden=(7, 6), **options).double()
    for name, value in model.named_parameters():
        if ("embedding" not in name and value.dim() == 1) or "item_bias" in name:
            nn.init.normal_(value)
    for name, buffer in model.named_buffers():
        if "running" in name:
            buffer.uniform_(0.5, 2)
    return model


def batch_norm(x: Tensor, norm: nn.BatchNorm1d, training: bool) -> Tensor:
    mean, variance = norm.running_mean, norm.running_var
    if training and len(x) > 1:
        mean, variance = x.mean(dim=0), x.var(dim=0, correction=0)
    normalized = (x - mean) / (variance + norm.eps).sqrt()
    return normalized * norm.weight + norm.bias


def padded_logits(model: DIN, batch: Batch) -> Tensor:
    """The logits from padded histories, every item embedded where it stands."""
    histories = batch.history.split(batch.ptr.diff().tolist())
    padded = nn.utils.rnn.pad_sequence([*histories, torch.zeros(1).long()], batch_first=True)[:-1]
    places = torch.arange(padded.size(1))
    mask = places < batch.ptr.diff()[:, None]  # [batch_size, longest]

    def embed(ids: Tensor) -> Tensor:
        rows = model.embedding(ids)
        if isinstance(model.features, type(model.embedding)):
            return rows
        table = model.features.category_embedding.weight
        return torch.cat([rows, table[CATEGORY[ids]]], dim=-1)

    keys, query = embed(padded), embed(batch.target)
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
    features = torch.cat([interest, query, interest * query], dim=1)
    logit = model.mlp(batch_norm(features, model.norm, model.training)).squeeze(1)
    if model.item_bias is not None:
        logit = logit + model.item_bias.weight[batch.target, 0]
    return logit


def assert_same_as_padded(model: DIN, batch: Batch) -> None:
    reference = copy.deepcopy(model)
    logit, expected = model(batch), padded_logits(reference, batch)
    assert logit.shape == (len(batch),)
    torch.testing.assert_close(logit, expected)
    probe = torch.randn_like(logit)
    (logit * probe).sum().backward()
    (expected * probe).sum().backward()
    for (name, one), other in zip(model.named_parameters(), reference.parameters(), strict=True):
        wanted = torch.zeros_like(other) if other.grad is None else other.grad
        got = torch.zeros_like(one) if one.grad is None else one.grad
        torch.testing.assert_close(got, wanted, msg=lambda m, name=name: f"{name}: {m}")


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("normalization", ["none", "softmax"])
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@settings(max_examples=8, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 5), min_size=3, max_size=8),
    item_bias=st.booleans(),
    category=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_equals_the_padded_model(
    activation: str,
    normalization: str,
    training: bool,
    lengths: list[int],
    item_bias: bool,
    category: bool,
    seed: int,
) -> None:
    model = make_model(
        seed,
        activation=activation,
        attention_normalization=normalization,
        item_bias=item_bias,
        item_category=CATEGORY if category else None,
    )
    assert_same_as_padded(model.train(training), make_batch(lengths, seed))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("lengths", [[3], [0], [0, 0, 0], [0, 4, 0]], ids=str)
def test_batch_of_one_and_empty_histories(
    activation: str, training: bool, lengths: list[int]
) -> None:
    model = make_model(activation=activation, item_bias=True).train(training)
    assert_same_as_padded(model, make_batch(lengths))
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters() if p.grad is not None)


def test_batch_of_one_leaves_the_moving_averages() -> None:
    model = make_model()
    before = model.norm.running_mean.clone()
    model(make_batch([2]))
    assert torch.equal(model.norm.running_mean, before)
    model(make_batch([2, 1, 0]))
    assert not torch.equal(model.norm.running_mean, before)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@settings(max_examples=10, deadline=None)
@given(lengths=st.lists(st.integers(0, 5), min_size=2, max_size=8), data=st.data())
def test_order_of_the_examples_does_not_matter(
    activation: str, training: bool, lengths: list[int], data: st.DataObject
) -> None:
    order = torch.tensor(data.draw(st.permutations(range(len(lengths)))))
    model = make_model(activation=activation, item_bias=True).train(training)
    batch = make_batch(lengths)
    torch.testing.assert_close(model(reordered(batch, order)), model(batch)[order])


def test_examples_do_not_mix_in_evaluation() -> None:
    model = make_model(item_category=CATEGORY).eval()
    batch = make_batch([3, 0, 1, 5])
    alone = [model(reordered(batch, torch.tensor([i]))) for i in range(4)]
    torch.testing.assert_close(model(batch), torch.cat(alone))


def test_history_counts() -> None:
    model, batch = make_model().eval(), make_batch([3, 4])
    other = Batch(batch.history.flip(0), batch.ptr, batch.target, batch.label, batch.user)
    assert not torch.allclose(model(other), model(batch))


class Watched(nn.Module):
    """Somebody's embedding: it notes what it is asked for, and has a penalty."""

    embedding_dim = 3

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(NUM_ITEMS, 3)
        self.asked: list[Tensor] = []

    def forward(self, ids: Tensor) -> Tensor:
        self.asked.append(ids)
        return self.table(ids)

    def penalty(self, ids: Tensor) -> Tensor:
        return ids.double().sum()


@pytest.mark.parametrize("num_embeddings", [None, NUM_ITEMS])
def test_distinct_items_are_embedded_once(num_embeddings: int | None) -> None:
    embedding = Watched()
    if num_embeddings is not None:
        embedding.num_embeddings = num_embeddings
    model, batch = make_model(embedding=embedding), make_batch([5, 0, 7, 6])
    model(batch)
    (asked,) = embedding.asked
    wanted = torch.cat([batch.history, batch.target]).unique()
    assert torch.equal(asked.sort().values, wanted)


def test_penalty_is_the_embedding_s_on_the_candidates() -> None:
    batch = make_batch([2, 3])
    assert make_model().penalty(batch) is None
    assert make_model(embedding=Watched()).penalty(batch).item() == float(batch.target.sum())
    both = make_model(embedding=Watched(), item_category=CATEGORY)
    assert both.penalty(batch).item() == float(batch.target.sum())


@pytest.mark.parametrize("encoder", ["average", "gcn", "gat"])
def test_with_res_embedding(encoder: str) -> None:
    ring = torch.arange(NUM_ITEMS)
    graph = Data(
        edge_index=torch.stack([ring, ring.roll(1)]),
        x=torch.randn(NUM_ITEMS, 4),
        count=ring,
        num_nodes=NUM_ITEMS,
    )
    emb = ResEmbedding(graph, 3, 2, encoder, shrinkage=5.0, residual_std=0.5)
    model, batch = make_model(embedding=emb), make_batch([4, 0, 3, 5])
    expected = copy.deepcopy(model)
    expected.embedding = expected.features = emb.materialize()
    torch.testing.assert_close(model(batch), expected(batch))
    # Many rows of one batch reach the shared centres.
    model(batch).square().sum().backward()
    assert bool((emb.centers.grad.abs().sum(dim=1) > 0).all())
    assert model.penalty(batch).item() == pytest.approx(emb.penalty(batch.target).item())


def test_items_of_a_log_with_category(log: BehaviorLog) -> None:
    split = log.split()
    model = DIN(nn.Embedding(log.num_items, 4), item_category=log.item_category)
    assert model.feature_dim == 8  # the category's embedding is as wide as the item's
    for batch in split.valid.batches(50):
        assert model(batch).shape == (len(batch),)


def test_state_dict_round_trip() -> None:
    options = {"item_category": CATEGORY, "item_bias": True}
    model, other = make_model(0, **options).eval(), make_model(1, **options).eval()
    batch = make_batch([3, 0, 2])
    assert not torch.allclose(other(batch), model(batch))
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(batch), model(batch))


def test_item_bias_starts_at_zero() -> None:
    model = DIN(nn.Embedding(NUM_ITEMS, 3), item_bias=True)
    assert torch.equal(model.item_bias.weight, torch.zeros(NUM_ITEMS, 1))
    assert DIN(nn.Embedding(NUM_ITEMS, 3)).item_bias is None


def test_settings() -> None:
    with pytest.raises(InputError, match="Linear has no embedding_dim"):
        DIN(nn.Linear(3, 3))
    with pytest.raises(InputError, match=r"item_bias needs Watched\.num_embeddings"):
        DIN(Watched(), item_bias=True)
    with pytest.raises(InputError, match="activation='tanh' is unknown"):
        DIN(nn.Embedding(4, 3), activation="tanh")
    with pytest.raises(InputError, match="normalization='sum' is unknown"):
        DIN(nn.Embedding(4, 3), attention_normalization="sum")
    with pytest.raises(InputError, match=r"item_category has shape \[12\]"):
        DIN(nn.Embedding(4, 3), item_category=CATEGORY)
