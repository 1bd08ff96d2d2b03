"""Does the generalisation gap follow the envelope radius, and do learnt centres find the interests?

    python benchmarks/theory.py radius --users 300 1000
    python benchmarks/theory.py radius --data Beauty.txt --epochs 4
    python benchmarks/theory.py tune --users 500 --seeds 100 101
    python benchmarks/theory.py recovery --users 250 1000 4000
    python benchmarks/theory.py long --users 500 --epochs 30
    python benchmarks/theory.py schematic
    python benchmarks/theory.py report

``radius``: the envelope radius is dialled by what holds the residual (shrinkage, penalty, nothing)
and by the number of centres; radius, gap and test AUC are measured after the same number of
epochs. ``tune``: the weight of the L2 penalty of ``long``, by validation log loss after the last
epoch, on worlds of their own. ``recovery``: agreement of learnt centres, of clusters of a plain
table and of graph communities with the planted interests, and test AUC against Bayes. ``long``: the
gap by epoch, without early stopping. ``schematic``: items around their centres in two trained
models. ``report``: tables and pictures again, without a run.

Without ``--data``, a run's seed makes a world of its own, the interest-delay model: the gap is that
between its training users and 500 fresh users of the same world, whose examples also give the test
AUC. ``--data`` is a sequence file (gap: test examples less as many training examples drawn as they
were); its interests are categories from ``<name>_item2attributes.json`` beside it.

Runs land in ``<out>/<question>-<data>.json`` as they end and are not made again; tables
(README.md) and pictures are made from these files.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from theory_report import draw, markdown
from theory_runs import (
    CENTERS,
    L2_VALUES,
    LONG,
    RESIDUALS,
    long_run,
    radius_run,
    recovery_run,
    tune_run,
)
from theory_schematic import schematic
from theory_tasks import Task, file_task, world_task

from resemb_gnn.experiment.results import versions, write_atomically

RUNS = {"radius": radius_run, "tune": tune_run, "recovery": recovery_run, "long": long_run}
ARMS: dict[str, list[dict[str, Any]]] = {
    "radius": [{"residual": name, "num_centers": k} for k in CENTERS for name in RESIDUALS],
    "tune": [{"l2": value} for value in L2_VALUES],
    "recovery": [{}],
    "long": [{"embedding": name} for name in LONG],
}
EPOCHS = {"radius": 10, "tune": 30, "recovery": 20, "long": 30}


def command(options: argparse.Namespace) -> str:
    """The command line, with the data's name alone."""
    words = [Path(word).name if word == options.data else word for word in sys.argv[1:]]
    return " ".join(["python benchmarks/theory.py", *words])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("question", choices=[*RUNS, "schematic", "report"])
    parser.add_argument("--data", help="path of a sequence file; without it, synthetic worlds")
    parser.add_argument("--users", type=int, nargs="+", default=[1000], help="users of the world")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    parser.add_argument("--epochs", type=int, help="10; recovery 20, tune and long 30")
    parser.add_argument("--folds", type=int, default=10, help="of the graph; 1 for none")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/theory"))
    options = parser.parse_args()
    if options.data and options.question in ("recovery", "schematic"):
        parser.error(f"{options.question} needs planted interests: leave --data out")
    options.out.mkdir(parents=True, exist_ok=True)
    if options.question == "schematic":
        schematic(options.out / "schematic.png")
    else:
        if options.question != "report":
            run_all(options)
        draw(options.out)
        write_atomically(options.out / "README.md", markdown(options.out))


def run_all(options: argparse.Namespace) -> None:
    """Makes the runs that do not stand in the results file yet."""
    question = options.question
    data = Path(options.data).stem if options.data else "world"
    path = options.out / f"{question}-{data}.json"
    results: dict[str, Any] = {"commands": [], "versions": versions(), "runs": []}
    if path.exists():
        results = json.loads(path.read_text())
    if command(options) not in results["commands"]:
        results["commands"].append(command(options))
    epochs = options.epochs or EPOCHS[question]
    for users in [None] if options.data else options.users:
        for seed in options.seeds:
            task: Task | None = None
            for arm in ARMS[question]:
                key = {"users": users, "seed": seed, "epochs": epochs, "folds": options.folds}
                key["arm"] = arm
                if any(key.items() <= run.items() for run in results["runs"]):
                    continue
                if task is None:
                    task = make_task(options, users, seed)
                results["runs"].append(key | RUNS[question](task, arm, seed, epochs))
                print(json.dumps(results["runs"][-1]), flush=True)
                write_atomically(path, json.dumps(results, indent=1) + "\n")


def make_task(options: argparse.Namespace, users: int, seed: int) -> Task:
    if options.data:
        return file_task(Path(options.data), options.folds)
    return world_task(users, seed, options.folds)


if __name__ == "__main__":
    main()
