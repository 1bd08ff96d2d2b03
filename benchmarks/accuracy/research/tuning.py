"""The same number of tuning trials for each arm, chosen on validation alone.

    python -m benchmarks.accuracy.research.tuning --data Beauty.txt --final Sports_and_Outdoors.txt
    python -m benchmarks.accuracy.research.tuning --data kuairand:kuairand_pure --out OUT

Optuna's TPE (seed 0) searches what an arm names as `tuned` (resemb_gnn/settings/embedding.py); the
first trial is the arm's defaults (or the next one, where they are not among those in its file). A
trial trains DIN with seed 0 and is worth its best validation AUC; test examples are not scored.
With `--final`, the best three are trained on other data sets too, and the best mean of the
validation AUCs is the arm's choice, which a cell takes on every data set. Every trial stands
in OUT/ARM.json (`-` for `:`) as it ends, and a search goes on where that file ends. Arms are tuned
side by side in processes of one thread (`--jobs`, as `resemb-gnn compare` takes it); the outcome is
that of one after the other.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.accuracy.research.settings import (
    ABLATIONS,
    ARMS,
    BUDGET,
    defaults,
    finalists,
    search_of,
)
from resemb_gnn.experiment.board import Board
from resemb_gnn.experiment.capacity import bound_by_memory, jobs_by_cores
from resemb_gnn.experiment.workers import Workers
from resemb_gnn.io.json_text import read_json, write_json
from resemb_gnn.io.parts import shown_paths
from resemb_gnn.pipeline.facts import versions
from resemb_gnn.pipeline.task import Task, fit_with, read_task
from resemb_gnn.settings import CompareSettings
from resemb_gnn.settings.compare import number_of_jobs
from resemb_gnn.settings.embedding import tuned_of
from resemb_gnn.settings.setting import Range


def override(arm: str, params: dict[str, Any]) -> tuple[str, ...]:
    """The settings of a trial as `compare --override` takes them."""
    return tuple(f"{arm}.{name}={value}" for name, value in params.items())


def made_with(task: Task) -> dict[str, Any]:
    """What stands with trials on a data set."""
    try:
        optuna = metadata.version("optuna")
    except metadata.PackageNotFoundError:  # finals need none
        optuna = None
    settings = task.settings
    assert isinstance(settings, CompareSettings)
    return {
        "data": Path(shown_paths(settings.data)).name,
        "settings": settings.identity(),
        "versions": versions() | {"optuna": optuna},
    }


def train(arm: str, params: dict[str, Any], task: Task, seed: int = 0) -> dict[str, Any]:
    """A trial: its settings, validation AUC at the best epoch, and what it took."""
    settings = task.settings
    assert isinstance(settings, CompareSettings)
    own = replace(settings, override=override(arm, params)).of(arm)
    model = task.make_model(arm, own, seed)
    started = time.perf_counter()
    held = replace(task.split, test=task.split.valid)  # the test examples are not for choosing
    result = fit_with(own, model, held, seed=seed)
    return {
        "params": params,
        "valid_auc": result.valid.auc,
        "best_epoch": result.best_epoch,
        "epochs": len(result.curve),
        "seconds": time.perf_counter() - started,
    }


@dataclass(frozen=True)
class Search:
    """An arm that is tuned: its file, and the number of trials; without it, its finalists run."""

    arm: str
    path: Path
    trials: int | None = None

    def __str__(self) -> str:
        return self.arm

    def is_left(self, task: Task) -> bool:
        """Whether anything of it is still to be trained."""
        if self.trials is None:
            return bool(untried(self.path, task))
        return len(read(self.path).get("trials", [])) < self.trials


def search(task: Task, job: Search) -> None:
    """What a worker does for an arm, whose file no other one writes."""
    if job.trials is None:
        try_finalists(job.arm, job.path, task)
    else:
        tune(job.arm, job.trials, job.path, task)


def side_by_side(task: Task, jobs: list[Search], number: str, folder: Path) -> None:
    """Tunes arms in processes of their own, as many as cores and memory have room for."""
    if not jobs:
        return
    with Workers(jobs_by_cores(number, len(jobs)), folder) as workers:
        _ = task.graph  # built once, and shared
        task = workers.share(task)
        bound_by_memory(workers, task, number, lambda line: print(line, file=sys.stderr))
        with Board(len(jobs), 0, quiet=True) as board:
            for _ in workers.run(search, task, jobs, board):
                pass


def tune(arm: str, trials: int, path: Path, task: Task) -> None:
    """Searches until `trials` trials of an arm stand in its file."""
    found = read(path)
    done = found.get("trials", [])
    if len(done) >= trials:
        return
    import optuna
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # The state of the sampler is not kept: a resumed search draws from seed 0 plus its length.
    sampler = optuna.samplers.TPESampler(seed=len(done), n_startup_trials=4)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    searched = {spec.name: spec.metadata["search"] for spec in fields(CompareSettings)}
    spaces = {name: searched[name] for name in ("lr", *tuned_of(arm))}
    ranges = {
        name: FloatDistribution(values.low, values.high, log=values.log)
        if isinstance(values, Range)
        else CategoricalDistribution(values)
        for name, values in spaces.items()
    }
    for trial in done:
        params, value = trial["params"], trial["valid_auc"]
        study.add_trial(optuna.trial.create_trial(params=params, distributions=ranges, value=value))
    category = task.source.log.item_category
    first = defaults(arm, CompareSettings(), task.graph, category)
    if all(trial["params"] != first for trial in done):
        study.enqueue_trial(first)
    while len(done) < trials:
        asked = study.ask(ranges)
        done.append(train(arm, asked.params, task))
        study.tell(asked, done[-1]["valid_auc"])
        found |= {"arm": arm, **made_with(task), "trials": done}
        write_json(path, found)
        print(f"{arm}, trial {len(done)}: {done[-1]}", file=sys.stderr, flush=True)


def try_finalists(arm: str, path: Path, task: Task) -> None:
    """Trains an arm's finalists on another data set, those that have not been there yet."""
    left = untried(path, task)
    found = read(path)
    finals = {final["data"]: final for final in found.get("finals", [])}
    head = made_with(task)
    trials = finals.get(head["data"], {}).get("trials", [])
    finals[head["data"]] = head | {"trials": trials}
    for params in left:
        trials.append(train(arm, params, task))
        write_json(path, found | {"finals": list(finals.values())})
        print(f"{arm}, finalist: {trials[-1]}", file=sys.stderr, flush=True)


