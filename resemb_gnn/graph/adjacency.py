"""Checked, normalised adjacency of a graph as compressed sparse rows."""

from collections.abc import Collection
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import scipy.sparse
import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.nn.conv.gcn_conv import gcn_norm
from torch_geometric.utils import add_remaining_self_loops, add_self_loops, scatter

from resemb_gnn.errors import InputError, shown
from resemb_gnn.graph.fold_graphs import FoldGraphs, nodes_of
from resemb_gnn.graph.sparse_product import sparse_product


@dataclass(frozen=True, eq=False)
class Adjacency:
    """A sparse matrix as compressed sparse rows.

    Args:
        ptr: offsets of the rows, int64 ``[num_nodes + 1]``.
        index: column of each entry, int64 ``[num_entries]``.
        weight: value of each entry, :func:`graph_dtype` ``[num_entries]``.
    """

    ptr: Tensor
    index: Tensor
    weight: Tensor

    def entries(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Offsets ``[n + 1]`` of the rows ``ids`` (int64 ``[n]``), and where their entries are."""
        # Selected, not indexed: an id out of range is an error, and a negative one is no exception.
        start, end = self.ptr[:-1].index_select(0, ids), self.ptr[1:].index_select(0, ids)
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
        return sparse_product(self.ptr, self.index, self.weight, x, sparse)


# What a graph can bring along, and what check_graph looks at.
PARTS = ("edge_index", "edge_weight", "x", "count", "user_fold", "fold_graphs")
_TENSORS = PARTS[:-1]


def check_graph(graph: Data, parts: Collection[str] = PARTS) -> None:
    """Refuses a graph that cannot be used: the one place that looks at what a graph brings.

    Args:
        graph: a graph with one kind of node.
        parts: which of its parts (``PARTS``) are going to be used; the others may be anything.

    Raises:
        InputError: if the graph is no ``torch_geometric.data.Data`` or has no nodes; a part is no
            dense tensor of real numbers, or of another shape than ``edge_index`` int64
            ``[2, num_edges]``, ``edge_weight`` ``[num_edges]``, ``x``
            ``[num_nodes, num_features]``, ``count`` ``[num_nodes]`` or ``user_fold`` (whole
            numbers) ``[num_users]``; ``edge_index`` is missing; a node, an edge weight, a feature,
            a count or a fold is out of its range or not finite; or one of ``fold_graphs`` is such
            a graph, has other nodes or features of another width.
    """
    if not isinstance(graph, Data):
        raise InputError(
            f"the graph is of type {type(graph).__name__}, not a torch_geometric.data.Data"
            " (of one kind of node)"
        )
    for name in _TENSORS:
        if name in parts:
            _check_tensor(name, graph.get(name))
    size = _num_nodes(graph)
    if "edge_index" in parts:
        _check_edges(graph, size)
    x, count = (graph.get(name) if name in parts else None for name in ("x", "count"))
    if x is not None:
        if x.dim() != 2 or x.size(0) != size or not x.size(1):
            raise InputError(f"graph.x has shape {list(x.shape)}, not [{size}, num_features]")
        if not bool(x.isfinite().all()):
            raise InputError("graph.x holds a value that is not finite")
    if count is not None:
        if count.shape != (size,):
            raise InputError(f"graph.count has shape {list(count.shape)}, not [{size}]")
        if bool((~count.isfinite() | (count < 0)).any()):
            raise InputError("graph.count holds a value that is negative or not finite")
    if "fold_graphs" in parts:
        _check_folds(graph, size, parts)


def _check_tensor(name: str, part: object) -> None:
    if part is None:
        return
    if not isinstance(part, Tensor) or part.is_complex():
        raise InputError(f"graph.{name} is no tensor of real numbers: {shown(part)}")
    if part.layout != torch.strided:
        raise InputError(f"graph.{name} is sparse ({part.layout}): hand over its to_dense()")


def _num_nodes(graph: Data) -> int:
    given = graph.get("num_nodes")
    if given is not None and not isinstance(given, Integral):
        raise InputError(f"graph.num_nodes is no whole number: {shown(given)}")
    x = graph.get("x")
    if given is None and isinstance(x, Tensor) and not x.dim():  # PyG would count its rows
        raise InputError("graph.x has shape [], not [num_nodes, num_features]")
    size = int(graph.num_nodes or 0)
    if size < 1:
        raise InputError("the graph has no nodes")
    return size


def _check_edges(graph: Data, size: int) -> None:
    edge_index = graph.edge_index
    if edge_index is None or edge_index.dim() != 2 or edge_index.size(0) != 2:
        raise InputError("the graph has no edge_index of shape [2, num_edges]")
    if edge_index.dtype != torch.long:
        raise InputError(f"edge_index holds {edge_index.dtype}, not torch.int64")
    if edge_index.numel() and not 0 <= int(edge_index.min()) <= int(edge_index.max()) < size:
        raise InputError(f"edge_index names nodes outside 0..{size - 1}")
    weight = graph.edge_weight
    if weight is None:
        return
    if weight.shape != (edge_index.size(1),):
        raise InputError(f"edge_weight has shape {list(weight.shape)}, not [{edge_index.size(1)}]")
    bad = (~weight.isfinite() | (weight < 0)).nonzero()
    if bad.numel():
        at = int(bad[0])
        raise InputError(f"edge_weight[{at}] is {weight[at]}; weights must not be negative")
    loops = edge_index[0] == edge_index[1]
    if bool((weight[loops] == 0).any()):
        node = int(edge_index[0][loops & (weight == 0)][0])
        raise InputError(f"the self-loop of node {node} has weight 0: leave it out, it gets 1")


def _check_folds(graph: Data, size: int, parts: Collection[str]) -> None:
    folds = graph.get("fold_graphs")
    if not isinstance(folds, list | tuple | FoldGraphs | None):
        raise InputError(f"graph.fold_graphs is no list of graphs: {shown(folds)}")
    of_fold = {*parts} - {"user_fold", "fold_graphs"}
    if isinstance(folds, FoldGraphs):  # edges of the full graph, which were looked at
        of_fold -= {"edge_index", "edge_weight"}
    for fold, part in enumerate(nodes_of(folds or ())):
        try:
            check_graph(part, of_fold)
        except InputError as error:
            raise InputError(f"fold graph {fold}: {error}") from error
        if part.num_nodes != size:
            raise InputError(f"fold graph {fold} has {part.num_nodes} nodes, the graph {size}")
        both = [each.x for each in (graph, part) if "x" in parts and each.x is not None]
        if len({x.size(1) for x in both}) > 1:
            wide = [x.size(1) for x in both]
            raise InputError(f"fold graph {fold} has {wide[1]} features, the graph {wide[0]}")
    user_fold = graph.get("user_fold") if "user_fold" in parts else None
    if user_fold is None:
        return
    if user_fold.dim() != 1 or user_fold.is_floating_point() or user_fold.dtype == torch.bool:
        raise InputError(
            f"graph.user_fold holds {user_fold.dtype} of shape {list(user_fold.shape)}, not whole"
            " numbers of shape [num_users]"
        )
    last = len(folds or ()) - 1
    outside = user_fold[(user_fold < 0) | (user_fold > last)]
    if outside.numel():
        raise InputError(
            f"graph.user_fold names fold {int(outside[0])}, but there are {last + 1} fold_graphs"
        )


def has_edges(graph: Data) -> Tensor:
    """Which nodes have an edge in either direction, bool ``[num_nodes]``."""
    found = torch.zeros(int(graph.num_nodes or 0), dtype=torch.bool)
    found[graph.edge_index.cpu().flatten()] = True
    return found


def graph_dtype() -> torch.dtype:
    """The type that numbers of a graph are computed in: PyTorch's default one, but no narrower than
    float32, which SciPy and sums over many neighbours need.
    """
    return torch.promote_types(torch.get_default_dtype(), torch.float32)


def gcn_adjacency(graph: Data) -> Adjacency:
    r"""Symmetric normalisation with self-loops, :math:`D^{-1/2} (A + I) D^{-1/2}` (Kipf and
    Welling, ICLR 2017), as PyG's ``GCNConv`` uses it.
    """
    if _has_loops(graph):
        edge_index, weight = _with_self_loops(graph)
        edge_index, weight = gcn_norm(edge_index, weight, graph.num_nodes, add_self_loops=False)
        return _to_rows(edge_index, weight, graph)
    # The same without a copy of the edges with the loops: of large graphs it is half the memory.
    source, target = graph.edge_index
    weight, size = _weight(graph), int(graph.num_nodes or 0)
    norm = (scatter(weight, target, dim_size=size, reduce="sum") + 1).pow_(-0.5)
    weight = norm[source] * weight * norm[target]
    return _compress(target, source, weight, size, norm * norm)


def symmetric_adjacency(graph: Data) -> Adjacency:
    r"""Symmetric normalisation as it is, :math:`D^{-1/2} A D^{-1/2}`; a node without edges gets an
    empty row.
    """
    dtype, weight = graph_dtype(), graph.edge_weight
    edge_index, weight = gcn_norm(
        graph.edge_index,
        None if weight is None else weight.to(dtype),
        graph.num_nodes,
        add_self_loops=False,
        dtype=dtype,
    )
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
    # Where there are none yet, as in a co-visit graph, the edges need not be copied twice.
    add = add_remaining_self_loops if _has_loops(graph) else add_self_loops
    edge_index, weight = add(
        graph.edge_index, _weight(graph), fill_value=1.0, num_nodes=graph.num_nodes
    )
    assert weight is not None
    return edge_index, weight


def _weight(graph: Data) -> Tensor:
    weight = graph.edge_weight
    if weight is None:
        weight = torch.ones(graph.edge_index.size(1), device=graph.edge_index.device)
    return weight.to(graph_dtype())


def _has_loops(graph: Data) -> bool:
    return bool((graph.edge_index[0] == graph.edge_index[1]).any())


def _to_rows(edge_index: Tensor, weight: Tensor, graph: Data) -> Adjacency:
    # PyG sends messages from edge_index[0] to edge_index[1]: the receiver is the row.
    return _compress(edge_index[1], edge_index[0], weight, int(graph.num_nodes or 0))


def _compress(
    row: Tensor, column: Tensor, weight: Tensor, size: int, loops: Tensor | None = None
) -> Adjacency:
    """The edges by row, in each in the order in which they stand, then its self-loop, if their
    weights are given.
    """
    device, entries = weight.device, weight.numel() + (0 if loops is None else size)
    index: type[np.signedinteger[Any]] = np.int32 if max(size, entries) < 2**31 else np.int64
    values, own = weight.cpu().numpy(), np.arange(0 if loops is None else size)
    if loops is not None:
        values = np.concatenate([values, loops.cpu().numpy()])
    places = tuple(
        np.concatenate([part.cpu().numpy(), own], dtype=index, casting="unsafe")
        for part in (row, column)
    )
    matrix = scipy.sparse.coo_array((values, places), shape=(size, size))
    matrix.has_canonical_format = True  # repeated edges stay apart
    rows = matrix.tocsr()  # a counting sort, which keeps the order within a row
    del values, places, matrix
    return Adjacency(
        torch.from_numpy(rows.indptr).long().to(device),
        torch.from_numpy(rows.indices).long().to(device),
        torch.from_numpy(rows.data).to(device),
    )
