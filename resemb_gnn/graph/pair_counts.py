"""Pairs of behaviours counted by sorting, and the matrix and the graph of their counts."""

import numpy as np
import scipy.sparse
import torch
from torch import Tensor
from torch_geometric.data import Data

from resemb_gnn.data import BehaviorLog


def pair_keys(
    log: BehaviorLog, window: int, fold: "np.ndarray | None" = None, folds: int = 1
) -> "np.ndarray":
    """A key ``low * num_items + high`` for each pair of behaviours, int64; with the fold of each
    behaviour, ``key * folds + fold``.
    """
    items, users = log.items.numpy(), log.users.numpy()
    # The pairs that stand k apart: all of a user's behaviours but the first k.
    lengths = np.diff(log.ptr.numpy())
    sizes = [int(np.maximum(lengths - k, 0).sum()) for k in range(1, window + 1)]
    keys = np.empty(sum(sizes), dtype=np.int64)
    filled = 0
    for k in range(1, window + 1):
        same = users[k:] == users[:-k]
        first, second = items[:-k][same], items[k:][same]
        differ = first != second
        first, second = first[differ], second[differ]
        part = keys[filled : filled + first.size]
        np.minimum(first, second, out=part)
        part *= log.num_items
        part += np.maximum(first, second)
        if fold is not None:
            part *= folds
            part += fold[k:][same][differ]
        filled += first.size
    return keys[:filled]


def count_keys(keys: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
    """The distinct keys in order and their counts, int64; sorts ``keys`` in place."""
    keys.sort()
    first = first_places(keys)
    return keys[first], np.diff(first, append=keys.size)


def first_places(keys: "np.ndarray") -> "np.ndarray":
    """Where each distinct one of sorted keys first stands."""
    differs = np.ones(keys.size, dtype=bool)
    np.not_equal(keys[1:], keys[:-1], out=differs[1:])
    return np.flatnonzero(differs)


def upper_counts(
    pairs: "np.ndarray", counts: "np.ndarray", size: int, min_count: int
) -> "scipy.sparse.csr_array":
    """The matrix of the counts of pairs, float32, above the diagonal."""
    if min_count > 1:
        enough = counts >= min_count
        pairs, counts = pairs[enough], counts[enough]
    return upper_matrix(pairs, counts.astype(np.float32), size)


def upper_matrix(pairs: "np.ndarray", values: "np.ndarray", size: int) -> "scipy.sparse.csr_array":
    """The matrix with values at the pairs, above the diagonal."""
    index = index_type(size, pairs.size)
    ptr = np.searchsorted(pairs, np.arange(size + 1) * size).astype(index)
    column = (pairs % max(size, 1)).astype(index)
    return scipy.sparse.csr_array((values, column, ptr), shape=(size, size))


def symmetric(upper: "scipy.sparse.csr_array") -> "scipy.sparse.csr_array":
    """Adjacency matrix of counts above the diagonal; SciPy adds a transpose without sorting."""
    full = (upper + upper.T).tocsr()
    full.sort_indices()
    return full


def index_type(size: int, num_pairs: int) -> "type[np.signedinteger]":
    """32-bit indices if they do: the matrix, its transpose and their sum take the memory."""
    return np.int32 if max(size, 2 * num_pairs) < 2**31 else np.int64


def heaviest(matrix: "scipy.sparse.csr_array", top_k: int) -> "scipy.sparse.csr_array":
    """The entries of a symmetric matrix of counts that are among the ``top_k`` largest of their row
    (of equal ones those to the lowest column), or of their column; zeros are left out.
    """
    counts, starts, sizes = matrix.data, matrix.indptr[:-1], np.diff(matrix.indptr)
    most = int(counts.max(initial=0))
    small = matrix.shape[0] * (most + 1) < 2**31
    rows: np.ndarray = np.arange(1, matrix.shape[0] + 1, dtype=np.int32 if small else np.int64)
    last = rows * (most + 1) - 1
    # Numbers alone are sorted fast: by row, in it from the largest count.
    key: np.ndarray = last.repeat(sizes)
    key -= counts.astype(key.dtype)
    key.sort()
    least: np.ndarray = np.zeros(last.size, dtype=key.dtype)  # that a row keeps, all if it is short
    long = sizes > top_k
    least[long] = last[long] - key[starts[long] + top_k - 1]
    room = top_k - (np.searchsorted(key, last - least) - starts)  # for counts of the least
    del key
    bound = least.astype(counts.dtype).repeat(sizes)
    kept, equal = counts > bound, counts == bound
    equal &= counts > 0
    del bound
    number = np.concatenate([[0], equal.cumsum(dtype=matrix.indptr.dtype)])
    equal &= number[1:] <= (number[starts] + room).astype(number.dtype).repeat(sizes)
    del number
    kept |= equal
    ptr = np.concatenate([[0], kept.cumsum(dtype=matrix.indptr.dtype)])[matrix.indptr]
    own = scipy.sparse.csr_array((counts[kept], matrix.indices[kept], ptr), shape=matrix.shape)
    out = own.maximum(own.T).tocsr()
    out.sort_indices()
    return out


def graph_of(adjacency: "scipy.sparse.csr_array", count: Tensor) -> Data:
    """The graph of a symmetric matrix of counts, float32, and each item's behaviours."""
    return Data(
        edge_index=_edge_index(adjacency),
        edge_weight=torch.from_numpy(adjacency.data),
        count=count,
        num_nodes=count.numel(),
    )


def _edge_index(adjacency: "scipy.sparse.csr_array") -> Tensor:
    edge_index = np.zeros((2, adjacency.nnz), dtype=np.int64)
    row, column = edge_index
    starts = adjacency.indptr[1:-1]
    np.add.at(row, starts[starts < row.size], 1)
    row.cumsum(out=row)
    column[:] = adjacency.indices
    return torch.from_numpy(edge_index)
