"""Embeddings compared inside one model, over seeds, on the same examples."""

import contextlib
import shlex
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeGuard

import torch
from torch import nn

from resemb_gnn.data import Examples, Split
from resemb_gnn.errors import InputError
from resemb_gnn.experiment.geometry import ItemGeometry, item_geometry
from resemb_gnn.experiment.results import (
    SCHEMA,
    read_results,
    refuse_other_settings,
    write_results,
)
from resemb_gnn.io.atomic import write_atomically
from resemb_gnn.io.outputs import shared_folder
from resemb_gnn.io.paths import expanded
from resemb_gnn.nn import ResEmbedding
from resemb_gnn.pipeline.facts import describe_data, training_figures, versions
from resemb_gnn.pipeline.progress import Stages
from resemb_gnn.pipeline.task import Task, fit_with, read_task
from resemb_gnn.pipeline.tensorboard import TensorBoard
from resemb_gnn.settings import CompareSettings
from resemb_gnn.theory import GapCurve
from resemb_gnn.training import FitResult, check_device, evaluate
from resemb_gnn.training.checkpoint import CheckpointFolder

RARE = 3  # training behaviours


def compare(
    settings: CompareSettings, log: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """Trains each embedding over each seed and writes results.json, results.md and report.html.

    Every arm sees the same training, validation and test examples (drawn from seed 0); a run's
    seed decides its start and the order of its batches. A run lands in results.json as it ends,
    by atomic replacement; with ``resume``, runs that stand there are not made again, and one that
    was stopped goes on from its checkpoint below the folder. Several processes may share a folder,
    each with other embeddings.

    Args:
        settings: what to compare.
        log: called with a line of text on what happens.

    Returns:
        The contents of results.json.

    Raises:
        InputError: if the data or a setting cannot be used, the folder cannot be written, or it
            holds the results of another comparison (or of this one, without ``resume``).
    """
    check_device(settings.device)
    folder = shared_folder(settings.out)
    path = folder / "results.json"
    stopped = folder / "checkpoints"
    _refuse_taken(folder, settings)
    if settings.tensorboard is not None:
        shared_folder(settings.tensorboard)
    task = read_task(settings, settings.embeddings)
    split = task.split
    log(f"{task.source.name}: {task.source.log}")
    results = new_results(task, settings)
    if settings.replace:
        _remove(folder)
    if path.exists():
        old = read_results(path)
        refuse_other_settings(path, old, results)
        results["runs"] = old["runs"]
        _refuse_other_overrides(path, results["runs"], settings)
    done = {(run["embedding"], run["seed"]) for run in results["runs"]}
    # Seed by seed, so that a stopped comparison still compares like with like.
    pairs = [(seed, name) for seed in range(settings.seeds) for name in settings.embeddings]
    todo = [(seed, name) for seed, name in pairs if (name, seed) not in done]
    if todo:  # a finished comparison is only reported again
        log(str(task))
    for seed, name in todo:
        own = settings.of(name)
        model = task.make_model(name, own, seed)
        gaps = GapCurve(model, split.train_sample, max_history=settings.max_history)
        result = fit_with(
            own,
            model,
            split,
            seed=seed,
            on_epoch=_on_epoch(settings, f"{file_name(name)}-{seed}", gaps),
            checkpoints=stopped / f"{file_name(name)}-{seed}",
            resume=settings.resume,
        )
        if seed == 0 and _has_geometry(model.embedding):
            (folder / "geometry").mkdir(parents=True, exist_ok=True)
            item_geometry(model.embedding.cpu(), count=task.graph.count).save(
                _geometry_path(folder, name)
            )
        overrides = settings.overrides(name)
        record = run_record(name, settings.model, seed, overrides, result)
        record["test_rare"] = _rare_metrics(result.model, split, settings)
        for epoch, gap in zip(record["curve"], gaps.gaps, strict=True):
            epoch["gap"] = gap.logloss
        if path.exists():  # another process may have put runs there meanwhile
            results["runs"] = read_results(path)["runs"]
        results["runs"].append(record)
        write_results(path, results)
        CheckpointFolder(stopped / f"{file_name(name)}-{seed}").remove()
        with contextlib.suppress(OSError):  # that of another run is there
            stopped.rmdir()
        log(
            f"{name}, seed {seed}: test AUC {result.test.auc:.4f},"
            f" best epoch {result.best_epoch} of {len(result.curve)},"
            f" {result.examples_per_second:,.0f} examples/s"
        )
    from resemb_gnn.experiment.report.text import (  # matplotlib takes a second to import
        html,
        markdown,
    )

    write_atomically(folder / "results.md", markdown(results))
    with Stages(1, settings.quiet) as stages:
        page = stages.run("report", lambda: html(results, _geometries(folder, settings)))
    write_atomically(folder / "report.html", page)
    return results


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
    for name in ("results.md", "report.html", "geometry"):
        if not taken and (folder / name).exists():
            raise InputError(f"{folder / name} exists, of no comparison: choose another --out")


def _remove(folder: Path) -> None:
    """Removes a comparison, and nothing else that lies beside it."""
    for name in ("results.json", "results.md", "report.html"):
        (folder / name).unlink(missing_ok=True)
    for path in (folder / "geometry").glob("*.npz"):
        path.unlink()
    for path in (folder / "checkpoints").glob("*"):
        CheckpointFolder(path).remove()
    for name in ("geometry", "checkpoints"):
        with contextlib.suppress(OSError):  # something else is there, or it is not there
            (folder / name).rmdir()


def _on_epoch(settings: CompareSettings, run: str, gaps: GapCurve) -> GapCurve | TensorBoard:
    if settings.tensorboard is None:
        return gaps
    return TensorBoard(expanded(settings.tensorboard) / run, gaps)


def new_results(task: Task, settings: CompareSettings) -> dict[str, Any]:
    """The contents of results.json before the first run."""
    return {
        "schema": SCHEMA,
        "data": describe_data(task.source, task.split),
        "settings": settings.identity() | {"threads": torch.get_num_threads()},
        "runs": [],
        "versions": versions(),
        "command": command(settings),
    }


def command(settings: CompareSettings) -> str:
    """The command line that makes this comparison; settings at their defaults are left out."""
    words = ["resemb-gnn", "compare"]
    defaults = asdict(CompareSettings())
    for name, value in asdict(settings).items():
        if name in ("resume", "replace", "quiet", "tensorboard") or value == defaults[name]:
            continue
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            words += [f"--{flag}", *(map(str, value) if isinstance(value, tuple) else [str(value)])]
    return shlex.join(words)


def run_record(
    embedding: str, model: str, seed: int, overrides: dict[str, Any], result: FitResult
) -> dict[str, Any]:
    """What results.json says of a run."""
    return {
        "embedding": embedding,
        "model": model,
        "seed": seed,
        "overrides": overrides,
        **training_figures(result),
        "examples_per_second": result.examples_per_second,
        "curve": [asdict(epoch) for epoch in result.curve],
    }


def file_name(embedding: str) -> str:
    """An embedding's name as a part of a file's name, which must not hold a colon everywhere."""
    return embedding.replace(":", "-")


def rare_targets(split: Split) -> Examples:
    """The test examples whose candidate has at most ``RARE`` training behaviours."""
    history = split.history
    count = history.items.bincount(minlength=history.num_items)
    return split.test[count[split.test.target] <= RARE]


def _rare_metrics(
    model: nn.Module, split: Split, settings: CompareSettings
) -> dict[str, float] | None:
    """AUC and log loss on them; ``None`` if they have one label only."""
    examples = rare_targets(split)
    if examples.label.unique().numel() < 2:  # no AUC
        return None
    device = torch.device(settings.device)
    found = evaluate(model, examples.to(device), max_history=settings.max_history)
    # No GAUC: hardly a user has both a rare positive and a rare negative.
    return {"auc": found.auc, "logloss": found.logloss, "examples": len(examples)}


def _refuse_other_overrides(
    path: Path, runs: list[dict[str, Any]], settings: CompareSettings
) -> None:
    for run in runs:
        name, before = run["embedding"], run.get("overrides", {})
        if name in settings.embeddings and before != settings.overrides(name):
            raise InputError(
                f"{path} holds a run of {name} with overrides {before}, not"
                f" {settings.overrides(name)}"
            )


def _has_geometry(embedding: nn.Module) -> TypeGuard[ResEmbedding]:
    """Whether items have learnt centres whose weights are shares."""
    return (
        isinstance(embedding, ResEmbedding)
        and embedding.centers.requires_grad
        and embedding.encoder.normalize.normalization != "signed"
    )


def _geometry_path(folder: Path, embedding: str) -> Path:
    return folder / "geometry" / f"{file_name(embedding)}.npz"


def _geometries(folder: Path, settings: CompareSettings) -> dict[str, ItemGeometry]:
    paths = {name: _geometry_path(folder, name) for name in settings.embeddings}
    return {name: ItemGeometry.load(path) for name, path in paths.items() if path.exists()}
