"""What a co-visit graph looks like, in numbers."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse
import torch
from scipy.sparse.csgraph import connected_components
from torch import Tensor
from torch_geometric.data import Data

from resemb_gnn.graph.adjacency import check_graph

QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)


@dataclass(frozen=True, eq=False)
class GraphSummary:
    """The size and shape of an undirected graph.

    Args:
        num_nodes: items.
        num_edges: joined pairs, each counted once; self-loops are left out.
        num_isolated: items that are joined to none.
        num_components: connected components, isolated items among them.
        largest_component: items of the largest one.
        degree: items that each item is joined to, int64 ``[num_nodes]``.
        strength: sum of the weights of an item's edges, float64 ``[num_nodes]``.
        degree_quantiles: of the degrees, at ``QUANTILES``.
        weight_quantiles: of the pairs' weights, likewise; empty if there are none.
    """

    num_nodes: int
    num_edges: int
    num_isolated: int
    num_components: int
    largest_component: int
    degree: Tensor
    strength: Tensor
    degree_quantiles: tuple[float, ...]
    weight_quantiles: tuple[float, ...]


def summarize_graph(graph: Data) -> GraphSummary:
    """Counts nodes, edges, degrees, weights and components of an undirected graph.

    Args:
        graph: a graph as :func:`~resemb_gnn.covisit_graph` makes it, each edge both ways.

    Raises:
        InputError: if the graph is unusable (:func:`~resemb_gnn.graph.check_graph`).
    """
    check_graph(graph)
    size = int(graph.num_nodes or 0)
    source, target, weight = edge_list(graph, once=False)
    degree = source.bincount(minlength=size)
    strength = torch.zeros(size, dtype=torch.float64).index_add(0, source, weight.double())
    places = source.numpy(), target.numpy()
    matrix = scipy.sparse.coo_array((np.ones(source.numel()), places), shape=(size, size))
    num_components, component = connected_components(matrix, directed=False)
    pairs = weight[source < target]
    return GraphSummary(
        num_nodes=size,
        num_edges=pairs.numel(),
        num_isolated=int((degree == 0).sum()),
        num_components=int(num_components),
        largest_component=int(np.bincount(component).max()),
        degree=degree,
        strength=strength,
        degree_quantiles=_quantiles(degree),
        weight_quantiles=_quantiles(pairs) if pairs.numel() else (),
    )


def edge_list(graph: Data, once: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """Sources, targets (int64) and weights (float32) of the edges, ``[num_edges]`` each, without
    self-loops; with ``once``, of the two ways of a pair only that from the lower number.

    Raises:
        InputError: if the edges are unusable (:func:`~resemb_gnn.graph.check_graph`).
    """
    check_graph(graph, ("edge_index", "edge_weight"))
    source, target = graph.edge_index
    keep = source < target if once else source != target
    weight = graph.edge_weight
    weight = torch.ones(source.numel()) if weight is None else weight
    return source[keep], target[keep], weight[keep].float()


def _quantiles(values: Tensor) -> tuple[float, ...]:
    return tuple(np.quantile(values.double().numpy(), QUANTILES).tolist())
