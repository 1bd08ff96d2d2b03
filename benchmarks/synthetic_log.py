"""A behaviour log of any size, long-tailed and clustered, for the benchmarks of speed."""

import numpy as np
import polars as pl

CLUSTER_SIZE = 100  # items
INTERESTS = 3  # clusters a user
STRAY = 0.1  # share of behaviours outside the user's interests
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


def _users(num_users: int, num_behaviors: int, rng: np.random.Generator) -> "np.ndarray":
    """User of each behaviour, in random order."""
    least = min(MIN_LENGTH, num_behaviors // num_users)
    appetite = rng.pareto(2.0, num_users)
    more = rng.multinomial(num_behaviors - least * num_users, appetite / appetite.sum())
    return rng.permutation(np.repeat(np.arange(num_users), least + more))
