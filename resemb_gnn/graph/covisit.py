"""The item co-visit graph of a behaviour log."""

import numpy as np
import scipy.sparse
import torch
from torch import Tensor
from torch_geometric.data import Data

from resemb_gnn.data import BehaviorLog
from resemb_gnn.errors import InputError


def covisit_graph(
    log: BehaviorLog,
    window: int = 5,
    min_count: int = 1,
    top_k: int | None = None,
    folds: int | None = None,
    seed: int = 0,
) -> Data:
    r"""The graph that joins items visited near each other by the same user.

    .. math::
        A_{ij} = \#\{(u, s, t) : 0 < |s - t| \le \text{window},\
                 x_{us} = i,\ x_{ut} = j\}, \quad i \ne j

    with :math:`x_{us}` the item of behaviour :math:`s` of user :math:`u` (each unordered pair of
    behaviours counts once).

    **Folds.** A training target stands near its own history in the log, so the full graph joins
    the two by an edge that tells the label; a test target has no such edge, and a model that
    trusts it overfits. With ``folds``, users are dealt into groups at random, and
    ``fold_graphs[f]`` is the graph without the behaviours of group ``f``: the graph that training
    examples of these users may see (as in cross-fitting, Chernozhukov et al., "Double/debiased
    machine learning", 2018, and out-of-fold target encoding). Everything else uses the full graph.

    Args:
        log: the log, usually ``split.history``; of a labelled log its positive rows count.
        window: how many places apart two behaviours may stand.
        min_count: leave out pairs that were visited together less often.
        top_k: keep each item's so many heaviest edges (of equal ones those to the lowest item
            number); an edge stays if either end keeps it. ``None`` keeps all.
        folds: number of groups of users, or ``None`` for the full graph alone.
        seed: seed of the groups.

    Returns:
        ``Data`` with ``edge_index`` int64 ``[2, num_edges]``, undirected, coalesced, sorted by row
        then column; ``edge_weight`` float32 ``[num_edges]``, the counts; ``count`` int64
        ``[num_nodes]``, behaviours of each item; ``num_nodes``, all items of the vocabulary. With
        folds also ``user_fold`` int64 ``[num_users]`` and ``fold_graphs``, a list of such graphs.

    Raises:
        InputError: if an argument is below 1, ``folds`` below 2, or the log no ``BehaviorLog``.

    Examples:
        >>> import polars as pl
        >>> from resemb_gnn.data import BehaviorLog
        >>> ann = [("ann", "tea", 1), ("ann", "cup", 2), ("ann", "pot", 3)]
        >>> rows = [*ann, ("bob", "cup", 1), ("bob", "tea", 2)]
        >>> frame = pl.DataFrame(rows, ["user", "item", "time"], orient="row")
        >>> log = BehaviorLog.from_frame(frame, "user", "item", "time")
        >>> log.item_ids.to_list()
        ['cup', 'pot', 'tea']
        >>> graph = covisit_graph(log, window=1)
        >>> graph.edge_index.tolist()
        [[0, 0, 1, 2], [1, 2, 0, 0]]
        >>> graph.edge_weight.tolist()  # cup and tea by both users
        [1.0, 2.0, 1.0, 2.0]
    """
    check_log(log)
    check_at_least_one(window=window, min_count=min_count, top_k=top_k)
    if folds is not None and folds < 2:
        raise InputError(f"folds must be at least 2, not {folds}")
    log = log.positives()
    graph = _build(log, window, min_count, top_k)
    if folds is not None:
        generator = torch.Generator().manual_seed(seed)
        graph.user_fold = torch.randperm(log.num_users, generator=generator) % folds
        fold = graph.user_fold[log.users]
        graph.fold_graphs = [
            _build(log.select(fold != f), window, min_count, top_k) for f in range(folds)
        ]
    return graph


def check_log(log: object) -> None:
    """Raises InputError if a log is none."""
    if not isinstance(log, BehaviorLog):
        raise InputError(f"the log is of type {type(log).__name__}, not a BehaviorLog")


