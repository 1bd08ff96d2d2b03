"""Seconds of one core to recommend to every user: each item scored, or candidates retrieved first.

    python -m benchmarks.speed.recommend --data Beauty.txt

A model is trained for an epoch, by the defaults of ``fit``. Then ``TrainedModel.recommend`` gives
the best 20 items with ``retrieve`` to all users, in one call, and without it to a block of users
after the other, in an order that is drawn. The two are compared on the users that both have served:
the share of the exact best 20 that were retrieved, and the users whose twenty are the same in the
same order. One thread; every turn stands in recommend.json, which is written after each.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

import resemb_gnn as rg
from benchmarks.runs import command
from benchmarks.timing import machine
from resemb_gnn.io.json_text import write_json
from resemb_gnn.pipeline.facts import versions
from resemb_gnn.settings import FitSettings


def timed(
    trained: rg.TrainedModel, users: pl.Series, retrieve: int | None, k: int
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """The best items, and what it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = trained.recommend(users, k, retrieve=retrieve)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    name = "exact" if retrieve is None else f"retrieve {retrieve}"
    return found, {"name": name, "users": len(users), "wall": wall, "cpu": cpu}


def agreement(exact: pl.DataFrame, rough: pl.DataFrame) -> dict[str, float]:
    """On the users of ``exact``: the share of its items that are in ``rough``, and of users whose
    items are the same in the same order.
    """
    both = exact.join(rough, on=["user", "item"], how="left", suffix="_rough")
    same = both.group_by("user").agg((pl.col("rank") == pl.col("rank_rough")).fill_null(False))
    return {
        "users": exact["user"].n_unique(),
        "recall": both["rank_rough"].is_not_null().sum() / len(both),
        "same_order": same.select(pl.col("rank").list.all().mean()).item(),
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="sequence file")
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--retrieve", type=int, default=500)
    parser.add_argument("--users", type=int, help="served exactly (default: all)")
    parser.add_argument("--block", type=int, default=500, help="users of a turn")
    parser.add_argument("--embedding", default=FitSettings.embedding)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/speed/results/recommend.json"))
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    trained = rg.train(data=options.data, embedding=options.embedding, epochs=1, quiet=True)
    every = trained.histories.user_ids
    order = np.random.default_rng(0).permutation(len(every))[: options.users]
    contents: dict[str, Any] = {
        "command": command("benchmarks.speed.recommend", argv, options.data, options.out),
        "machine": machine(),
        "versions": versions(),
        "num_users": len(every),
        "num_items": len(trained.item_ids),
        "test": trained.facts["figures"]["test"],
        "k": options.k,
        "agreement": None,
        "turns": [],
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    rough, turn = timed(trained, every, options.retrieve, options.k)
    contents["turns"].append(turn)
    exact = []
    for start in range(0, len(order), options.block):
        users = every.gather(order[start : start + options.block])
        found, turn = timed(trained, users, None, options.k)
        exact.append(found)
        contents["turns"].append(turn)
        contents["agreement"] = agreement(pl.concat(exact), rough)
        write_json(options.out, contents)
    print(summary(contents))


def summary(contents: dict[str, Any]) -> str:
    """A line for each way, and one on how they agree."""
    lines = []
    for name in dict.fromkeys(turn["name"] for turn in contents["turns"]):
        own = [turn for turn in contents["turns"] if turn["name"] == name]
        users, cpu = (sum(turn[key] for turn in own) for key in ("users", "cpu"))
        lines.append(f"{name}: {users:,} users in {cpu:.0f} s of one core, {users / cpu:.0f} a s")
    agreed = contents["agreement"]
    lines.append(
        f"of the exact best {contents['k']} of {agreed['users']:,} users, {agreed['recall']:.2%}"
        f" were retrieved; {agreed['same_order']:.2%} of the users have the same list"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
