import pytest
import torch
from torch_geometric.data import Data
from torch_geometric.utils import coalesce, is_undirected

from resemb_gnn import PermuteNodes, SpectralFeatures, covisit_graph


@pytest.fixture
def graph(log):
    """The co-visit graph with a weight of its own on each (undirected) edge, and features."""
    graph = covisit_graph(log)
    low, high = graph.edge_index.min(0).values, graph.edge_index.max(0).values
    _, edge = (low * graph.num_nodes + high).unique(return_inverse=True)
    graph.edge_weight = edge + 1.0
    graph.x = torch.randn(graph.num_nodes, 3)
    return graph


def _weights_at(graph):
    """The weights of each node's edges: with edges all different they name the node."""
    out = [set() for _ in range(graph.num_nodes)]
    for (source, target), weight in zip(
        graph.edge_index.T.tolist(), graph.edge_weight.tolist(), strict=True
    ):
        out[source].add((weight, "out"))
        out[target].add((weight, "in"))
    return out


def test_permuted_graph_is_isomorphic(graph):
    before, after = _weights_at(graph), _weights_at(PermuteNodes(seed=1)(graph))
    assert all(before)  # no isolated node, so that every node has a name
    assert len({frozenset(weights) for weights in before}) == graph.num_nodes
    assert sorted(map(sorted, after)) == sorted(map(sorted, before))
    moved = sum(a != b for a, b in zip(after, before, strict=True))
    assert moved > graph.num_nodes / 2


def test_direction_of_edges_is_kept():
    graph = Data(
        edge_index=torch.tensor([[0, 1, 2, 0], [1, 2, 3, 3]]),
        edge_weight=torch.tensor([1.0, 2.0, 3.0, 4.0]),
        num_nodes=6,  # two of them isolated
    )
    for seed in range(5):
        permuted = PermuteNodes(seed)(graph)
        assert sorted(map(sorted, _weights_at(permuted))) == sorted(map(sorted, _weights_at(graph)))


def test_permuted_graph_is_sorted_and_keeps_the_rest(graph):
    permuted = PermuteNodes(seed=1)(graph)
    assert permuted.num_nodes == graph.num_nodes
    assert permuted.num_edges == graph.num_edges
    assert torch.equal(permuted.count, graph.count)  # counts stay with their items
    ordered, weight = coalesce(permuted.edge_index, permuted.edge_weight)
    assert torch.equal(ordered, permuted.edge_index)
    assert torch.equal(weight, permuted.edge_weight)
    assert is_undirected(permuted.edge_index, permuted.edge_weight)


def test_counts_move_with_their_nodes(log):
    graph = covisit_graph(log, folds=3)
    permuted = PermuteNodes(seed=1, move_count=True)(graph)
    order = torch.randperm(graph.num_nodes, generator=torch.Generator().manual_seed(1))
    for before, after in zip(
        [graph, *graph.fold_graphs], [permuted, *permuted.fold_graphs], strict=True
    ):
        assert all(after.count[order[i]] == before.count[i] for i in range(graph.num_nodes))
        assert not torch.equal(after.count, before.count)
        # The degrees, too, so that a node keeps all that it was.
        degree = [
            part.edge_index[0].bincount(minlength=graph.num_nodes) for part in (before, after)
        ]
        assert all(degree[1][order[i]] == degree[0][i] for i in range(graph.num_nodes))
    edges = PermuteNodes(seed=1)(graph)
    assert torch.equal(permuted.edge_index, edges.edge_index)
    assert torch.equal(permuted.edge_weight, edges.edge_weight)


def test_a_graph_without_counts_is_moved_alike():
    graph = Data(edge_index=torch.tensor([[0, 1], [1, 0]]), edge_weight=torch.ones(2), num_nodes=4)
    moved = [PermuteNodes(seed=1, move_count=move)(graph) for move in (False, True)]
    assert torch.equal(moved[0].edge_index, moved[1].edge_index)
    assert "count" not in moved[1]


def test_features_are_dropped_and_the_input_is_left_alone(graph):
    edge_index, x = graph.edge_index.clone(), graph.x
    permuted = PermuteNodes()(graph)
    assert "x" not in permuted
    assert graph.x is x
    assert torch.equal(graph.edge_index, edge_index)
    features = SpectralFeatures(4)(permuted).x
    assert features.shape == (graph.num_nodes, 4)


def test_fold_graphs_move_along_and_the_inputs_are_left_alone(log):
    graph = SpectralFeatures(4)(covisit_graph(log, folds=3))
    before = graph.clone()
    permuted = PermuteNodes(seed=2)(graph)
    for part, moved, kept in zip(
        graph.fold_graphs, permuted.fold_graphs, before.fold_graphs, strict=True
    ):
        assert torch.equal(part.edge_index, kept.edge_index)
        assert torch.equal(part.edge_weight, kept.edge_weight)
        assert torch.equal(part.x, kept.x)
        assert "x" not in moved
        alone = PermuteNodes(seed=2)(part)
        assert torch.equal(moved.edge_index, alone.edge_index)
        assert torch.equal(moved.edge_weight, alone.edge_weight)


def test_folds_of_as_many_users_as_edges_stay_with_their_users(make_log):
    graph = covisit_graph(make_log([[0, 1], [1, 2], [0, 2], [2, 3], [3, 4], [5], [6], [4, 5]]))
    graph.user_fold = torch.arange(graph.num_edges)
    for seed in range(5):
        assert torch.equal(PermuteNodes(seed)(graph).user_fold, graph.user_fold)


def test_order_depends_on_the_seed_alone(graph):
    torch.manual_seed(0)
    one = PermuteNodes(seed=3)(graph)
    torch.manual_seed(1)
    assert torch.equal(PermuteNodes(seed=3)(graph).edge_index, one.edge_index)
    assert not torch.equal(PermuteNodes(seed=4)(graph).edge_index, one.edge_index)


def test_repr():
    assert str(PermuteNodes(seed=2)) == "PermuteNodes(seed=2, move_count=False)"
