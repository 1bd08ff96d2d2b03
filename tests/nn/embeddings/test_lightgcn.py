"""LightGCN's propagated table against a dense matrix and PyG's own layer."""

import copy

import pytest
import torch
from dense_reference import random_graph
from torch_geometric.nn import LGConv

from resemb_gnn import DIN, BehaviorLog, InputError, covisit_graph
from resemb_gnn.nn import LightGCNEmbedding

IDS = torch.tensor([[3, 0, 3, 8], [1, 7, 2, 2]])


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("num_layers", [1, 3])
def test_equals_pyg_and_a_dense_matrix(num_layers: int, weighted: bool) -> None:
    graph = random_graph(0)  # directed, with repeated edges, self-loops and an isolated node
    if not weighted:
        graph.edge_weight = None
    torch.manual_seed(0)
    emb = LightGCNEmbedding(graph, 5, num_layers, std=0.5)
    weight = torch.ones(graph.num_edges) if graph.edge_weight is None else graph.edge_weight
    matrix = torch.zeros(9, 9).index_put(
        (graph.edge_index[1], graph.edge_index[0]), weight, accumulate=True
    )
    degree = matrix.sum(dim=1)
    scale = torch.where(degree > 0, degree.rsqrt(), 0.0)
    matrix = scale[:, None] * matrix * scale
    powers = [torch.linalg.matrix_power(matrix, layer) for layer in range(num_layers + 1)]
    expected = sum(powers) @ emb.weight / (num_layers + 1)
    torch.testing.assert_close(emb(IDS), expected[IDS])

    conv, layers = LGConv(), [emb.weight]
    for _ in range(num_layers):
        layers.append(conv(layers[-1], graph.edge_index, graph.edge_weight))
    torch.testing.assert_close(emb(IDS), torch.stack(layers).mean(dim=0)[IDS])

    probe = torch.randn(9, 5)
    (actual,) = torch.autograd.grad((emb(torch.arange(9)) * probe).sum(), emb.weight)
    (wanted,) = torch.autograd.grad((expected * probe).sum(), emb.weight)
    torch.testing.assert_close(actual, wanted)


def test_a_fold_sees_its_own_graph(log: BehaviorLog) -> None:
    graph = covisit_graph(log, folds=3)
    emb = LightGCNEmbedding(graph, 4, std=0.5)
    alone = LightGCNEmbedding(graph.fold_graphs[1], 4)
    with torch.no_grad():
        alone.weight.copy_(emb.weight)
    ids = torch.arange(log.num_items)
    assert torch.equal(emb(ids, fold=1), alone(ids))
    assert not torch.allclose(emb(ids), alone(ids))
    assert torch.equal(emb.user_fold, graph.user_fold)


def test_penalty_is_on_the_table_of_the_batch(log: BehaviorLog) -> None:
    emb = LightGCNEmbedding(covisit_graph(log), 4, std=0.5, l2=0.3)
    batch = log.split().train.batch(torch.arange(5))
    items = sorted(set(batch.history.tolist()) | set(batch.target.tolist()))
    expected = 0.3 * emb.weight[items].square().sum(dim=1).mean()
    torch.testing.assert_close(DIN(emb).penalty(batch), expected)
    assert LightGCNEmbedding(covisit_graph(log), 4).penalty(batch.target) is None


def test_weights_of_another_graph_are_refused() -> None:
    emb = LightGCNEmbedding(random_graph(0), 5)
    other = LightGCNEmbedding(random_graph(1), 5)
    with pytest.raises(InputError, match="belong to another graph"):
        other.load_state_dict(emb.state_dict())
    copy.deepcopy(emb).load_state_dict(emb.state_dict())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_layers": 0}, "num_layers must be at least 1, not 0"),
        ({"embedding_dim": 0}, "embedding_dim must be at least 1, not 0"),
        ({"std": -1.0}, "std must be at least 0"),
        ({"l2": -1.0}, "l2 must be at least 0"),
    ],
)
def test_refusals(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        LightGCNEmbedding(random_graph(0), **options)  # type: ignore[arg-type]
