"""A shop's three tables, small: what its log, its items and its users look like in CSV files."""

from pathlib import Path

import numpy as np
import polars as pl

from resemb_gnn import BehaviorLog
from resemb_gnn.datasets import load_source

NUM_ITEMS, NUM_USERS = 30, 50
COLUMNS = {"user": "shopper", "item": "article", "time": "ts", "label": "click"}
CONTEXT = ["position", "coupons", "delay"]


def write_shop(folder: Path, rows: int = 700, seed: int = 0) -> None:
    """Writes ``log.csv``, ``items.csv`` and ``users.csv``. Position, brand and country decide the
    click; every feature is missing in some rows.
    """
    rng = np.random.default_rng(seed)
    user, item = rng.integers(NUM_USERS, size=rows), rng.integers(NUM_ITEMS, size=rows)
    position = rng.integers(4, size=rows)
    chance = np.array([0.8, 0.5, 0.3, 0.1])[position] * np.where(item % 3 == user % 3, 1.2, 0.6)
    log = pl.DataFrame(
        {
            "shopper": [f"s{one:02d}" for one in user],
            "article": [f"A-{one}" for one in item],
            "ts": 1000 + np.arange(rows),
            "click": (rng.random(rows) < chance).astype(int),
            "position": [["top", "mid", "low", None][one] for one in position],
            "coupons": ["|".join(["c1", "c2", "c3"][: one % 4]) or None for one in user],
            "delay": [None if one % 7 == 0 else one / 8 for one in range(rows)],
        }
    )
    log.write_csv(folder / "log.csv")
    pl.DataFrame(
        {
            "article": [f"A-{one}" for one in range(NUM_ITEMS)],
            "brand": [[None, "b1", "b2"][one % 3] for one in range(NUM_ITEMS)],
            "price": [None if one % 5 == 0 else one + 0.5 for one in range(NUM_ITEMS)],
            "tags": ["|".join(["x", "y", "z"][: one % 4]) or None for one in range(NUM_ITEMS)],
        }
    ).write_csv(folder / "items.csv")
    pl.DataFrame(
        {
            "shopper": [f"s{one:02d}" for one in range(NUM_USERS)],
            "country": [["de", "fr", None][one % 3] for one in range(NUM_USERS)],
            "age": [None if one % 4 == 0 else 20 + one % 9 for one in range(NUM_USERS)],
        }
    ).write_csv(folder / "users.csv")


def add_makers(folder: Path) -> None:
    """Gives every item a maker, one of six, or none."""
    items = pl.read_csv(folder / "items.csv")
    makers = [None if one % 7 == 6 else f"m{one % 7}" for one in range(NUM_ITEMS)]
    items.with_columns(maker=pl.Series(makers)).write_csv(folder / "items.csv")


def shop_settings(folder: Path) -> dict[str, object]:
    """The settings that read the three tables."""
    return {
        **COLUMNS,
        "data": str(folder / "log.csv"),
        "items": str(folder / "items.csv"),
        "users": str(folder / "users.csv"),
        "context": CONTEXT,
        "list_separator": "|",
        "split": "time",
    }


def read_shop(folder: Path) -> BehaviorLog:
    """The log with its features."""
    options = {name: value for name, value in shop_settings(folder).items() if name != "split"}
    return load_source(**options).log


def shop_flags(folder: Path) -> list[str]:
    """The same as flags."""
    flags = []
    for name, value in shop_settings(folder).items():
        flags.append(f"--{name.replace('_', '-')}")
        flags += value if isinstance(value, list) else [str(value)]
    return flags
