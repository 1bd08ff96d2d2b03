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
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

import resemb_gnn as rg
from benchmarks.runs import FIRST_FIT, RunFile, command
from resemb_gnn.data import Features, FeatureTable, Split
from resemb_gnn.datasets import DataSource, load_source
from resemb_gnn.graph import NodeFeatures
from resemb_gnn.pipeline.embeddings import make_embedding
from resemb_gnn.pipeline.facts import describe_data, training_figures, versions
from resemb_gnn.settings import CompareSettings
from resemb_gnn.training import fit

ARMS = ("plain", "gcn")


def read(folder: Path) -> tuple[DataSource, Split]:
    """The log with these two features alone, and its examples."""
    source = load_source(f"kuairand:{folder}")
    known = source.log.features
    assert known is not None
    assert known.items is not None
    assert known.context is not None
    features = Features(
        items=FeatureTable({"author_id": known.items.features["author_id"]}),
        context=FeatureTable({"tab": known.context.features["tab"]}),
    )
    source = replace(source, log=replace(source.log, features=features))
    return source, source.make_split()


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
        attention_normalization="none",
    )
    return fit(
        model,
        split,
        epochs=settings.epochs,
        seed=key["seed"],
        progress=not settings.quiet,
        **FIRST_FIT,
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
    source, split = read(options.data)
    settings = CompareSettings(epochs=options.epochs, quiet=options.quiet)
    head = {
        "command": command(
            "benchmarks.accuracy.features_kuairand", argv, options.data, options.out
        ),
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
        result = train(source.log, split, settings, **key)
        file.add(key | training_figures(result))


if __name__ == "__main__":
    main()
