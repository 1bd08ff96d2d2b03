"""Embeddings compared inside one model, over seeds, on the same examples."""

import contextlib
import math
import shlex
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from resemb_gnn.datasets import DataSource
from resemb_gnn.errors import InputError
from resemb_gnn.experiment.board import Board
from resemb_gnn.experiment.capacity import bound_by_memory, jobs_by_cores
from resemb_gnn.experiment.geometry import ItemGeometry
from resemb_gnn.experiment.ranking import check_ranking
from resemb_gnn.experiment.results import (
    SCHEMA,
    read_results,
    refuse_other_settings,
    write_results,
)
from resemb_gnn.experiment.run import Run, file_name, geometry_path, make_run
from resemb_gnn.experiment.user_intervals import user_intervals
from resemb_gnn.experiment.workers import Workers
from resemb_gnn.io.atomic import write_atomically
from resemb_gnn.io.outputs import shared_folder
from resemb_gnn.pipeline.facts import describe_data, versions
from resemb_gnn.pipeline.progress import Stages
from resemb_gnn.pipeline.task import Task, read_task
from resemb_gnn.settings import CompareSettings
from resemb_gnn.training import check_device
from resemb_gnn.training.checkpoint import CheckpointFolder


def compare(
    settings: CompareSettings,
    log: Callable[[str], None] = lambda line: None,
    source: DataSource | None = None,
) -> dict[str, Any]:
    """Trains each embedding, in each click model, over each seed and writes results.json,
    results.md and report.html.

    Every arm sees the same training, validation and test examples (drawn from seed 0); a run's
    seed decides its start and the order of its batches. Runs are made side by side, as ``jobs``
    says, each on one thread, which makes their figures those of one after the other. A run lands in
    results.json as it ends, by atomic replacement; with ``resume``, runs that stand there are not
    made again, and one that was stopped goes on from its checkpoint below the folder. Several
    processes may share a folder, each with other embeddings.

    Args:
        settings: what to compare.
        log: called with a line of text on what happens.
        source: the data, if they are not to be read as the settings say.

    Returns:
        The contents of results.json.

    Raises:
        InputError: if the data or a setting cannot be used, the folder cannot be written, or it
            holds the results of another comparison (or of this one, without ``resume``).
        TrainingError: if a run's process was killed, when the others have ended.
    """
    check_device(settings.device)
    _refuse_one_file_name(settings.arms)
    folder = shared_folder(settings.out)
    path = folder / "results.json"
    _refuse_taken(folder, settings)
    if settings.tensorboard is not None:
        shared_folder(settings.tensorboard)
    task = read_task(settings, settings.embeddings, source)
    assert isinstance(task.settings, CompareSettings)
    settings = task.settings
    check_ranking(task, settings)
    log(str(task.source))
    results = new_results(task, settings)
    if source is not None:
        told = "# a call of resemb_gnn.compare, with what these flags say"
        results["command"] = f"{told}\n{results['command']}"
    threads = results["settings"]["threads"] = 1
    if settings.replace:
        _remove(folder)
    if path.exists():
        old = read_results(path)
        if _is_count(old["settings"].get("threads")):  # one of before goes on as it began
            threads = results["settings"]["threads"] = old["settings"]["threads"]
        refuse_other_settings(path, old, results)
        results["runs"] = old["runs"]
        _refuse_other_overrides(path, results["runs"], settings)
    done = {(run["embedding"], run["seed"]) for run in results["runs"]}
    # Seed by seed, so that a stopped comparison still compares like with like.
    runs = [Run(name, seed) for seed in range(settings.seeds) for name in settings.arms]
    todo = [run for run in runs if (run.arm, run.seed) not in done]
    if todo:  # a finished comparison is only reported again
        number = jobs_by_cores(settings.jobs, len(todo), threads, settings.device)
        with Workers(number, folder, threads) as workers:
            log(str(task))
            task = workers.share(task)
            bound_by_memory(workers, task, settings.jobs, log)
            with Board(len(runs), len(runs) - len(todo), settings.quiet) as board:
                for run, record in workers.run(make_run, task, todo, board):
                    _keep(path, results, runs, record)
                    _forget_checkpoints(run, folder)
                    if number > 1:
                        _longest_first(todo, results)
                    board.aside(log, _told(run, record))
    over_users = user_intervals(results, folder)
    if over_users:
        _take_runs(path, results)
        results["over_users"] = over_users
        write_results(path, results)
    from resemb_gnn.experiment.report.text import (  # matplotlib takes a second to import
        html,
        markdown,
    )

    write_atomically(folder / "results.md", markdown(results))
    with Stages(1, settings.quiet) as stages:
        page = stages.run("report", lambda: html(results, _geometries(folder, settings)))
    write_atomically(folder / "report.html", page)
    return results


