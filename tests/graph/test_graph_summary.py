"""Numbers of a graph against networkx's."""

import networkx as nx
import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import Data
from torch_geometric.utils import to_undirected

from resemb_gnn.graph import QUANTILES, summarize_graph


@given(
    st.integers(1, 12),
    st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11), st.integers(1, 9)), max_size=25),
)
def test_agrees_with_networkx(size: int, edges: list[tuple[int, int, int]]) -> None:
    other = nx.Graph()
    other.add_nodes_from(range(size))
    other.add_weighted_edges_from((a % size, b % size, w) for a, b, w in edges)
    loops = [(a, b, w) for a, b, w in other.edges.data("weight")]
    index = torch.tensor([(a, b) for a, b, _ in loops], dtype=torch.long).reshape(-1, 2).T
    weight = torch.tensor([float(w) for *_, w in loops])
    index, weight = to_undirected(index, weight, size, reduce="max")
    found = summarize_graph(Data(edge_index=index, edge_weight=weight, num_nodes=size))
    other.remove_edges_from(list(nx.selfloop_edges(other)))
    assert found.num_nodes == size
    assert found.num_edges == other.number_of_edges()
    assert found.num_isolated == nx.number_of_isolates(other)
    components = list(nx.connected_components(other))
    assert found.num_components == len(components)
    assert found.largest_component == max(map(len, components))
    assert found.degree.tolist() == [other.degree[i] for i in range(size)]
    assert found.strength.tolist() == [other.degree(i, weight="weight") for i in range(size)]
    weights = [w for *_, w in other.edges.data("weight")]
    expected = np.quantile(weights, QUANTILES) if weights else ()
    np.testing.assert_allclose(found.weight_quantiles, expected)


def test_a_graph_without_weights_counts_ones() -> None:
    found = summarize_graph(Data(edge_index=torch.tensor([[0, 1], [1, 0]]), num_nodes=3))
    assert found.strength.tolist() == [1, 1, 0]
    assert found.weight_quantiles == (1.0,) * len(QUANTILES)
