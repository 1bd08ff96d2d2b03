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
        InputError: if an argument is below 1, or ``folds`` below 2.
    """
    for name, value in (("window", window), ("min_count", min_count), ("top_k", top_k)):
        if value is not None and value < 1:
            raise InputError(f"{name} must be at least 1, not {value}")
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


def _build(log: BehaviorLog, window: int, min_count: int, top_k: int | None) -> Data:
    keys, counts = _count_sorted(_pair_keys(log, window))
    if min_count > 1:
        keep = counts >= min_count
        keys, counts = keys[keep], counts[keep]
    adjacency = _symmetric(keys, counts, log.num_items)
    if top_k is not None:
        adjacency = _heaviest(adjacency, top_k)
    return Data(
        edge_index=_edge_index(adjacency),
        edge_weight=torch.from_numpy(adjacency.data.astype(np.float32)),
        count=log.item_counts(),
        num_nodes=log.num_items,
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


def _count_sorted(keys: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
    """The distinct keys in order, and how often each occurs; sorts ``keys`` in place."""
    keys.sort()
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    return keys[first], np.diff(first, append=keys.size)


def _symmetric(keys: "np.ndarray", counts: "np.ndarray", size: int) -> "scipy.sparse.csr_array":
    """Adjacency matrix of the pairs, both ways; SciPy adds a transpose without sorting again."""
    row, column = np.divmod(keys, size)
    ptr = np.searchsorted(row, np.arange(size + 1))
    upper = scipy.sparse.csr_array((counts, column, ptr), shape=(size, size))
    full = (upper + upper.T).tocsr()
    full.sort_indices()
    return full


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
    row = np.repeat(np.arange(adjacency.shape[0]), np.diff(adjacency.indptr))
    return torch.from_numpy(np.stack([row, adjacency.indices.astype(np.int64)]))
