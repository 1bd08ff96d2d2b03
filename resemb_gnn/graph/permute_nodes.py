"""The control of every graph experiment."""

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform


@functional_transform("permute_nodes")
class PermuteNodes(BaseTransform):
    """Moves the edges to nodes in a random order, the same for all edges.

    The graph keeps its degrees and its communities, but they belong to other items: what an
    embedding still gains on it is not owed to the co-visits. ``count`` stays with its items;
    node features ``x`` would have been made of the true graph and are dropped.

    Args:
        seed: seed of the order.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def forward(self, data: Data) -> Data:
        size = int(data.num_nodes or 0)
        generator = torch.Generator().manual_seed(self.seed)
        order = torch.randperm(size, generator=generator)
        for part in data.get("fold_graphs") or []:
            _move(part, order)
        return _move(data, order)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(seed={self.seed})"


def _move(data: Data, order: Tensor) -> Data:
    data.edge_index = order[data.edge_index]
    if "x" in data:
        del data.x
    # Edge weights move along, which Data.coalesce does not see to.
    data.update(data.sort())
    return data
