"""KuaiRand with and without the tab of an exposure and the author of a video.

    python -m benchmarks.accuracy.features_kuairand --data /path/of/kuairand_pure

The trimmed files: exposures of 25 to 29 April 2022 train, the 30th validates, 1 to 8 May test. The
tab on which a video was shown is a feature of the row (behaviours of before 25 April have none,
and are history alone), its author one of the item, beside its category. Without features the same
log, split, graph and settings.

Appends a line a run to features_kuairand.json, and leaves out those that stand there: a stopped
script goes on where it ended.
"""

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import torch

import resemb_gnn as rg
from benchmarks.runs import RunFile, command
from resemb_gnn.data import Split
from resemb_gnn.datasets import DataSource
from resemb_gnn.datasets.kuairand import read_tags
from resemb_gnn.graph import NodeFeatures
from resemb_gnn.pipeline.embeddings import make_embedding
from resemb_gnn.pipeline.facts import describe_data, training_figures, versions
from resemb_gnn.settings import CompareSettings
from resemb_gnn.training import fit

# Midnights of Beijing, in UTC.
POINTS = {
    "train_from": "2022-04-24T16:00:00",
    "valid_from": "2022-04-29T16:00:00",
    "test_from": "2022-04-30T16:00:00",
}
ARMS = ("plain", "gcn")


def read_log(folder: Path) -> rg.BehaviorLog:
    """Exposures with their tab, and before them what users had watched, without one."""
    exposures = pl.concat(
        pl.read_parquet(folder / f"exposures_{part}.parquet").select(
            user="user_id", item="video_id", time="time_ms", label="is_click", tab="tab"
        )
        for part in ("val", "test")
    )
    histories = pl.read_parquet(folder / "histories.parquet").explode("positive_history")
    histories = histories.drop_nulls("positive_history").select(
        user="user_id",
        item="positive_history",
        time="last_time_ms",
        label=pl.lit(1, exposures["label"].dtype),
        tab=pl.lit(None, exposures["tab"].dtype),
    )
    rows = pl.concat([histories, exposures])
    rows = rows.with_columns(pl.col("time").cast(pl.Datetime("ms")), pl.col("item").cast(pl.String))
    tags = read_tags(folder / "items.parquet")
    rows = rows.join(tags, on="item", how="left", maintain_order="left")
    videos = pl.read_parquet(folder / "items.parquet").select(
        pl.col("video_id").cast(pl.String).alias("item"), "author_id"
    )
    return rg.BehaviorLog.from_frame(
        rows, "user", "item", "time", "category", "label", items=videos, context=["tab"]
    )


def train(log: rg.BehaviorLog, split: Split, settings: CompareSettings, **key: Any) -> rg.FitResult:
    """One run: an arm with or without features."""
    torch.manual_seed(key["seed"])
    folds = settings.folds if key["embedding"] != "plain" else None
    graph = NodeFeatures()(rg.covisit_graph(split.history, settings.window, folds=folds))
    made = make_embedding(key["embedding"], graph, settings)
    model = rg.DIN(
        made,
        item_category=log.item_category,
        features=log.features if key["features"] else None,
    )
    return fit(
        model,
        split,
        epochs=settings.epochs,
        lr=settings.lr,
        seed=key["seed"],
        progress=not settings.quiet,
    )


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, type=Path, help="folder of the trimmed files")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--arms", nargs="+", default=ARMS, choices=ARMS)
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("benchmarks/accuracy/results/features/features_kuairand.json"),
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    log = read_log(options.data)
    split = log.split(by="time", **POINTS)
    settings = CompareSettings(epochs=options.epochs, quiet=options.quiet)
    source = DataSource("kuairand-pure, trimmed", "With tab and author.", log)
    head = {
        "command": command("benchmarks.accuracy.features_kuairand", argv, options.data),
        "data": describe_data(source, split),
        "settings": {"epochs": options.epochs},
        "versions": versions(),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    file = RunFile(options.out, head)
    for seed, embedding, features in itertools.product(
        range(options.seeds), options.arms, (True, False)
    ):
        key = {"embedding": embedding, "features": features, "seed": seed}
        if file.holds(**key):
            continue
        result = train(log, split, settings, **key)
        file.add(key | training_figures(result))


if __name__ == "__main__":
    main()
