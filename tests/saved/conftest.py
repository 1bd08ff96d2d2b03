"""A table with categories, and models trained on it for an epoch."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import resemb_gnn as rg
from resemb_gnn import cli
from resemb_gnn.settings.embedding import settings_of
from tests.shop import shop_flags, write_shop


@pytest.fixture(scope="session")
def csv(log: rg.BehaviorLog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small log as a CSV with string ids of users and items, and ISO times."""
    assert log.item_category is not None
    assert log.category_ids is not None
    minutes = pl.Series(log.times.numpy()) * 60_000_000
    items = log.item_ids.gather(log.items.numpy())
    frame = pl.DataFrame(
        {
            "user_id": log.user_ids.gather(log.users.numpy()),
            "item_id": "P-" + items.cast(pl.String),
            "ts": minutes.cast(pl.Datetime("us")).dt.to_string("iso:strict"),
            "category": log.category_ids.gather(log.item_category[log.items].numpy()),
        }
    )
    path = tmp_path_factory.mktemp("saved") / "log.csv"
    frame.write_csv(path)
    return path


@pytest.fixture(scope="session")
def train_on(csv: Path) -> Callable[..., rg.TrainedModel]:
    """Trains for an epoch on the table, with categories."""

    def train(**settings: Any) -> rg.TrainedModel:
        columns = {"user": "user_id", "item": "item_id", "time": "ts", "category": "category"}
        settings = {"embedding": "gcn"} | settings
        small: dict[str, Any] = {"epochs": 1, "quiet": True, "embedding_dim": 4, "folds": 2}
        if "num_centers" in settings_of(settings["embedding"]):
            small["num_centers"] = 8
        return rg.train(**({"data": str(csv)} | columns | small | settings))

    return train


@pytest.fixture(scope="session")
def trained(train_on: Callable[..., rg.TrainedModel]) -> rg.TrainedModel:
    """A GCN in DIN."""
    return train_on()


@pytest.fixture(scope="session")
def later_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 500 rows of a shop's ``log.csv``, the ``model`` of it, and the other 200, shuffled
    and three at a time, in ``later.csv``: with some new users, ``new0`` and on, and the new item
    ``B-1``.
    """
    folder = tmp_path_factory.mktemp("later")
    write_shop(folder)
    every = pl.read_csv(folder / "log.csv")
    every[:500].write_csv(folder / "log.csv")
    rows = every[500:].with_columns(
        pl.col("shopper").str.replace("s4", "new"),
        pl.col("article").str.replace("A-1$", "B-1"),
        pl.col("ts") // 3 * 3,
    )
    rows.sample(fraction=1.0, shuffle=True, seed=2).write_csv(folder / "later.csv")
    small = ["--epochs", "1", "--folds", "2", "--embedding-dim", "4", "--quiet"]
    assert cli.main(["fit", *shop_flags(folder), "--out", str(folder / "model"), *small]) == 0
    return folder


@pytest.fixture(scope="session")
def shop_model(later_shop: Path) -> rg.TrainedModel:
    """The model of that shop."""
    return rg.load(later_shop / "model")
