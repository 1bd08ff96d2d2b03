"""What features cost: a training step of DIN with and without them, in alternation.

    python -m benchmarks.speed.features

A synthetic log of the size of Amazon's Beauty, one thread, batches of 1024 cut within the step, as
``fit`` does. Three features of items (brand, tags, price), four of users (country, age, gender,
income), three of rows (tab, hour, position): categories, lists and numbers, some of them missing,
each as wide as the library chooses.

Every turn stands in features.json; the ratio of both is taken within a round.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from torch_geometric.data import Data

import resemb_gnn as rg
from benchmarks.runs import command
from benchmarks.speed import ours
from benchmarks.speed.turns import timed
from benchmarks.synthetic_log import synthetic_log
from benchmarks.timing import spread

BRANDS, TAGS, COUNTRIES, TABS = 2000, 500, 30, 10


def make_log(size: tuple[int, int, int] = ours.BEAUTY, seed: int = 0) -> rg.BehaviorLog:
    """The synthetic log with tables of items and users, and columns of context."""
    users, items, behaviors = size
    rng = np.random.default_rng(seed)

    def some(values: Any, share: float = 0.05) -> pl.Series:
        return pl.Series(values).set(pl.Series(rng.random(len(values)) < share), None)

    tags = rng.integers(TAGS, size=(items, 6))
    log = synthetic_log(users, items, behaviors, seed).with_columns(
        tab=some(rng.integers(TABS, size=behaviors)),
        hour=pl.Series(rng.integers(24, size=behaviors)),
        position=some(rng.exponential(5, behaviors)),
    )
    of_items = pl.DataFrame(
        {
            "item": np.arange(items),
            "brand": some(rng.zipf(1.3, items) % BRANDS),
            "tags": [row[: 1 + row[0] % 6].tolist() for row in tags],
            "price": some(rng.lognormal(2, 1, items)),
        }
    )
    of_users = pl.DataFrame(
        {
            "user": np.arange(users),
            "country": some(rng.zipf(1.5, users) % COUNTRIES),
            "age": some(rng.integers(16, 90, users)),
            "gender": some(rng.integers(3, size=users)),
            "income": some(rng.lognormal(10, 1, users)),
        }
    )
    return rg.BehaviorLog.from_frame(
        log,
        "user",
        "item",
        "time",
        items=of_items,
        users=of_users,
        context=["tab", "hour", "position"],
    )


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--steps", type=int, default=10, help="of a turn")
    parser.add_argument("--size", type=int, nargs=3, default=ours.BEAUTY, metavar="N")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/speed/results/features.json"))
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    log = make_log((options.size[0], options.size[1], options.size[2]))
    split = log.split(by="last")
    order = torch.randperm(len(split.train), generator=torch.Generator().manual_seed(0))
    task = ours.Task(split, Data(), order)
    with_features = rg.DIN(ours.plain(task), features=log.features)
    with_features.adapt(split.train)
    without = {"DIN": rg.DIN(ours.plain(task)), "DIN with features": with_features}
    made = [ours.contender(name, task, model, options.steps) for name, model in without.items()]
    line = command("benchmarks.speed.features", argv, options.out)
    seconds = timed(made, options.rounds, options.out, command=line, data=repr(log))
    for name, values in seconds.items():
        middle, low, high = (value / options.steps * 1e3 for value in spread(values.tolist()))
        print(f"{name}: {middle:.1f} ms a step ({low:.1f} to {high:.1f})")
    plain, rich = seconds.values()
    middle, low, high = spread((rich / plain).tolist())
    print(f"ratio: {middle:.2f} ({low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