def _refuse_one_file_name(arms: Iterable[str]) -> None:
    """Refuses arms whose predictions, checkpoints and pictures would be taken for each other's.

    Raises:
        InputError: naming two of them.
    """
    known: dict[str, str] = {}
    for arm in arms:
        other = known.setdefault(file_name(arm), arm)
        if other != arm:
            raise InputError(
                f"{other} and {arm} would write the same files, {file_name(arm)}: give what is"
                " your own another name"
            )


def _refuse_taken(folder: Path, settings: CompareSettings) -> None:
    """Refuses to write over what is in the folder, unless a comparison that stands there goes on,
    or is to be replaced.

    Raises:
        InputError: naming what is there.
    """
    ours = [folder / name for name in ("results.json", "checkpoints")]
    taken = [path for path in ours if path.exists()]
    if taken and not (settings.resume or settings.replace):
        raise InputError(
            f"{taken[0]} exists: add --resume to go on with it, --replace to begin anew, or choose"
            " another --out"
        )
    for name in ("results.md", "report.html", "geometry", "predictions"):
        if not taken and (folder / name).exists():
            raise InputError(f"{folder / name} exists, of no comparison: choose another --out")


def _keep(path: Path, results: dict[str, Any], runs: list[Run], record: dict[str, Any]) -> None:
    """Puts a run into results.json where it would stand if all had been made one by one."""
    _take_runs(path, results)
    place = {(run.arm, run.seed): number for number, run in enumerate(runs)}
    own = place[record["embedding"], record["seed"]]
    kept = results["runs"]
    later = (
        number
        for number, run in enumerate(kept)
        if place.get((run["embedding"], run["seed"]), -1) > own
    )
    kept.insert(next(later, len(kept)), record)
    write_results(path, results)


def _take_runs(path: Path, results: dict[str, Any]) -> None:
    """The runs of the file: another process may have put some there meanwhile."""
    if path.exists():
        results["runs"] = read_results(path)["runs"]


def _forget_checkpoints(run: Run, folder: Path) -> None:
    CheckpointFolder(run.checkpoints(folder)).remove()
    with contextlib.suppress(OSError):  # that of another run is there
        (folder / "checkpoints").rmdir()


def _longest_first(todo: list[Run], results: dict[str, Any]) -> None:
    """Puts, of each seed, what took longest with the seeds before to the front: a long run that
    begins last would be waited for alone.
    """
    seconds = {
        run["embedding"]: run["seconds_per_epoch"] * run["epochs"] for run in results["runs"]
    }
    todo.sort(key=lambda run: (run.seed, -seconds.get(run.arm, math.inf)))


def _told(run: Run, record: dict[str, Any]) -> str:
    return (
        f"{run}: test AUC {record['test']['auc']:.4f}, best epoch {record['best_epoch']} of"
        f" {record['epochs']}, {record['examples_per_second']:,.0f} examples/s"
    )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _remove(folder: Path) -> None:
    """Removes a comparison, and nothing else that lies beside it."""
    for name in ("results.json", "results.md", "report.html"):
        (folder / name).unlink(missing_ok=True)
    for path in (folder / "geometry").glob("*.npz"):
        path.unlink()
    for path in (folder / "predictions").glob("*.parquet"):
        path.unlink()
    for path in (folder / "checkpoints").glob("*"):
        CheckpointFolder(path).remove()
    for name in ("geometry", "predictions", "checkpoints"):
        with contextlib.suppress(OSError):  # something else is there, or it is not there
            (folder / name).rmdir()


def new_results(task: Task, settings: CompareSettings) -> dict[str, Any]:
    """The contents of results.json before the first run."""
    return {
        "schema": SCHEMA,
        "data": describe_data(task.source, task.split),
        "settings": settings.identity() | {"threads": torch.get_num_threads()},
        "baseline": settings.baseline_arm,
        "runs": [],
        "versions": versions(),
        "command": command(settings),
    }


def command(settings: CompareSettings) -> str:
    """The command line that makes this comparison; settings at their defaults are left out, but for
    the data, which the command line asks for.
    """
    words = ["resemb-gnn", "compare"]
    defaults = asdict(CompareSettings())
    for name, value in asdict(settings).items():
        unsaid = name in ("resume", "replace", "quiet", "tensorboard", "jobs", "cache")
        if unsaid or (value == defaults[name] and name != "data"):
            continue
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            words += [f"--{flag}", *(map(str, value) if isinstance(value, tuple) else [str(value)])]
    return shlex.join(words)


def _refuse_other_overrides(
    path: Path, runs: list[dict[str, Any]], settings: CompareSettings
) -> None:
    for run in runs:
        name, before = run["embedding"], run.get("overrides", {})
        if name in settings.arms and before != settings.overrides(settings.arms[name][0]):
            raise InputError(
                f"{path} holds a run of {name} with overrides {before}, not"
                f" {settings.overrides(settings.arms[name][0])}"
            )


def _geometries(folder: Path, settings: CompareSettings) -> dict[str, ItemGeometry]:
    paths = {name: geometry_path(folder, name) for name in settings.arms}
    return {name: ItemGeometry.load(path) for name, path in paths.items() if path.exists()}
