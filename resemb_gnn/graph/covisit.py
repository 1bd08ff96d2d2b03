"""The item co-visit graph of a behaviour log."""

import scipy.sparse
import torch
from torch_geometric.data import Data

from resemb_gnn.data import BehaviorLog
from resemb_gnn.errors import InputError
from resemb_gnn.graph.covisit_folds import graph_with_folds
from resemb_gnn.graph.pair_counts import (
    count_keys,
    graph_of,
    heaviest,
    pair_keys,
    symmetric,
    upper_counts,
)


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
    behaviours counts once). Behaviours of one time stand in an order that is drawn for each user
    (:class:`~resemb_gnn.data.BehaviorLog`): of a basket larger than the window a part of the pairs
    is counted, which part does not depend on the ids' or the file's order.

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
        folds also ``user_fold`` int64 ``[num_users]`` and ``fold_graphs``, such a graph for each
        fold (:class:`~resemb_gnn.graph.fold_graphs.FoldGraphs`, with ``top_k`` a list).

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
    if folds is None:
        return graph_of(_adjacency(log, window, min_count, top_k), log.item_counts())
    generator = torch.Generator().manual_seed(seed)
    user_fold = torch.randperm(log.num_users, generator=generator) % folds
    graph = graph_with_folds(log, user_fold, folds, window, min_count, top_k)
    graph.user_fold = user_fold
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


def _adjacency(
    log: BehaviorLog, window: int, min_count: int, top_k: int | None
) -> "scipy.sparse.csr_array":
    # Nothing of a step outlives the next one: they take memory.
    matrix = symmetric(upper_counts(*count_keys(pair_keys(log, window)), log.num_items, min_count))
    return matrix if top_k is None else heaviest(matrix, top_k)
