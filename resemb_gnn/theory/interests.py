"""Interests where no labels are known: communities of the co-visit graph."""

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.utils import remove_self_loops, to_scipy_sparse_matrix

from resemb_gnn.errors import InputError
from resemb_gnn.graph import check_graph


def graph_communities(graph: Data, resolution: float = 1.0, seed: int = 0) -> Tensor:
    """Communities of the co-visit graph by Louvain's method (Blondel et al., 2008; NetworkX's
    ``louvain_communities``), to stand for the interests.

    The graph is read as undirected: the weights of an edge's two directions are averaged. An
    item without edges is a community of its own. NetworkX is plain Python: allow a minute for
    400,000 edges, or thin the graph out first (``covisit_graph(..., top_k=...)``).

    Args:
        graph: co-visit graph; without ``edge_weight`` all edges weigh alike.
        resolution: above 1 gives smaller communities, below 1 larger ones.
        seed: seed of the order in which items are visited.

    Returns:
        Community of each item, int64 ``[num_nodes]``, numbered by size, the largest first.

    Raises:
        InputError: if ``resolution`` is not above 0 or the graph unusable.
    """
    # It takes a while to load, and only this needs it.
    import networkx  # type: ignore[import-untyped]

    if not 0 < resolution < float("inf"):
        raise InputError(f"resolution must be above 0 and finite, not {resolution}")
    check_graph(graph)
    # A loop joins an item to no other.
    edges = remove_self_loops(graph.edge_index.cpu(), graph.edge_weight)
    size = int(graph.num_nodes or 0)
    adjacency = to_scipy_sparse_matrix(*edges, num_nodes=size).tocsr()
    undirected = networkx.from_scipy_sparse_array((adjacency + adjacency.T) / 2)
    found = networkx.community.louvain_communities(undirected, resolution=resolution, seed=seed)
    community = torch.empty(size, dtype=torch.long)
    for number, items in enumerate(sorted(found, key=lambda items: (-len(items), min(items)))):
        community[list(items)] = number
    return community
