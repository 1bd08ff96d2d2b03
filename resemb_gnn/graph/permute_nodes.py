"""The control of every graph experiment."""

import torch
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
        data.edge_index = order[data.edge_index]
        if "x" in data:
            del data.x
        return data.sort()  # edge weights move along, which Data.coalesce does not see to

    def __repr__(self) -> str:
        return f"{type(self).__name__}(seed={self.seed})"
