"""What items' attributes add on Amazon's Beauty and Sports, ranked as S3-Rec ranks.

    python -m benchmarks.accuracy.attributes --data Beauty.txt

The files of S3-Rec (Zhou et al., CIKM 2020): a line a user, and the attributes of each item beside
it, which are a feature with several values. Each user's last item tests, the one before validates.
DIN with a plain table and with ``gcn`` centres, each with and without the attributes, trained with
four negatives a positive that are drawn anew each epoch; all other settings are the library's own.
The epoch is chosen by validation AUC. The test is the rank of the held-out item among it and 99
items, drawn uniformly from those that the user never acted on, the same for every run.

Appends a line a run to attributes_NAME.json, and leaves out those that stand there: a stopped
script goes on where it ended.
"""

import argparse
import itertools
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch

from benchmarks.runs import RunFile, command
from resemb_gnn.pipeline.facts import describe_data, training_figures, versions
from resemb_gnn.pipeline.task import Task, fit_with, read_task
from resemb_gnn.settings import CompareSettings
from resemb_gnn.training import evaluate_ranking

ARMS = ("plain", "gcn")
NEGATIVES, RANKED = 4, 99


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, type=Path, help="NAME.txt, its attributes beside")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=CompareSettings.epochs)
    parser.add_argument("--arms", nargs="+", default=ARMS, choices=ARMS)
    parser.add_argument("--out", type=Path, help="where the runs go")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    name = f"attributes_{options.data.stem.lower()}.json"
    out = options.out or Path("benchmarks/accuracy/results/features") / name
    settings = CompareSettings(
        data=f"s3rec:{options.data}",
        epochs=options.epochs,
        train_negatives=NEGATIVES,
        use_category=False,  # the reader makes it of the attributes
        quiet=options.quiet,
    )
    with_features = read_task(settings, options.arms)
    ids_only = replace(settings, use_features=False)
    without = Task(ids_only, with_features.source, with_features.split)
    ranked = with_features.split.against(with_features.split.test, RANKED)
    head = {
        "command": command("benchmarks.accuracy.attributes", argv, options.data, out),
        "data": describe_data(with_features.source, with_features.split),
        "settings": {"epochs": options.epochs, "train_negatives": NEGATIVES, "ranked": RANKED},
        "versions": versions(),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    file = RunFile(out, head)
    for seed, embedding, features in itertools.product(
        range(options.seeds), options.arms, (True, False)
    ):
        key = {"embedding": embedding, "features": features, "seed": seed}
        if file.holds(**key):
            continue
        task, own = (with_features, settings) if features else (without, ids_only)
        model = task.make_model(embedding, own, seed)
        result = fit_with(own, model, task.split, seed=seed)
        ranking = evaluate_ranking(model, ranked, max_history=settings.max_history)
        file.add(key | training_figures(result) | {"ranking": asdict(ranking)})


if __name__ == "__main__":
    main()
