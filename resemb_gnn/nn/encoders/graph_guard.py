"""Weights that belong to a graph refuse to be loaded beside another one."""

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from resemb_gnn.nn.encoders.guarded_buffer import register_guarded_buffer


def guard_graph(module: nn.Module, graph: Data) -> None:
    """Saves a hash of the graph with the module's weights (the graph itself is not saved), and
    makes ``load_state_dict`` raise :class:`~resemb_gnn.InputError` where it differs.
    """
    register_guarded_buffer(
        module,
        "graph_hash",
        _hash_graph(graph),
        "the saved weights belong to another graph (hash {saved}) than this {module} ({own})",
    )


_PART = 2**22  # edges


def _hash_graph(graph: Data) -> Tensor:
    """A number that tells graphs apart; saved, since the graph itself is not."""
    weight = graph.edge_weight
    if weight is None:
        weight = torch.zeros_like(graph.edge_index[0])
    total = torch.tensor(int(graph.num_nodes or 0), device=weight.device)
    # In parts: at 100 million edges the products would take gigabytes.
    for edges, some in zip(graph.edge_index.split(_PART, dim=1), weight.split(_PART), strict=True):
        source, target = edges
        mixed = (source * 0x9E3779B1 + target * 0x85EBCA77) ^ (source * target)
        total = total + mixed.sum() + (mixed % 65_521 * some.double().round().long()).sum()
    return total
