"""Fixtures shared by all tests."""

import multiprocessing
import os
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import Phase, settings

from resemb_gnn import BehaviorLog

# The suite runs a process a core itself, and starting more takes seconds: `--jobs auto` is 1 in it.
os.environ.setdefault("LOKY_MAX_CPU_COUNT", "1")
# Processes of multiprocessing's forkserver are forks of one that has imported what takes seconds.
multiprocessing.set_forkserver_preload(["pytest", "torch._dynamo", "resemb_gnn.experiment.run"])

# tests/tools/mutants.py wants to know whether a test fails, not by which smallest example.
settings.register_profile(
    "mutants", phases=[Phase.explicit, Phase.generate], derandomize=True, deadline=None
)

NUM_USERS = 60
NUM_CLUSTERS = 5
CLUSTER_SIZE = 8


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder ``shared/data`` beside the checkout; skips the test where it is not there."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the real data in ../shared/data, beside the checkout")
    return folder


def _clustered_rows(seed: int) -> pl.DataFrame:
    """60 users with 4 to 16 behaviours; 4 of 5 behaviours stay in the user's cluster of items.

    Items 100..139 in 5 clusters (the categories "c0".."c4") of 8; the first of a cluster are the
    most popular. Times grow by 1 to 9 within a user, and rows come in random order.
    """
    rng = np.random.default_rng(seed)
    popularity = 1.0 / np.arange(1, CLUSTER_SIZE + 1)
    rows = []
    for user in range(NUM_USERS):
        length = int(rng.integers(4, 17))
        times = 1000 + rng.integers(100) + rng.integers(1, 10, size=length).cumsum()
        for time in times.tolist():
            away = rng.random() < 0.2
            cluster = int(rng.integers(NUM_CLUSTERS)) if away else user % NUM_CLUSTERS
            place = int(rng.choice(CLUSTER_SIZE, p=popularity / popularity.sum()))
            item = 100 + cluster * CLUSTER_SIZE + place
            click = int(rng.random() < (0.2 if away else 0.6))
            rows.append((f"u{user:02d}", item, time, f"c{cluster}", click))
    columns = ["user_id", "item_id", "timestamp", "category", "label"]
    frame = pl.DataFrame(rows, schema=columns, orient="row")
    return frame[rng.permutation(len(frame))]


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pictures of a report are made, but not drawn, which takes longer than all the rest: for
    tests of anything else.
    """
    from resemb_gnn.experiment.report import page

    monkeypatch.setattr(page, "to_svg", lambda figure, description: "<svg></svg>")


@pytest.fixture(scope="session")
def log() -> BehaviorLog:
    """A small log without labels: 60 users, 40 items in 5 clusters, which are the categories."""
    rows = _clustered_rows(seed=0)
    return BehaviorLog.from_frame(rows, "user_id", "item_id", "timestamp", category="category")


@pytest.fixture(scope="session")
def labelled_log() -> BehaviorLog:
    """A small log of impressions: as ``log``, with click labels that favour the user's cluster."""
    return BehaviorLog.from_frame(
        _clustered_rows(seed=1),
        "user_id",
        "item_id",
        "timestamp",
        category="category",
        label="label",
    )


@pytest.fixture(scope="session")
def make_log() -> Callable[..., BehaviorLog]:
    """A function that makes a log of one history of item numbers a user.

    ``times`` and ``labels`` have the shape of the histories; a time is a place if not given.
    """

    def make(
        histories: Sequence[Sequence[int]],
        num_items: int | None = None,
        times: Sequence[Sequence[float]] | None = None,
        labels: Sequence[Sequence[int]] | None = None,
    ) -> BehaviorLog:
        def flat(nested: Sequence[Sequence[float]], dtype: torch.dtype | None) -> torch.Tensor:
            return torch.tensor([value for part in nested for value in part], dtype=dtype)

        items = flat(histories, torch.long)
        if num_items is None:
            num_items = int(items.max()) + 1
        return BehaviorLog(
            items=items,
            ptr=torch.tensor([0, *accumulate(len(history) for history in histories)]),
            times=flat(times or [range(len(history)) for history in histories], None),
            user_ids=pl.Series([f"u{user}" for user in range(len(histories))]),
            item_ids=pl.Series(range(num_items)),
            labels=None if labels is None else flat(labels, torch.float),
        )

    return make
