"""The co-visit graph: ours, a pandas self-join, a SciPy product, and one sort of the pair keys."""

import numpy as np
import pandas as pd
import scipy.sparse
import torch

import resemb_gnn as rg
from benchmarks.timing import Contender, always

WINDOW = 5


def graph_building(log: rg.BehaviorLog) -> list[Contender]:
    """Contenders that build the same edges (checked here); the sort gives the scale."""
    by_pandas = pandas_self_join(*_columns(log))
    by_scipy = scipy_product(log)
    graph = rg.covisit_graph(log, window=WINDOW)
    row, column = graph.edge_index.numpy()
    weight = graph.edge_weight.numpy()
    for name, other in (("pandas", by_pandas), ("SciPy", by_scipy)):
        parts = zip((row, column, weight), other, strict=True)
        if not all(np.array_equal(ours, theirs) for ours, theirs in parts):
            raise AssertionError(f"{name} finds other edges than covisit_graph")
    keys = pair_keys(log)
    columns = _columns(log)
    return [
        always("covisit_graph", lambda: rg.covisit_graph(log, window=WINDOW)),
        always("pandas self-join", lambda: pandas_self_join(*columns)),
        always("SciPy sparse product", lambda: scipy_product(log)),
        always("numpy.sort of the pair keys", lambda: np.sort(keys)),
    ]


def _columns(log: rg.BehaviorLog) -> "tuple[np.ndarray, np.ndarray, np.ndarray]":
    """User, item and place in the user's history of each behaviour."""
    place = torch.arange(log.num_behaviors) - log.ptr[log.users]
    return log.users.numpy(), log.items.numpy(), place.numpy()


def pandas_self_join(
    user: "np.ndarray", item: "np.ndarray", place: "np.ndarray"
) -> "tuple[np.ndarray, np.ndarray, np.ndarray]":
    """Rows, columns and counts of the edges, sorted, by a join of the log to itself."""
    frame = pd.DataFrame({"user": user, "item": item, "place": place})
    pairs = frame.merge(frame, on="user", suffixes=("", "_other"))
    apart = (pairs["place"] - pairs["place_other"]).abs()
    near = pairs[(apart > 0) & (apart <= WINDOW) & (pairs["item"] != pairs["item_other"])]
    counts = near.groupby(["item", "item_other"]).size()
    return (
        counts.index.get_level_values(0).to_numpy(),
        counts.index.get_level_values(1).to_numpy(),
        counts.to_numpy(),
    )


def scipy_product(log: rg.BehaviorLog) -> "tuple[np.ndarray, np.ndarray, np.ndarray]":
    """The same by ``X.T @ B @ X``: X says which item a behaviour is of, B which ones stand near."""
    size, users = log.num_behaviors, log.users.numpy()
    near = scipy.sparse.diags_array(
        [(users[k:] == users[:-k]).astype(np.int32) for k in range(1, WINDOW + 1)],
        offsets=list(range(1, WINDOW + 1)),
        shape=(size, size),
        format="csr",
        dtype=np.int32,
    )
    near.eliminate_zeros()
    parts = (np.ones(size, dtype=np.int32), log.items.numpy(), np.arange(size + 1))
    is_item = scipy.sparse.csr_array(parts, shape=(size, log.num_items))
    one_way = (is_item.T @ near @ is_item).tocsr()
    both = (one_way + one_way.T).tocsr()
    both.setdiag(0)
    both.eliminate_zeros()
    both.sort_indices()
    row = np.repeat(np.arange(log.num_items), np.diff(both.indptr))
    return row, both.indices, both.data


def pair_keys(log: rg.BehaviorLog) -> "np.ndarray":
    """``low * num_items + high`` of each pair of behaviours within the window, int64."""
    items, users = log.items.numpy(), log.users.numpy()
    keys = []
    for k in range(1, WINDOW + 1):
        pair = np.sort(np.stack([items[:-k], items[k:]]), axis=0)
        keep = (users[k:] == users[:-k]) & (pair[0] != pair[1])
        keys.append(pair[0, keep] * log.num_items + pair[1, keep])
    return np.concatenate(keys)
