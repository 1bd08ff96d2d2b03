"""Checked, normalised adjacency of a graph as compressed sparse rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.nn.conv.gcn_conv import gcn_norm
from torch_geometric.utils import add_remaining_self_loops, add_self_loops, scatter

from resemb_gnn.errors import InputError, shown


@dataclass(frozen=True, eq=False)
class Adjacency:
    """A sparse matrix as compressed sparse rows.

    Args:
        ptr: offsets of the rows, int64 ``[num_nodes + 1]``.
        index: column of each entry, int64 ``[num_entries]``.
        weight: value of each entry, float32 ``[num_entries]``.
    """

    ptr: Tensor
    index: Tensor
    weight: Tensor

    def entries(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Offsets ``[n + 1]`` of the rows ``ids`` (int64 ``[n]``), and where their entries are."""
        start, end = self.ptr[ids], self.ptr[ids + 1]
        ptr = torch.nn.functional.pad((end - start).cumsum(0), (1, 0))
        # Entries follow one another by steps of 1, and where a row begins by a jump: one sum.
        entry = ptr.new_ones(int(ptr[-1]) + 1)  # one more, for where empty rows at the end begin
        before = torch.nn.functional.pad(end[:-1], (1, 0), value=1)
        entry.index_add_(0, ptr[:-1], start - before)
        return ptr, entry.cumsum_(0)[:-1]

    def rows(self, ids: Tensor) -> "Adjacency":
        """The rows ``ids`` (int64 ``[n]``) as a matrix of ``n`` rows."""
        ptr, entry = self.entries(ids)
        index, weight = (part.index_select(0, entry) for part in (self.index, self.weight))
        return Adjacency(ptr, index, weight)

    def transpose(self) -> "Adjacency":
        """The transposed matrix, of a square one."""
        size = self.ptr.numel() - 1
        row = torch.arange(size, device=self.ptr.device).repeat_interleave(self.ptr.diff())
        return _compress(self.index, row, self.weight, size)

    def matmul(self, x: Tensor, sparse: bool = False) -> Tensor:
        """Product with ``x`` (``[num_nodes, dim]``), differentiable in ``x`` and ``weight``.

        ``sparse`` makes the gradient of ``x`` a sparse tensor.
        """
        return torch.nn.functional.embedding_bag(
            self.index, x, self.ptr[:-1], mode="sum", sparse=sparse, per_sample_weights=self.weight
        )


def check_graph(graph: Data) -> None:
    """Refuses a graph that the encoders cannot use.

    Raises:
        InputError: if ``edge_index`` is missing, of another shape or out of range, an edge weight
            is negative or not finite, ``x`` or ``count`` has another number of rows than
            ``num_nodes`` or a value that cannot be, or a part is of another kind.
    """
    for name in ("edge_index", "edge_weight", "x", "count"):
        part = graph.get(name)
        if part is not None and not (isinstance(part, Tensor) and not part.is_complex()):
            raise InputError(f"graph.{name} is no tensor of real numbers: {shown(part)}")
    edge_index = graph.edge_index
    if edge_index is None or edge_index.dim() != 2 or edge_index.size(0) != 2:
        raise InputError("the graph has no edge_index of shape [2, num_edges]")
    if edge_index.dtype != torch.long:
        raise InputError(f"edge_index holds {edge_index.dtype}, not torch.int64")
    size = graph.num_nodes
    if not size:
        raise InputError("the graph has no nodes")
    if edge_index.numel() and not 0 <= int(edge_index.min()) <= int(edge_index.max()) < size:
        raise InputError(f"edge_index names nodes outside 0..{size - 1}")
    weight = graph.edge_weight
    if weight is not None:
        if weight.shape != (edge_index.size(1),):
            raise InputError(
                f"edge_weight has shape {list(weight.shape)}, not [{edge_index.size(1)}]"
            )
        bad = (~weight.isfinite() | (weight < 0)).nonzero()
        if bad.numel():
            at = int(bad[0])
            raise InputError(f"edge_weight[{at}] is {weight[at]}; weights must not be negative")
        loops = edge_index[0] == edge_index[1]
        if bool((weight[loops] == 0).any()):
            node = int(edge_index[0][loops & (weight == 0)][0])
            raise InputError(f"the self-loop of node {node} has weight 0: leave it out, it gets 1")
    for name in ("x", "count"):
        rows = graph.get(name)
        if rows is not None and (rows.dim() == 0 or rows.size(0) != size):
            found = rows.size(0) if rows.dim() else 0
            raise InputError(f"graph.{name} has {found} rows, but the graph {size} nodes")
    x = graph.x
    if x is not None and not bool(x.isfinite().all()):
        raise InputError("graph.x holds a value that is not finite")
    count = graph.get("count")
    if count is not None and bool((~count.isfinite() | (count < 0)).any()):
        raise InputError("graph.count holds a value that is negative or not finite")
    for fold, part in enumerate(graph.get("fold_graphs") or []):
        if part.num_nodes != size:
            raise InputError(f"fold graph {fold} has {part.num_nodes} nodes, the graph {size}")
        check_graph(part)


