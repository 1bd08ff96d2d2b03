"""The control of every graph experiment."""

import copy

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform
from torch_geometric.utils import sort_edge_index

from resemb_gnn.graph.adjacency import check_graph


@functional_transform("permute_nodes")
class PermuteNodes(BaseTransform):
    """Moves the edges to nodes in a random order, the same for all edges.

    The graph keeps its degrees and its communities, but they belong to other items: what an
    embedding still gains on it is not owed to the co-visits. ``count`` stays with its items unless
    ``move_count``; node features ``x`` would have been made of the true graph and are dropped.

    Args:
        seed: seed of the order.
        move_count: whether ``count`` moves along, so that nothing true is left of an item.

    Raises:
        InputError: if the graph is unusable (:func:`~resemb_gnn.graph.check_graph`).
    """

    def __init__(self, seed: int = 0, move_count: bool = False) -> None:
        self.seed = seed
        self.move_count = move_count

    def forward(self, data: Data) -> Data:
        check_graph(data, ("edge_index", "edge_weight", "count", "fold_graphs"))
        size = int(data.num_nodes or 0)
        generator = torch.Generator().manual_seed(self.seed)
        order = torch.randperm(size, generator=generator)
        if "fold_graphs" in data:
            data.fold_graphs = [self._move(part, order) for part in data.fold_graphs]
        return self._move(data, order)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(seed={self.seed}, move_count={self.move_count})"

    def _move(self, data: Data, order: Tensor) -> Data:
        data = copy.copy(data)
        # Not Data.coalesce, which leaves the weights behind, nor Data.sort, which would take a
        # user_fold that happens to be as long as the edges for one of their attributes.
        data.edge_index, data.edge_weight = sort_edge_index(
            order[data.edge_index], data.edge_weight, num_nodes=data.num_nodes
        )
        if self.move_count and data.get("count") is not None:
            data.count = torch.empty_like(data.count).scatter_(0, order, data.count)
        if "x" in data:
            del data.x
        return data
