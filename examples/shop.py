"""A shop's three tables, its log, its items and its users, and what features bring.

python examples/shop.py [--rows 20000] [--epochs 4] [--out shop/]

Position, brand and country decide the click; the tables are written as CSV, so that the commands of
docs/command-line.md can be tried on them.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

import resemb_gnn as rg

NUM_USERS, NUM_ITEMS = 400, 120
CONTEXT = ["position", "device"]


def write_shop(folder: Path, rows: int, seed: int = 0) -> None:
    """Writes ``log.csv``, ``items.csv`` and ``users.csv``."""
    rng = np.random.default_rng(seed)
    brand, country = rng.integers(8, size=NUM_ITEMS), rng.integers(4, size=NUM_USERS)
    price = rng.lognormal(3, 0.7, size=NUM_ITEMS)
    tags = [rng.choice(["new", "sale", "eco", "gift"], rng.integers(3), False) for _ in brand]
    user, item = rng.integers(NUM_USERS, size=rows), rng.integers(NUM_ITEMS, size=rows)
    position = rng.integers(1, 9, size=rows)
    # A country likes every fourth brand; further down the page less is seen.
    logit = 1.5 - 0.5 * position + 1.5 * (brand[item] % 4 == country[user]) - 0.01 * price[item]
    pl.DataFrame(
        {
            "user_id": [f"u{one}" for one in user],
            "item_id": [f"P-{one}" for one in item],
            "ts": np.arange(rows),
            "click": (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(int),
            "position": position,
            "device": rng.choice(["phone", "desk", ""], rows),
        }
    ).write_csv(folder / "log.csv")
    pl.DataFrame(
        {
            "item_id": [f"P-{one}" for one in range(NUM_ITEMS)],
            "brand": [f"brand {one}" for one in brand],
            "price": price.round(2),
            "tags": ["|".join(some) for some in tags],
        }
    ).write_csv(folder / "items.csv")
    pl.DataFrame(
        {
            "user_id": [f"u{one}" for one in range(NUM_USERS)],
            "country": [["de", "fr", "it", ""][one] for one in country],
        }
    ).write_csv(folder / "users.csv")


def main(arguments: list[str] | None = None) -> dict[str, float]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--out", type=Path, help="folder for the tables; a new one if not given")
    options = parser.parse_args(arguments)
    folder = options.out or Path(tempfile.mkdtemp(prefix="shop-"))
    folder.mkdir(parents=True, exist_ok=True)
    write_shop(folder, options.rows)
    print(f"{folder} holds log.csv, items.csv and users.csv")

    settings = {
        "data": folder / "log.csv",
        "user": "user_id",
        "item": "item_id",
        "time": "ts",
        "label": "click",
        "items": folder / "items.csv",
        "users": folder / "users.csv",
        "context": CONTEXT,
        "list_separator": "|",
        "split": "time",
        "epochs": options.epochs,
        "batch_size": 256,
        "embedding_dim": 8,
        "quiet": True,
    }
    found = {}
    for name, use_features in (("ids alone", False), ("with features", True)):
        trained = rg.train(**settings, use_features=use_features)
        found[name] = trained.facts["figures"]["test"]["auc"]
        print(f"{name}: test AUC {found[name]:.3f}")

    asked = pl.DataFrame({"position": [1, 8, None], "device": ["phone", "fridge", None]})
    score = trained.predict(["u1"] * 3, ["P-1"] * 3, context=asked)
    print(asked.with_columns(score))
    return found


if __name__ == "__main__":
    main()