def gcn_adjacency(graph: Data) -> Adjacency:
    r"""Symmetric normalisation with self-loops, :math:`D^{-1/2} (A + I) D^{-1/2}` (Kipf and
    Welling, ICLR 2017), as PyG's ``GCNConv`` uses it.
    """
    edge_index, weight = _with_self_loops(graph)
    edge_index, weight = gcn_norm(edge_index, weight, graph.num_nodes, add_self_loops=False)
    return _to_rows(edge_index, weight, graph)


def symmetric_adjacency(graph: Data) -> Adjacency:
    r"""Symmetric normalisation as it is, :math:`D^{-1/2} A D^{-1/2}`; a node without edges gets an
    empty row.
    """
    weight = None if graph.edge_weight is None else graph.edge_weight.float()
    edge_index, weight = gcn_norm(graph.edge_index, weight, graph.num_nodes, add_self_loops=False)
    return _to_rows(edge_index, weight, graph)


def mean_adjacency(graph: Data) -> Adjacency:
    r"""Row normalisation with self-loops, :math:`D^{-1} (A + I)`."""
    edge_index, weight = _with_self_loops(graph)
    degree = scatter(weight, edge_index[1], dim_size=graph.num_nodes, reduce="sum")
    return _to_rows(edge_index, weight / degree[edge_index[1]], graph)


def plain_adjacency(graph: Data) -> Adjacency:
    """The edges with self-loops, weights as they are."""
    return _to_rows(*_with_self_loops(graph), graph)


def _with_self_loops(graph: Data) -> tuple[Tensor, Tensor]:
    edge_index, weight = graph.edge_index, graph.edge_weight
    if weight is None:
        weight = torch.ones(edge_index.size(1), device=edge_index.device)
    # Where there are none yet, as in a co-visit graph, the edges need not be copied twice.
    loops = bool((edge_index[0] == edge_index[1]).any())
    add = add_remaining_self_loops if loops else add_self_loops
    edge_index, weight = add(edge_index, weight.float(), fill_value=1.0, num_nodes=graph.num_nodes)
    assert weight is not None
    return edge_index, weight


def _to_rows(edge_index: Tensor, weight: Tensor, graph: Data) -> Adjacency:
    # PyG sends messages from edge_index[0] to edge_index[1]: the receiver is the row.
    return _compress(edge_index[1], edge_index[0], weight, int(graph.num_nodes or 0))


def _compress(row: Tensor, column: Tensor, weight: Tensor, size: int) -> Adjacency:
    index: type[np.signedinteger[Any]] = np.int32 if max(size, weight.numel()) < 2**31 else np.int64
    places = row.cpu().numpy().astype(index), column.cpu().numpy().astype(index)
    entries = scipy.sparse.coo_array((weight.cpu().numpy(), places), shape=(size, size))
    entries.has_canonical_format = True  # repeated edges stay apart
    rows = entries.tocsr()  # a counting sort, which keeps the order within a row
    return Adjacency(
        torch.from_numpy(rows.indptr).long().to(row.device),
        torch.from_numpy(rows.indices).long().to(row.device),
        torch.from_numpy(rows.data).to(row.device),
    )
