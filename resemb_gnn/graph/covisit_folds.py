"""The co-visit graph with its folds: every pair of behaviours is counted once."""

import numpy as np
import scipy.sparse
import torch
from torch import Tensor
from torch_geometric.data import Data

from resemb_gnn.data import BehaviorLog
from resemb_gnn.graph.fold_graphs import FoldGraphs
from resemb_gnn.graph.pair_counts import (
    count_keys,
    first_places,
    graph_of,
    heaviest,
    index_type,
    pair_keys,
    symmetric,
    upper_matrix,
)


def graph_with_folds(
    log: BehaviorLog, user_fold: Tensor, folds: int, window: int, min_count: int, top_k: int | None
) -> Data:
    """The full graph with ``fold_graphs``, whose counts are the full ones less a fold's own.

    Args:
        log: a log without labels.
        user_fold: fold of each user, int64 ``[num_users]``.
        folds: number of folds.
        window: how many places apart two behaviours may stand.
        min_count: least count of a pair.
        top_k: heaviest edges to keep of an item, or ``None`` for all.
    """
    size, fold_of = log.num_items, user_fold[log.users]
    by_fold = (log.items * folds + fold_of).bincount(minlength=size * folds).view(size, folds).T
    count = by_fold.sum(dim=0)
    without = (count - by_fold).contiguous()
    keys, times = count_keys(pair_keys(log, window, fold_of.numpy(), folds))
    keys, fold = np.divmod(keys, folds)
    first = first_places(keys)
    index = index_type(size, first.size)
    number = np.arange(first.size, dtype=index).repeat(np.diff(first, append=keys.size))
    pairs, counts = keys[first], np.add.reduceat(times, first) if first.size else times
    del keys, first
    # What each fold had a part in: the pairs' numbers, and how often. 16 bits sort in linear time.
    order = fold.astype(np.int16 if folds < 2**15 else np.int64).argsort(kind="stable")
    ends = np.bincount(fold, minlength=folds).cumsum()[:-1]
    own = [np.split(part[order], ends) for part in (number, times)]
    del fold, order, number, times
    edges, graph = _one_structure(pairs, counts, own, count, without, min_count)
    if top_k is not None:  # what is among the heaviest without a fold need not be so with it
        every, graph = graph.fold_graphs, graph_of(heaviest(edges, top_k), count)
        parts = (heaviest(every.counts(fold), top_k) for fold in range(folds))
        graph.fold_graphs = [graph_of(*each) for each in zip(parts, without, strict=True)]
    return graph


def _one_structure(
    pairs: "np.ndarray",
    counts: "np.ndarray",
    own: "list[list[np.ndarray]]",
    count: Tensor,
    without: Tensor,
    min_count: int,
) -> "tuple[scipy.sparse.csr_array, Data]":
    """Matrix and graph of the counts, and the folds' graphs as what is missing from its edges."""
    if min_count > 1:
        enough = counts >= min_count
        pairs, counts = pairs[enough], counts[enough]
        number = enough.cumsum() - 1
        kept = [enough[part] for part in own[0]]
        own = [
            [number[part[few]] for part, few in zip(own[0], kept, strict=True)],
            [times[few] for times, few in zip(own[1], kept, strict=True)],
        ]
    # A matrix of the pairs' numbers tells where among the sorted edges a pair stands, both ways.
    numbers = np.arange(1, pairs.size + 1, dtype=index_type(count.numel(), pairs.size))
    edges = symmetric(upper_matrix(pairs, numbers, count.numel()))
    number = edges.data - 1
    edges.data = counts.astype(np.float32)[number]
    graph = graph_of(edges, count)
    row, column = graph.edge_index.numpy()
    upper = row < column
    there, back = np.flatnonzero(upper).astype(numbers.dtype), numbers  # written over
    back[number[~upper]] = np.flatnonzero(~upper)
    places, remaining = [], []
    for part, times in zip(*own, strict=True):
        left = (counts[part] - times).astype(np.float32)
        left[left < min_count] = 0
        places.append(torch.from_numpy(np.concatenate([there[part], back[part]])))
        remaining.append(torch.from_numpy(np.concatenate([left, left])))
    graph.fold_graphs = FoldGraphs(graph.edge_index, graph.edge_weight, places, remaining, without)
    return edges, graph
