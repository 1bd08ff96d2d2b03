"""Seven days of a shop: a model left as it is, updated each night, or trained anew each night.

    python -m benchmarks.accuracy.daily

The log is made: 20,000 impressions, and then 4,000 a day, of items in 12 groups to users with two
groups of interest each. A click is drawn from a logistic model of the interest, the item's appeal
and the position on the page. Each day 5 % of the users change an interest, all appeals walk a step,
and 40 users and 12 items are new; an item's brand tells its group four times out of five.

Each day's rows are scored by models of the days before it: ``stale`` has never seen more than the
first rows, ``joined`` takes users, items and co-visits of each day in without training,
``updated`` trains on each day's rows for an epoch, and ``retrained`` is fitted on all rows up to
then, with the newest fifth of the last day held out, as an update holds it out. All of them are
handed the clicks of the day before a row (and ``stale`` those of all days since the first rows).

``auc`` is of the rows whose items the first rows held, alike for all arms; ``auc_of_new`` of the
others, which ``stale`` cannot score. ``epochs`` and ``best_epoch`` are those of an arm's last
training. Before its day the ``updated`` model is served: its 20 best items for every user, and its
item vectors and scorer for a server, with the seconds of both. Appends a line a day and arm to
daily.json; a seed whose days are not all there is made from its start.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

import resemb_gnn as rg
from benchmarks.runs import FIRST, RunFile, command
from benchmarks.tables import mean_and_std, table
from resemb_gnn.pipeline.facts import versions
from resemb_gnn.serving import export_embeddings, export_scorer
from resemb_gnn.training import auc

NAMES = ("first", "rows", "days", "epochs", "embedding")
ARMS = ("stale", "joined", "updated", "retrained")
GROUPS, POSITIONS = 12, 10
COLUMNS: dict[str, Any] = {"user": "user", "item": "item", "time": "time", "label": "click"}
CONTEXT = ["position"]


class Shop:
    """What decides the clicks, as it changes from day to day."""

    def __init__(self, users: int, items: int, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.interests = np.zeros((0, 2), dtype=np.int64)
        self.group = self.brand = np.zeros(0, dtype=np.int64)
        self.appeal = np.zeros(0)
        self.now = 0
        self.open(users, items)

    def open(self, users: int, items: int) -> None:
        """New users and items."""
        rng = self.rng
        interests = rng.integers(GROUPS, size=(users, 2))
        self.interests = np.concatenate([self.interests, interests])
        group = rng.integers(GROUPS, size=items)
        told = rng.random(items) < 0.8
        brand = np.where(told, group, rng.integers(GROUPS, size=items))
        self.group, self.brand = np.append(self.group, group), np.append(self.brand, brand)
        self.appeal = np.append(self.appeal, rng.normal(0, 0.6, items))

    def drift(self) -> None:
        """A night: interests change, appeals walk."""
        rng = self.rng
        which = rng.random(len(self.interests)) < 0.05
        self.interests[which, 0] = rng.integers(GROUPS, size=int(which.sum()))
        self.appeal += rng.normal(0, 0.15, len(self.appeal))

    def sell(self, rows: int) -> pl.DataFrame:
        """Impressions, half of them of the users' interests, and what was clicked."""
        rng = self.rng
        user = rng.integers(len(self.interests), size=rows)
        wanted = self.interests[user, rng.integers(2, size=rows)]
        order = self.group.argsort(kind="stable")
        start = np.searchsorted(self.group[order], np.arange(GROUPS + 1))
        size = start[wanted + 1] - start[wanted]
        fitting = order[start[wanted] + (rng.random(rows) * size).astype(np.int64)]
        any_item = rng.integers(len(self.group), size=rows)
        item = np.where(rng.random(rows) < 0.5, fitting, any_item)
        position = rng.integers(POSITIONS, size=rows)
        liked = (self.interests[user] == self.group[item][:, None]).any(axis=1)
        logit = -1.5 + 1.5 * liked + self.appeal[item] - 0.1 * position
        when = self.now + np.arange(rows)
        self.now += rows
        return pl.DataFrame(
            {
                "user": [f"u{one}" for one in user],
                "item": [f"i{one}" for one in item],
                "time": when,
                "click": (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(int),
                "position": [f"p{one}" for one in position],
            }
        )

    def items(self) -> pl.DataFrame:
        names = [f"i{one}" for one in range(len(self.brand))]
        return pl.DataFrame({"item": names, "brand": [f"b{one}" for one in self.brand]})


def fit(
    rows: pl.DataFrame,
    items: pl.DataFrame,
    held_out: int,
    seed: int,
    epochs: int,
    embedding: str,
) -> rg.TrainedModel:
    """A model of all rows, the newest ``held_out`` of which validate and, as many, test."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        rows.write_parquet(place / "log.parquet")
        items.write_parquet(place / "items.parquet")
        at = [rows["time"][-2 * held_out], rows["time"][-held_out]]
        return rg.train(
            data=str(place / "log.parquet"),
            items=str(place / "items.parquet"),
            **COLUMNS,
            context=CONTEXT,
            graph_features=["brand"],
            embedding=embedding,
            valid_from=str(at[0]),
            test_from=str(at[1]),
            embedding_dim=16,
            num_centers=24,
            batch_size=256,
            **FIRST,
            epochs=epochs,
            seed=seed,
            quiet=True,
        )


def read(rows: pl.DataFrame, items: pl.DataFrame | None = None) -> rg.BehaviorLog:
    return rg.BehaviorLog.from_frame(rows, **COLUMNS, context=CONTEXT, items=items)


def figures(
    trained: rg.TrainedModel, day: pl.DataFrame, since: pl.DataFrame, first: pl.Series
) -> dict[str, Any]:
    """AUC of a day's rows, with the clicks since the model's last rows as histories."""
    score = trained.predict(
        day["user"],
        day["item"],
        context=day.select(CONTEXT),
        history=read(since),
        times=day["time"],
        unknown="skip",
    )
    found = {}
    for name, part in (
        ("auc", day["item"].is_in(first.implode())),
        ("auc_of_new", ~day["item"].is_in(first.implode())),
    ):
        own = score.filter(part)
        known = own.is_not_null()
        if own.len() and known.any():
            logit = own.filter(known).to_torch()
            label = day["click"].filter(part).filter(known).to_torch()
            found[name] = auc(logit, label)
        found[name.replace("auc", "rows")] = int(known.sum())
    return found


def served(trained: rg.TrainedModel, scorer: bool) -> dict[str, Any]:
    """What a day of serving takes: the best items of all users, and all that a server loads."""
    begun = time.perf_counter()
    best = trained.recommend(k=20, context={"position": "p0"})
    found: dict[str, Any] = {"recommended": len(best)}
    found["recommend_seconds"] = time.perf_counter() - begun
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        export_embeddings(trained.embedding, trained.item_ids, folder, index=False)
        if scorer:
            export_scorer(trained.model, folder, features=trained.features)
        found["export_seconds"] = time.perf_counter() - begun
        found["export_bytes"] = sum(path.stat().st_size for path in Path(folder).iterdir())
    return found


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--first", type=int, default=20_000, help="rows before the first day")
    parser.add_argument("--rows", type=int, default=4000, help="rows a day")
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=10, help="most epochs of a model of all rows")
    parser.add_argument("--embedding", default="gcn", help="as fit has it")
    parser.add_argument(
        "--scorer",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="export the scorer as well as the item vectors",
    )
    path = Path("benchmarks/accuracy/results/daily/daily.json")
    parser.add_argument("--out", type=Path, default=path)
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    sizes = {name: getattr(options, name) for name in NAMES}
    head = {
        "command": command("benchmarks.accuracy.daily", argv, options.out),
        "data": {"name": "seven days of a made shop"},
        "settings": sizes,
        "versions": versions(),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    file = RunFile(options.out, head)
    for seed in range(options.seeds):
        if not file.holds(seed=seed, day=options.days, arm=ARMS[-1]):
            week(file, seed, scorer=options.scorer, **sizes)
    print("\n".join(summary(file.runs)))


def week(
    file: RunFile,
    seed: int,
    first: int,
    rows: int,
    days: int,
    epochs: int,
    embedding: str,
    scorer: bool,
) -> None:
    """The days of a seed, each scored by every arm before it is taken in."""
    shop = Shop(users=1200, items=400, seed=seed)
    log, held_out = shop.sell(first), rows // 10
    known = log["item"].unique()
    base = fit(log, shop.items(), held_out, seed, epochs, embedding)
    models = dict.fromkeys(ARMS, base)
    seconds = dict.fromkeys(ARMS, 0.0)
    for number in range(1, days + 1):
        shop.open(users=40, items=12)
        shop.drift()
        day = shop.sell(rows)
        for arm in ARMS:
            since = pl.concat([log[first:], day]) if arm == "stale" else day
            run = {"seed": seed, "day": number, "arm": arm}
            if file.holds(**run):
                continue
            own = models[arm]
            run |= {"seconds": seconds[arm]}
            run |= {name: own.facts["figures"][name] for name in ("epochs", "best_epoch")}
            if arm == "updated":
                run |= served(own, scorer)
            file.add(run | figures(own, day, since, known))
        if number == days:  # nobody asks for the models of the night after
            return
        log = pl.concat([log, day])
        for arm in ARMS[1:]:
            begun = time.perf_counter()
            if arm == "retrained":
                models[arm] = fit(log, shop.items(), held_out, seed, epochs, embedding)
            else:
                later = read(day, shop.items())
                models[arm] = models[arm].update(later, epochs=int(arm == "updated"), seed=seed)
            seconds[arm] = time.perf_counter() - begun


def summary(runs: list[dict[str, Any]]) -> list[str]:
    """A line an arm: AUC on the first, the last and all days, and the seconds of a night; and what
    serving the updated model took, where it was served.
    """
    rows = []
    last = max(run["day"] for run in runs)
    for arm in ARMS:
        own = [run for run in runs if run["arm"] == arm]
        cells = [
            mean_and_std([run["auc"] for run in own if run["day"] == day]) for day in (1, last)
        ]
        later = [run for run in own if run["day"] > 1]
        new = [run["auc_of_new"] for run in later if "auc_of_new" in run]
        night = f"{np.mean([run['seconds'] for run in later]):.1f}" if later else "-"
        over_days = f"{np.mean([run['auc'] for run in own]):.4f}"
        rows.append([arm, *cells, over_days, f"{np.mean(new):.4f}" if new else "-", night])
    titles = [
        "model",
        "AUC, day 1",
        f"AUC, day {last}",
        "AUC, all days",
        "of new items",
        "s a night",
    ]
    lines = table(titles, rows)
    if days := [run for run in runs if "export_seconds" in run]:
        best, export = (
            f"{np.mean([run[name] for run in days]):.1f}"
            for name in ("recommend_seconds", "export_seconds")
        )
        lines.append(f"\nA day's best items for all users: {best} s; its export: {export} s.")
    return lines


if __name__ == "__main__":
    main()
