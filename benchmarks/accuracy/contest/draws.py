"""The metrics of every run over drawn users: what intervals of any two arms are made of."""

from pathlib import Path

import numpy as np
import polars as pl

from resemb_gnn.experiment.predictions import predictions_path, read_predictions
from resemb_gnn.experiment.results import read_results
from resemb_gnn.experiment.run import Run
from resemb_gnn.experiment.summary import CONFIDENCE, METRICS, Difference, by_embedding
from resemb_gnn.experiment.user_intervals import DRAWS, metric_draws
from resemb_gnn.io.atomic import publish, temporary_file

FILE = "draws.npz"
Draws = dict[str, "np.ndarray"]


def keep_draws(folder: Path) -> None:
    """Writes draws.npz of a set: of each run that has predictions, under its file's name, the
    metrics of all users and of 1,000 draws of users, the same draws for every run, float32
    ``[3, 1001]``. Runs that stand there are kept.
    """
    found = read_draws(folder)
    for name, runs in by_embedding(read_results(folder / "results.json")).items():
        for run in runs:
            key = Run(name, run["seed"]).file_name
            table = predictions_path(folder, key)
            if key not in found and table.exists():
                add_draws(folder, key, read_predictions(table))


def add_draws(folder: Path, key: str, table: pl.DataFrame) -> None:
    """Puts the draws of predictions (``user``, ``label``, ``logit``) into the file, under a key."""
    found = read_draws(folder) | {key: metric_draws(table, DRAWS, seed=0).astype(np.float32)}
    with temporary_file(folder, FILE) as file:
        np.savez_compressed(file, **found)  # type: ignore[arg-type]
        publish(file, folder / FILE)


def simple_key(score: str) -> str:
    """Under which key a score of simple.py stands."""
    return f"simple {score}"


def read_draws(folder: Path) -> Draws:
    """What :func:`keep_draws` wrote; nothing if there is no file."""
    if not (folder / FILE).exists():
        return {}
    with np.load(folder / FILE) as file:
        return dict(file)


def over_users(
    draws: Draws, arm: str, other: str, metric: str, seeds: int, with_seeds: bool = False
) -> Difference | None:
    """Mean over the seeds that both have of a metric less the other's, with its 95 % interval over
    users; ``None`` if they share no seed. A simple score has no seed: it goes with all.

    ``with_seeds`` draws the seeds anew, too, with each draw of users (a bootstrap of both ways of
    a crossed table; Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 2007): for
    many seeds, of few it is too narrow.
    """
    shared = []
    for seed in range(seeds):
        one, two = (_of_seed(draws, name, seed) for name in (arm, other))
        if one is not None and two is not None:
            shared.append((one - two)[METRICS.index(metric)].astype(np.float64))
    if not shared:
        return None
    values = np.stack(shared)  # [seeds, 1 + draws]
    drawn = values[:, 1:].mean(axis=0)
    if with_seeds:
        each = np.random.default_rng(0).integers(len(values), size=(len(values), drawn.size))
        drawn = np.take_along_axis(values[:, 1:], each, axis=0).mean(axis=0)
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Difference(float(values[:, 0].mean()), float(low), float(high), len(shared))


def _of_seed(draws: Draws, name: str, seed: int) -> "np.ndarray | None":
    return draws.get(simple_key(name), draws.get(Run(name, seed).file_name))
