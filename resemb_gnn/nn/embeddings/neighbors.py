"""The neighbours of items to come, as they are handed over."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch_geometric.utils import cumsum

from resemb_gnn.errors import InputError
from resemb_gnn.graph import Adjacency

Neighbors = Sequence[Tensor] | tuple[Tensor, Tensor]


def read_neighbors(
    neighbors: Neighbors, weights: Tensor | Sequence[Tensor] | None, size: int
) -> Adjacency:
    """Edges into each new item, by items of a table of ``size`` and their weights.

    Raises:
        InputError: if a part has a wrong shape, or a value that is no item or no weight.
    """
    if isinstance(neighbors, tuple):
        if len(neighbors) != 2:
            raise InputError("neighbors as a tuple must be (values, ptr)")
        values, ptr = (part.cpu() for part in neighbors)
        steps = ptr.diff()
        if (
            ptr.dim() != 1
            or not ptr.numel()
            or int(ptr[0])
            or bool((steps < 0).any())
            or int(ptr[-1]) != values.numel()
        ):
            raise InputError(f"ptr does not cut {values.numel()} neighbours among new items")
    else:
        parts = [part.cpu().flatten() for part in neighbors]
        values = torch.cat([torch.empty(0, dtype=torch.long), *parts])
        lengths = torch.tensor([part.numel() for part in parts], dtype=torch.long)
        ptr = cumsum(lengths)
    if values.is_floating_point() or values.dtype == torch.bool or values.dim() != 1:
        raise InputError("neighbors must be item numbers, int64 [num_neighbors]")
    values, ptr = values.long(), ptr.long()
    outside = (values < 0) | (values >= size)
    if bool(outside.any()):
        raise InputError(f"neighbour {int(values[outside][0])} is not in the table of {size} items")
    if weights is None:
        weight = torch.ones(values.numel())
    elif isinstance(weights, Tensor):
        weight = weights
    else:
        weight = torch.cat([torch.empty(0), *(part.flatten() for part in weights)])
    weight = weight.detach().cpu().float()
    if weight.shape != values.shape:
        raise InputError(f"weights have shape {list(weight.shape)}, not {list(values.shape)}")
    bad = (~weight.isfinite() | (weight < 0)).nonzero()
    if bad.numel():
        at = int(bad[0])
        raise InputError(f"weights[{at}] is {weight[at]}; weights must not be negative")
    return Adjacency(ptr, values, weight)
