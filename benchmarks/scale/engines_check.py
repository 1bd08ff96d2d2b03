"""Whether the engines of engines.py counted what they should: against one another, and against a
count that shares no code with them.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

import resemb_gnn as rg

WINDOW = 5
SAMPLE = 1000  # items whose edges are counted one by one


def mixed(low: "np.ndarray", high: "np.ndarray") -> "np.ndarray":
    """A hash of pairs of 32-bit numbers, modulo 2^64 (the finaliser of splitmix64)."""
    key = (low.astype(np.uint64) << np.uint64(32)) | high.astype(np.uint64)
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return key ^ (key >> np.uint64(31))


def _ties_drawn(user: "np.ndarray", item: "np.ndarray", time: "np.ndarray") -> "np.ndarray":
    """The order of rows, sorted by user and time, in which those of one user and time stand by the
    MD5 digest of their ids, as docs/data.md has it.
    """
    same = (user[1:] == user[:-1]) & (time[1:] == time[:-1])
    tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
    digest = [
        hashlib.md5(f"{one}\t{other}".encode(), usedforsecurity=False).hexdigest()
        for one, other in zip(user[tied], item[tied], strict=True)
    ]
    order = np.arange(user.size)
    order[tied] = tied[np.lexsort((np.array(digest), time[tied], user[tied]))]
    return order


def check_large(log: Path, out: Path) -> dict[str, Any]:
    """Compares the edges with a count of all pairs.

    The sum of a hash over all pairs, modulo 2^64, is that of each edge's hash times its weight if
    every weight is right; the edges of a sample of items are also counted one by one.
    """
    table = pl.read_parquet(log, columns=["user", "item", "time"])
    user, item, time = (table[name].to_numpy() for name in table.columns)
    order = np.lexsort((time, user))
    order = order[_ties_drawn(user[order], item[order], time[order])]
    user, item = user[order], item[order]
    del table, time, order
    vocabulary = pl.read_parquet(out / "items.parquet")
    ids, number = np.unique(item, return_inverse=True)
    assert np.array_equal(ids, vocabulary["item"].to_numpy())
    assert np.array_equal(np.bincount(number), vocabulary["count"].to_numpy())
    sample = np.random.default_rng(0).choice(ids.size, min(SAMPLE, ids.size), replace=False)
    sampled = np.zeros(ids.size, dtype=bool)
    sampled[sample] = True
    pairs, checksum, kept = 0, 0, []
    for k in range(1, WINDOW + 1):
        one, other = number[:-k], number[k:]
        together = (user[:-k] == user[k:]) & (one != other)
        low = np.minimum(one, other)[together]
        high = np.maximum(one, other)[together]
        pairs += low.size
        checksum += int(mixed(low, high).sum())
        chosen = sampled[low] | sampled[high]
        kept.append(np.stack([low[chosen], high[chosen]]))
    expected, counts = np.unique(np.concatenate(kept, axis=1), axis=1, return_counts=True)
    edges, weight, found_sum, last, found = 0, 0, 0, -1, []
    for file in sorted((out / "edges").iterdir()):
        part = pl.read_parquet(file)
        low, high = part["item"].to_numpy(), part["neighbor"].to_numpy()
        place = low.astype(np.int64) * ids.size + high
        assert (low < high).all()
        assert place[0] > last
        assert (np.diff(place) > 0).all()
        last = place[-1]
        times = part["weight"].to_numpy()
        edges, weight = edges + low.size, weight + int(times.sum())
        found_sum += int((mixed(low, high) * times.astype(np.uint64)).sum())
        chosen = sampled[low] | sampled[high]
        found.append(np.stack([low[chosen], high[chosen], times[chosen]]))
    got = np.concatenate(found, axis=1)
    return {
        "items": ids.size,
        "users": int(np.unique(user).size),
        "edges": edges,
        "pairs": pairs,
        "total_weight_equal": weight == pairs,
        "checksum_equal": found_sum % 2**64 == checksum % 2**64,
        "sampled_items": int(sample.size),
        "sampled_edges": int(got.shape[1]),
        "sampled_edges_equal": bool(np.array_equal(got, np.vstack([expected, counts]))),
    }


def check_same(folder: Path) -> dict[str, Any]:
    """Whether the graphs of DuckDB, and of Spark if it ran, have the numbers of that in memory."""
    expected = torch.load(folder / "in-memory")
    counted = rg.read_covisit_graph(folder / "duckdb")
    same = all(
        torch.equal(counted[name], expected[name])
        for name in ("edge_index", "edge_weight", "count")
    )
    low, high = expected["edge_index"].numpy()
    ids = pl.read_parquet(folder / "duckdb" / "items.parquet")["item"].to_numpy()
    upper = low < high
    found = {"items": ids.size, "edges": int(upper.sum()), "DuckDB_equal": same}
    files = sorted((folder / "spark").glob("*.parquet"))
    if not files:
        return found
    rows = pl.DataFrame(
        {
            "item": ids[low[upper]],
            "neighbor": ids[high[upper]],
            "weight": expected["edge_weight"].numpy()[upper].astype(np.int64),
        }
    )
    other = pl.concat([pl.read_parquet(file) for file in files]).select(rows.columns)
    return found | {"Spark_equal": rows.equals(other.sort("item", "neighbor"))}
