"""Items of a batch outside the embedding's table are refused by every click model."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from resemb_gnn import (
    DIEN,
    DIN,
    PNN,
    BehaviorLog,
    PooledMLP,
    ResEmbedding,
    SASRec,
    WideDeep,
    covisit_graph,
)
from resemb_gnn.data import Batch
from resemb_gnn.nn import HashedCrosses, LightGCNEmbedding, PlainEmbedding

MODELS = [DIN, DIEN, PNN, PooledMLP, SASRec, WideDeep]
TABLES: dict[str, Callable[[BehaviorLog], nn.Module]] = {
    "torch": lambda log: nn.Embedding(log.num_items, 4),
    "large": lambda log: nn.Embedding(100_000, 4),
    "plain": lambda log: PlainEmbedding(log.num_items, 4, l2=1.0),
    "LightGCN": lambda log: LightGCNEmbedding(covisit_graph(log), 4, l2=1.0),
    "gcn": lambda log: ResEmbedding(covisit_graph(log), 4, 5, feature_dim=4),
    "gat": lambda log: ResEmbedding(covisit_graph(log), 4, 5, "gat", feature_dim=4),
    "average": lambda log: ResEmbedding(covisit_graph(log), 4, None, "average"),
}


def with_item(batch: Batch, part: str, item: int) -> Batch:
    items: Tensor = getattr(batch, part).clone()
    items[items.numel() // 2] = item
    return replace(batch, **{part: items})


@pytest.mark.parametrize("categories", [False, True])
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("model", MODELS)
def test_an_item_out_of_range_is_refused(
    model: type[nn.Module], table: str, categories: bool, log: BehaviorLog
) -> None:
    embedding = TABLES[table](log)
    category = torch.arange(embedding.num_embeddings) % 3 if categories else None
    made = model(embedding, item_category=category)
    batch = log.split().train.batch(torch.arange(30))
    for training in (True, False):
        made.train(training)
        assert made(batch).shape == (30,)
        for part in ("history", "target"):
            for item in (-1, -embedding.num_embeddings, embedding.num_embeddings, 2**31):
                with pytest.raises(IndexError):
                    made(with_item(batch, part, item))


@pytest.mark.parametrize("model", MODELS)
def test_items_in_32_bits(model: type[nn.Module], log: BehaviorLog) -> None:
    made = model(nn.Embedding(log.num_items, 4), item_category=log.item_category).eval()
    batch = log.split().train.batch(torch.arange(30))
    narrow = replace(batch, history=batch.history.int(), target=batch.target.int())
    assert torch.equal(made(narrow), made(batch))


class Lenient(nn.Module):
    """An embedding of somebody's own that indexes, and so takes negative ids."""

    embedding_dim = 4

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(6, 4))

    def forward(self, ids: Tensor) -> Tensor:
        return self.table[ids]


@pytest.mark.parametrize("bad", [-1, 6])
def test_categories_of_no_item(bad: int) -> None:
    model = DIN(Lenient(), item_category=torch.arange(6) % 3)
    assert model.category is not None
    ids = torch.randint(6, (3,))
    out = model.item_features(ids)
    assert torch.equal(out[:, 4:], model.category.embedding(ids % 3))
    ids[-1] = bad
    with pytest.raises(IndexError):
        model.item_features(ids)


def test_crosses_in_32_bits() -> None:
    crosses = HashedCrosses(6)
    first, second = torch.arange(50), torch.arange(50) * 7
    assert torch.equal(crosses.bucket(first.int(), second.int()), crosses.bucket(first, second))
