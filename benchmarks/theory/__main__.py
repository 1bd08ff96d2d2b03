"""Does the generalisation gap follow the envelope radius, and do learnt centres find the interests?

    python -m benchmarks.theory radius --users 300 1000
    python -m benchmarks.theory radius --data Beauty.txt --epochs 4
    python -m benchmarks.theory capacity --users 300
    python -m benchmarks.theory tune --users 500 --seeds 100 101
    python -m benchmarks.theory recovery --users 250 1000 4000
    python -m benchmarks.theory long --users 500 --epochs 30
    python -m benchmarks.theory schematic
    python -m benchmarks.theory report

``radius``: the envelope radius is dialled by what holds the residual (shrinkage, penalty, nothing)
and by the number of centres; radius, gap and test AUC are measured after the same number of
epochs. ``capacity``: the radius is set at equal trained numbers, and these at equal radius; what
each outcome means stands in :mod:`benchmarks.theory.capacity`. ``tune``: the weight of the L2
penalty of ``long``, by validation log loss after the last epoch, on worlds of their own.
``recovery``: agreement of learnt centres, of clusters of a plain table and of graph communities
with the planted interests, and test AUC against Bayes. ``long``: the gap by epoch, without early
stopping. ``schematic``: items around their centres in two trained models. ``report``: tables and
pictures again, without a run.

Without ``--data``, a run's seed makes a world of its own, the interest-delay model: the gap is that
between its training users and 500 fresh users of the same world, whose examples also give the test
AUC. ``--data`` is a sequence file (gap: test examples less as many training examples drawn as they
were); its interests are categories from ``<name>_item2attributes.json`` beside it.

Runs land in ``<out>/<question>-<data>.json`` as they end and are not made again; tables
(README.md) and pictures are made from these files.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.runs import RunFile, command
from benchmarks.theory import capacity
from benchmarks.theory.report import draw, markdown
from benchmarks.theory.runs import (
    CENTERS,
    L2_VALUES,
    LONG,
    RESIDUALS,
    long_run,
    radius_run,
    recovery_run,
    tune_run,
)
from benchmarks.theory.schematic import schematic
from benchmarks.theory.tasks import Task, file_task, world_task
from resemb_gnn.io.atomic import write_atomically
from resemb_gnn.io.json_text import read_json
from resemb_gnn.pipeline.facts import versions

RUNS = {
    "radius": radius_run,
    "capacity": capacity.capacity_run,
    "tune": tune_run,
    "recovery": recovery_run,
    "long": long_run,
}
ARMS: dict[str, list[dict[str, Any]]] = {
    "radius": [{"residual": name, "num_centers": k} for k in CENTERS for name in RESIDUALS],
    "capacity": capacity.ARMS,
    "tune": [{"l2": value} for value in L2_VALUES],
    "recovery": [{}],
    "long": [{"embedding": name} for name in LONG],
}
EPOCHS = {"radius": 10, "capacity": 4, "tune": 30, "recovery": 20, "long": 30}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("question", choices=[*RUNS, "schematic", "report"])
    parser.add_argument("--data", help="path of a sequence file; without it, synthetic worlds")
    parser.add_argument("--users", type=int, nargs="+", default=[1000], help="users of the world")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    parser.add_argument("--epochs", type=int, help="10; capacity 4, recovery 20, tune and long 30")
    parser.add_argument("--folds", type=int, default=10, help="of the graph; 1 for none")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/theory/results"))
    options = parser.parse_args(argv)
    if options.data and options.question in ("capacity", "recovery", "schematic"):
        parser.error(f"{options.question} needs planted interests: leave --data out")
    options.out.mkdir(parents=True, exist_ok=True)
    if options.question == "schematic":
        schematic(options.out / "schematic.png", options.epochs)
        return
    if options.question != "report":
        run_all(options, command("benchmarks.theory", argv, options.data))
    draw(options.out)
    write_atomically(options.out / "README.md", markdown(options.out))


def run_all(options: argparse.Namespace, words: str) -> None:
    """Makes the runs that do not stand in the results file yet."""
    question = options.question
    path = options.out / f"{question}-{Path(options.data).stem if options.data else 'world'}.json"
    commands = read_json(path)["commands"] if path.exists() else []
    commands = [*commands, *({words} - set(commands))]
    results = RunFile(path, {"commands": commands, "versions": versions()})
    epochs = options.epochs or EPOCHS[question]
    for users in [None] if options.data else options.users:
        for seed in options.seeds:
            task: Task | None = None
            for arm in ARMS[question]:
                key = {"users": users, "seed": seed, "epochs": epochs, "folds": options.folds}
                key["arm"] = arm
                if results.holds(**key):
                    continue
                if task is None:
                    task = make_task(options, users, seed)
                results.add(key | RUNS[question](task, arm, seed, epochs))
                print(json.dumps(results.runs[-1]), flush=True)


def make_task(options: argparse.Namespace, users: int | None, seed: int) -> Task:
    if users is None:
        return file_task(Path(options.data), options.folds)
    return world_task(users, seed, options.folds)


if __name__ == "__main__":
    main()
