"""A behaviour log of any size, long-tailed and clustered, for the benchmarks of speed."""

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

CLUSTER_SIZE = 100  # items
INTERESTS = 3  # clusters a user
STRAY = 0.1  # share of behaviours outside the user's interests
ROWS = 2_000_000  # of a row group
MIN_LENGTH = 5  # behaviours of a user at least, as in 5-core data


def synthetic_log(
    num_users: int, num_items: int, num_behaviors: int, seed: int = 0
) -> pl.DataFrame:
    """Rows ``user``, ``item``, ``time``, in time order.

    An item's popularity falls as a power of its rank, and so does the number of a user's
    behaviours; the items come in clusters of ``CLUSTER_SIZE``, and a user acts mostly on
    ``INTERESTS`` of them. Each item comes at least once if there are as many behaviours as items.
    """
    rng = np.random.default_rng(seed)
    user = _users(num_users, num_behaviors, rng)
    popularity = rng.permutation((np.arange(num_items) + 10.0) ** -0.8)
    cumulative = np.concatenate([[0.0], popularity.cumsum()])
    num_clusters = max(num_items // CLUSTER_SIZE, 1)
    bounds = np.linspace(0, num_items, num_clusters + 1).astype(np.int64)
    interests = rng.integers(num_clusters, size=(num_users, INTERESTS))
    cluster = interests[user, rng.integers(INTERESTS, size=num_behaviors)]
    low, high = cumulative[bounds[cluster]], cumulative[bounds[cluster + 1]]
    stray = rng.random(num_behaviors) < STRAY
    low[stray], high[stray] = 0.0, cumulative[-1]
    ticket = low + rng.random(num_behaviors) * (high - low)
    item = np.searchsorted(cumulative[1:-1], ticket, side="right")
    every = min(num_items, num_behaviors)
    item[rng.choice(num_behaviors, every, replace=False)] = np.arange(every)
    return pl.DataFrame({"user": user, "item": item, "time": np.arange(num_behaviors)})


def write_synthetic_log(
    path: Path, num_users: int, num_items: int, num_behaviors: int, seed: int = 0
) -> None:
    """Writes a log of the same kind, of any size, to Parquet in row groups of ``ROWS``.

    Memory does not grow with the number of behaviours: a user's interests are a hash of the
    user's number, and users and items are drawn by their long tails row by row. The log is in time
    order, and a hundred behaviours in a row have the same time.
    """
    appetite = np.random.default_rng(seed).pareto(2.0, num_users) + 0.05
    tickets = (appetite / appetite.sum()).cumsum()[:-1]
    schema = pa.schema([(name, pa.int64()) for name in ("user", "item", "time")])
    part = path.with_name(path.name + ".part")
    with pq.ParquetWriter(part, schema) as writer:
        for start in range(0, num_behaviors, ROWS):
            rng = np.random.default_rng([seed, start])
            rows = min(ROWS, num_behaviors - start)
            user = np.searchsorted(tickets, np.sort(rng.random(rows)), side="right")
            user = rng.permutation(user)
            item = _favourite(user, num_items, rng)
            stray = rng.random(rows) < STRAY
            item[stray] = (num_items * rng.random(int(stray.sum())) ** 2).astype(np.int64)
            time = np.arange(start, start + rows) // 100
            writer.write_table(pa.table([user, item, time], schema=schema), row_group_size=rows)
    part.rename(path)


def _favourite(user: "np.ndarray", num_items: int, rng: np.random.Generator) -> "np.ndarray":
    """An item of one of each user's interests; the first of a cluster are the most popular."""
    interest = user.astype(np.uint64) * INTERESTS + rng.integers(INTERESTS, size=user.size).astype(
        np.uint64
    )
    interest = (interest + 1) * np.uint64(0x9E3779B97F4A7C15)  # Fibonacci hashing, modulo 2^64
    interest ^= interest >> np.uint64(29)
    num_clusters = max(num_items // CLUSTER_SIZE, 1)
    share = (interest >> np.uint64(11)).astype(np.float64) / 2.0**53
    cluster = (num_clusters * share**2).astype(np.int64)
    place = (CLUSTER_SIZE * rng.random(user.size) ** 2).astype(np.int64)
    return np.minimum(cluster * CLUSTER_SIZE + place, num_items - 1)


def _users(num_users: int, num_behaviors: int, rng: np.random.Generator) -> "np.ndarray":
    """User of each behaviour, in random order."""
    least = min(MIN_LENGTH, num_behaviors // num_users)
    appetite = rng.pareto(2.0, num_users)
    more = rng.multinomial(num_behaviors - least * num_users, appetite / appetite.sum())
    return rng.permutation(np.repeat(np.arange(num_users), least + more))