def check_at_least_one(**arguments: int | None) -> None:
    """Raises InputError if an argument is below 1."""
    for name, value in arguments.items():
        if value is not None and value < 1:
            raise InputError(f"{name} must be at least 1, not {value}")


def _build(log: BehaviorLog, window: int, min_count: int, top_k: int | None) -> Data:
    adjacency = symmetric(_upper(_pair_keys(log, window), log.num_items, min_count))
    if top_k is not None:
        adjacency = _heaviest(adjacency, top_k)
    return graph_of(adjacency, log.item_counts())


def symmetric(upper: "scipy.sparse.csr_array") -> "scipy.sparse.csr_array":
    """Adjacency matrix of counts above the diagonal; SciPy adds a transpose without sorting."""
    full = (upper + upper.T).tocsr()
    full.sort_indices()
    return full


def graph_of(adjacency: "scipy.sparse.csr_array", count: Tensor) -> Data:
    """The graph of a symmetric matrix of counts, float32, and each item's behaviours."""
    return Data(
        edge_index=_edge_index(adjacency),
        edge_weight=torch.from_numpy(adjacency.data),
        count=count,
        num_nodes=count.numel(),
    )


def _pair_keys(log: BehaviorLog, window: int) -> "np.ndarray":
    """A key ``low * num_items + high`` for each pair of behaviours, int64."""
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
        filled += first.size
    return keys[:filled]


def _count_sorted(keys: "np.ndarray", min_count: int) -> "tuple[np.ndarray, np.ndarray]":
    """The distinct keys in order and their counts, float32; sorts ``keys`` in place."""
    keys.sort()
    differs = np.ones(keys.size, dtype=bool)
    np.not_equal(keys[1:], keys[:-1], out=differs[1:])
    first = np.flatnonzero(differs)
    counts = np.diff(first, append=keys.size)
    if min_count > 1:
        first, counts = first[counts >= min_count], counts[counts >= min_count]
    return keys[first], counts.astype(np.float32)


def _upper(keys: "np.ndarray", size: int, min_count: int) -> "scipy.sparse.csr_array":
    """Counts of the pairs above the diagonal."""
    keys, counts = _count_sorted(keys, min_count)
    index = index_type(size, keys.size)
    ptr = np.searchsorted(keys, np.arange(size + 1) * size).astype(index)
    keys %= max(size, 1)  # the columns
    return scipy.sparse.csr_array((counts, keys.astype(index), ptr), shape=(size, size))


def index_type(size: int, num_pairs: int) -> "type[np.signedinteger]":
    """32-bit indices if they do: the matrix, its transpose and their sum take the memory."""
    return np.int32 if max(size, 2 * num_pairs) < 2**31 else np.int64


def _heaviest(adjacency: "scipy.sparse.csr_array", top_k: int) -> "scipy.sparse.csr_array":
    row = np.repeat(np.arange(adjacency.shape[0]), np.diff(adjacency.indptr))
    order = np.lexsort((adjacency.indices, -adjacency.data, row))
    rank = np.arange(row.size) - adjacency.indptr[row]  # rows keep their places when sorted
    kept = order[rank < top_k]
    mask = scipy.sparse.csr_array(
        (np.ones(kept.size, dtype=bool), (row[kept], adjacency.indices[kept])),
        shape=adjacency.shape,
    )
    out = adjacency.multiply(mask + mask.T).tocsr()
    out.sort_indices()
    return out


def _edge_index(adjacency: "scipy.sparse.csr_array") -> Tensor:
    edge_index = np.zeros((2, adjacency.nnz), dtype=np.int64)
    row, column = edge_index
    starts = adjacency.indptr[1:-1]
    np.add.at(row, starts[starts < row.size], 1)
    row.cumsum(out=row)
    column[:] = adjacency.indices
    return torch.from_numpy(edge_index)
