"""What the penalties are made of, and the penalties of no items."""

import pytest
import torch
from torch import Tensor

from resemb_gnn import DIN, BehaviorLog, ResEmbedding, covisit_graph
from resemb_gnn.data import Batch
from resemb_gnn.nn import LightGCNEmbedding, PlainEmbedding
from resemb_gnn.nn.layers.mean_square import mean_square

NO_IDS = torch.empty(0, dtype=torch.long)


@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (2, 5, 3)])
def test_mean_of_squared_norms(shape: tuple[int, ...]) -> None:
    rows = torch.randn(shape, dtype=torch.double)
    norms = [float(row.norm()) ** 2 for row in rows.reshape(-1, shape[-1])]
    assert mean_square(rows).item() == pytest.approx(sum(norms) / len(norms))


@pytest.mark.parametrize("shape", [(0, 3), (2, 0, 3), (0, 0)])
def test_of_no_rows_it_is_zero(shape: tuple[int, ...]) -> None:
    rows = torch.empty(shape, requires_grad=True)
    mean_square(rows).backward()
    assert mean_square(rows).item() == 0
    assert rows.grad is not None


@pytest.mark.parametrize("kind", ["res", "LightGCN", "plain"])
@pytest.mark.parametrize("ids", [NO_IDS, NO_IDS.view(3, 0), NO_IDS.view(0, 4).int()], ids=str)
def test_penalty_of_no_items(kind: str, ids: Tensor, log: BehaviorLog) -> None:
    graph = covisit_graph(log)
    emb = {
        "res": lambda: ResEmbedding(graph, 4, 5, feature_dim=4),
        "LightGCN": lambda: LightGCNEmbedding(graph, 4, l2=0.5),
        "plain": lambda: PlainEmbedding(log.num_items, 4, l2=0.5),
    }[kind]()
    penalty = emb.penalty(ids)
    assert penalty is not None
    assert penalty.item() == 0
    penalty.backward()
    assert all(p.grad is None or not p.grad.any() for p in emb.parameters())
    none = Batch(NO_IDS, torch.zeros(1, dtype=torch.long), NO_IDS, torch.empty(0), NO_IDS)
    assert DIN(emb).penalty(none).item() == 0