def untried(path: Path, task: Task) -> list[dict[str, Any]]:
    """The settings of an arm's finalists that were not trained on a task's data yet.

    Raises:
        SystemExit: if the arm's file holds too few trials.
    """
    found = read(path)
    own = Path(shown_paths(task.settings.data)).name
    finals = {final["data"]: final["trials"] for final in found.get("finals", [])}
    tried = [final["params"] for final in finals.get(own, [])]
    best = finalists(path, found.get("trials", []))
    return [trial["params"] for trial in best if trial["params"] not in tried]


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = read_json(path) if path.exists() else {}
    return found


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="as `resemb-gnn compare` takes it")
    parser.add_argument(
        "--final", nargs="+", default=[], help="other data sets, for each arm's best trials"
    )
    parser.add_argument("--arms", nargs="+", choices=ARMS)
    parser.add_argument("--trials", type=int, default=BUDGET)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/accuracy/results/tuning"))
    parser.add_argument("--jobs", type=number_of_jobs, default="auto", help="arms at a time")
    options = parser.parse_args(argv)
    arms = options.arms or [name for name in ARMS if name != "category"]
    paths = {arm: search_of(options.out, arm) for arm in arms if arm not in ABLATIONS}

    def task_on(data: str) -> Task:
        epochs = options.epochs
        return read_task(
            CompareSettings(data=data, epochs=epochs, compile=True, quiet=True, use_features=False),
            arms,
        )

    runs: list[tuple[str, int | None]] = [(options.data, options.trials)]
    for data, trials in [*runs, *((data, None) for data in options.final)]:
        task = task_on(data)
        jobs = [Search(arm, path, trials) for arm, path in paths.items()]
        side_by_side(task, [job for job in jobs if job.is_left(task)], options.jobs, options.out)


if __name__ == "__main__":
    from benchmarks.accuracy.research import tuning  # workers find what they do by this name

    tuning.main()
