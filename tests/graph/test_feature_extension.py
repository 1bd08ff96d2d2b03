"""Features of new items: an old item's own edges give back its features."""

import pytest
import torch
from torch_geometric.data import Data

from resemb_gnn import BehaviorLog, CountFeature, SpectralFeatures, covisit_graph
from resemb_gnn.graph import Adjacency, FeatureExtension, NodeFeatures


def rows_of(graph: Data, ids: torch.Tensor) -> Adjacency:
    """Edges of the items ``ids`` (the graph is undirected, and sorted by row)."""
    counts = graph.edge_index[0].bincount(minlength=graph.num_nodes)
    ptr = torch.nn.functional.pad(counts.cumsum(0), (1, 0))
    return Adjacency(ptr, graph.edge_index[1], graph.edge_weight).rows(ids)


@pytest.mark.parametrize("dim", [3, 12, 60])
def test_old_items_get_their_own_features(log: BehaviorLog, dim: int) -> None:
    graph = NodeFeatures(dim)(covisit_graph(log))
    ids = torch.tensor([5, 0, 39, 17])
    extension = FeatureExtension(graph)
    assert bool(extension.spectral[: min(dim, 20) - 1].all())
    x = extension(rows_of(graph, ids), graph.count[ids])
    torch.testing.assert_close(x, graph.x[ids], atol=1e-3, rtol=1e-3)


def test_unknown_counts_and_other_columns_are_the_neighbours_mean(log: BehaviorLog) -> None:
    graph = CountFeature()(covisit_graph(log))
    graph.x = torch.cat([torch.randn(40, 2), graph.x], dim=1)
    extension = FeatureExtension(graph)
    rows = Adjacency(torch.tensor([0, 2, 2]), torch.tensor([3, 8]), torch.tensor([1.0, 3.0]))
    expected = torch.stack([(graph.x[3] + 3 * graph.x[8]) / 4, torch.zeros(3)])
    torch.testing.assert_close(extension(rows), expected)
    counted = extension(rows, graph.count[[6, 7]])
    torch.testing.assert_close(counted[:, :2], expected[:, :2])
    torch.testing.assert_close(counted[:, 2], graph.x[[6, 7], 2])


def test_edges_beyond_the_graph_are_left_out(log: BehaviorLog) -> None:
    graph = SpectralFeatures(5)(covisit_graph(log))
    extension = FeatureExtension(graph)
    ptr = torch.tensor([0, 2])
    some = extension(Adjacency(ptr, torch.tensor([3, 8]), torch.ones(2)))
    more = Adjacency(torch.tensor([0, 4]), torch.tensor([3, 44, 8, 40]), torch.ones(4))
    assert torch.equal(extension(more), some)
    assert some.abs().sum() > 0
    none = Adjacency(ptr, torch.tensor([44, 40]), torch.ones(2))
    assert not extension(none).any()


def test_graphs_without_edges_and_lonely_neighbours() -> None:
    lonely = Data(edge_index=torch.empty(2, 0, dtype=torch.long), x=torch.zeros(4, 2), num_nodes=4)
    rows = Adjacency(torch.tensor([0, 1]), torch.tensor([2]), torch.ones(1))
    assert not FeatureExtension(lonely)(rows).any()
    pair = SpectralFeatures(2)(Data(edge_index=torch.tensor([[0, 1], [1, 0]]), num_nodes=4))
    assert not FeatureExtension(pair)(rows).any()  # its neighbour has no column
