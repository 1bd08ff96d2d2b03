"""A shop's log whose clicks are decided by position, brand and country: models with and without.

    python -m benchmarks.accuracy.features_shop

The log is made: 100,000 impressions of 2,000 items to 4,000 users, the click drawn from a logistic
model of the position on the page, the item's brand, the user's country, the pair of brand and
country, and a little of the item and the user themselves. The latest tenth tests, the tenth before
validates. DIN with a plain table and with ``gcn`` centres, each with and without the columns,
beside scikit-learn's HistGradientBoostingClassifier on the same columns and on the numbers of item
and user (it stops early on a tenth of its training rows).

Appends a line a run to features_shop.json, and leaves out those that stand there.
"""

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from sklearn.ensemble import HistGradientBoostingClassifier

import resemb_gnn as rg
from benchmarks.runs import FIRST_FIT, RunFile, command
from resemb_gnn.data import Split
from resemb_gnn.datasets import DataSource
from resemb_gnn.graph import NodeFeatures
from resemb_gnn.pipeline.embeddings import make_embedding
from resemb_gnn.pipeline.facts import describe_data, training_figures, versions
from resemb_gnn.settings import CompareSettings
from resemb_gnn.training import auc, fit, gauc

USERS, ITEMS, BRANDS, COUNTRIES, POSITIONS = 4000, 2000, 40, 12, 20
ARMS = ("boosting", "plain", "gcn")


def make_log(rows: int, seed: int = 0) -> rg.BehaviorLog:
    """The shop's three tables, read as one log."""
    rng = np.random.default_rng(seed)
    user = rng.integers(USERS, size=rows)
    item = np.minimum(rng.zipf(1.2, rows) * 7 % ITEMS, ITEMS - 1)
    position = np.minimum(rng.geometric(0.15, rows), POSITIONS)
    brand, country = rng.integers(BRANDS, size=ITEMS), rng.integers(COUNTRIES, size=USERS)
    taste = rng.normal(0, 0.5, (BRANDS, COUNTRIES))
    logit = (
        -0.3
        - 0.12 * position
        + rng.normal(0, 0.4, BRANDS)[brand[item]]
        + rng.normal(0, 0.3, COUNTRIES)[country[user]]
        + taste[brand[item], country[user]]
        + rng.normal(0, 0.2, ITEMS)[item]
        + rng.normal(0, 0.2, USERS)[user]
    )
    log = pl.DataFrame(
        {
            "user": user,
            "item": item,
            "time": np.arange(rows),
            "click": (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(int),
            "position": position,
            "hour": rng.integers(24, size=rows),
        }
    )
    items = pl.DataFrame(
        {
            "item": np.arange(ITEMS),
            "brand": [f"brand {number}" for number in brand],
            "price": rng.lognormal(3, 1, ITEMS),
        }
    )
    users = pl.DataFrame(
        {"user": np.arange(USERS), "country": [f"country {number}" for number in country]}
    )
    return rg.BehaviorLog.from_frame(
        log,
        "user",
        "item",
        "time",
        label="click",
        items=items,
        users=users,
        context=["position", "hour"],
    )


def columns(log: rg.BehaviorLog, examples: rg.Examples) -> "np.ndarray":
    """Every feature of the examples, and the numbers of item and user, ``[n, 7]``."""
    features = log.features
    assert features is not None
    assert examples.row is not None
    rows = {"items": examples.target, "users": examples.user, "context": examples.row}
    found = [
        feature.values[rows[place]].numpy()
        for place, table in features.tables()
        for feature in table
    ]
    return np.stack([*found, examples.target.numpy(), examples.user.numpy()], axis=1)


def boosting(log: rg.BehaviorLog, split: Split, seed: int) -> dict[str, Any]:
    """Brand, country and hour as categories; position, whose order matters, as a number."""
    features = log.features
    assert features is not None
    categories = [
        feature.kind == "category" and feature.name != "position"
        for _, table in features.tables()
        for feature in table
    ]
    model = HistGradientBoostingClassifier(
        categorical_features=[*categories, False, False], early_stopping=True, random_state=seed
    )
    model.fit(columns(log, split.train), split.train.label.numpy())
    found = {}
    for name, part in (("valid", split.valid), ("test", split.test)):
        logit = torch.from_numpy(model.decision_function(columns(log, part)))
        found[name] = {
            "auc": auc(logit, part.label),
            "gauc": gauc(logit, part.label, part.user),
        }
    return found


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument(
        "--out", type=Path, default=Path("benchmarks/accuracy/results/features/features_shop.json")
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    log = make_log(options.rows)
    split = log.split(by="time")
    settings = CompareSettings(epochs=options.epochs, quiet=options.quiet)
    source = DataSource("synthetic shop", "Position, brand and country decide the click.", log)
    head = {
        "command": command("benchmarks.accuracy.features_shop", argv, options.out),
        "data": describe_data(source, split),
        "settings": {"epochs": options.epochs},
        "versions": versions(),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    file = RunFile(options.out, head)
    for seed, arm, known in itertools.product(range(options.seeds), ARMS, (True, False)):
        key = {"embedding": arm, "features": known, "seed": seed}
        if file.holds(**key) or (arm == "boosting" and not known):
            continue
        if arm == "boosting":
            file.add(key | boosting(log, split, seed))
            continue
        torch.manual_seed(seed)
        graph = rg.covisit_graph(split.history, settings.window, folds=settings.folds)
        made = make_embedding(arm, NodeFeatures()(graph), settings)
        model = rg.DIN(
            made, features=log.features if known else None, attention_normalization="none"
        )
        result = fit(
            model,
            split,
            epochs=options.epochs,
            seed=seed,
            progress=not options.quiet,
            **FIRST_FIT,
        )
        file.add(key | training_figures(result))


if __name__ == "__main__":
    main()
