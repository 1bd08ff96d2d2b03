"""The graphs without a fold of users each, kept as what a fold takes away from the full graph."""

import copy
from collections.abc import Sequence
from functools import cached_property
from typing import Any, overload

import numpy as np
import scipy.sparse
import torch
from torch import Tensor
from torch_geometric.data import Data

from resemb_gnn.graph.pair_counts import index_type


class FoldGraphs(Sequence[Data]):
    """The graphs without the behaviours of one fold of users each.

    A fold's graph has the full graph's edges but those that the fold alone made, and other counts
    only where the fold had a part. Kept as graphs of their own, ten of a million items would take
    23 GB; a graph is made when it is asked for, anew each time. So what is changed in it is not
    kept: ``list(graph.fold_graphs)`` has graphs that can be changed.

    Args:
        edge_index: the full graph's edges, int64 ``[2, num_edges]``; shared, as all tensors are.
        edge_weight: their counts, float32 ``[num_edges]``.
        places: of each fold, the edges that it had a part in, int32 or int64 ``[n]``.
        remaining: of each fold, the counts of these edges without it, float32 ``[n]``; 0 for an
            edge that its graph has not.
        count: behaviours of each item without the fold, int64 ``[num_folds, num_nodes]``.
    """

    def __init__(
        self,
        edge_index: Tensor,
        edge_weight: Tensor,
        places: Sequence[Tensor],
        remaining: Sequence[Tensor],
        count: Tensor,
    ) -> None:
        self.edge_index, self.edge_weight = edge_index, edge_weight
        self.places, self.remaining = places, remaining
        self.nodes = [Data(count=each, num_nodes=each.numel()) for each in count]

    def __getstate__(self) -> dict[str, Any]:
        """Without what is made of the rest."""
        names = ("edge_index", "edge_weight", "places", "remaining", "nodes")
        return {name: getattr(self, name) for name in names}

    def __len__(self) -> int:
        return len(self.nodes)

    @overload
    def __getitem__(self, fold: int) -> Data: ...
    @overload
    def __getitem__(self, fold: slice) -> list[Data]: ...
    def __getitem__(self, fold: int | slice) -> Data | list[Data]:
        if isinstance(fold, slice):
            return [self[each] for each in range(len(self))[fold]]
        graph = copy.copy(self.nodes[fold])
        weight = self._weights(fold)
        kept = np.flatnonzero(weight)
        graph.edge_index = torch.from_numpy(self.edge_index.numpy().take(kept, axis=1))
        graph.edge_weight = torch.from_numpy(weight[kept])
        return graph

    def counts(self, fold: int) -> "scipy.sparse.csr_array":
        """Symmetric matrix of a fold's counts, float32, zero at the edges that are missing. All
        folds share the places; the numbers are the caller's own.
        """
        places = (self._columns, self._offsets)
        return scipy.sparse.csr_array((self._weights(fold), *places), shape=(self._size,) * 2)

    def sums(self, fold: int) -> "np.ndarray":
        """Sums of the matrix' rows, float64 ``[num_nodes]``."""
        weight, places = self.edge_weight.numpy(), self.places[fold].numpy()
        missing = weight[places] - self.remaining[fold].numpy()
        rows = self.edge_index[0].numpy()[places]
        return self._full_sums - np.bincount(rows, missing, self._size)

    def _weights(self, fold: int) -> "np.ndarray":
        """Counts of the full graph's edges without the fold."""
        weight = self.edge_weight.numpy().copy()
        weight[self.places[fold].numpy()] = self.remaining[fold].numpy()
        return weight

    @cached_property
    def _full_sums(self) -> "np.ndarray":
        return np.bincount(self.edge_index[0].numpy(), self.edge_weight.numpy(), self._size)

    @property
    def _size(self) -> int:
        return int(self.nodes[0].num_nodes or 0)

    @cached_property
    def _columns(self) -> "np.ndarray":
        return self.edge_index[1].numpy().astype(self._index_type)

    @cached_property
    def _offsets(self) -> "np.ndarray":
        rows = self.edge_index[0].numpy()
        return np.searchsorted(rows, np.arange(self._size + 1)).astype(self._index_type)

    @property
    def _index_type(self) -> "type[np.signedinteger]":
        return index_type(self._size, self.edge_index.size(1) // 2)

    def with_attribute(self, name: str, values: Sequence[Tensor]) -> "FoldGraphs":
        """The same graphs with one more attribute each, such as ``x``."""
        other = copy.copy(self)
        other.nodes = _with_attribute(self.nodes, name, values)
        return other


def nodes_of(graphs: Sequence[Data]) -> Sequence[Data]:
    """Graphs to ask for what their nodes have; their edges may be missing."""
    return graphs.nodes if isinstance(graphs, FoldGraphs) else graphs


def edge_bytes(graphs: Sequence[Data]) -> int:
    """Bytes, at most, that edges would take that the graphs make only when they are asked for."""
    if not isinstance(graphs, FoldGraphs):
        return 0
    return len(graphs) * (graphs.edge_index.nbytes + graphs.edge_weight.nbytes)


def with_attribute(graphs: Sequence[Data], name: str, values: Sequence[Tensor]) -> Sequence[Data]:
    """The graphs with one more attribute each; those handed over keep theirs."""
    if isinstance(graphs, FoldGraphs):
        return graphs.with_attribute(name, values)
    return _with_attribute(graphs, name, values)


def _with_attribute(graphs: Sequence[Data], name: str, values: Sequence[Tensor]) -> list[Data]:
    graphs = [copy.copy(graph) for graph in graphs]
    for graph, value in zip(graphs, values, strict=True):
        graph[name] = value
    return graphs
