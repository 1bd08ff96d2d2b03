"""How far a comparison's differences depend on the users that tested."""

from pathlib import Path

import numpy as np
import polars as pl

from resemb_gnn.errors import InputError
from resemb_gnn.experiment.predictions import predictions_path, read_predictions
from resemb_gnn.experiment.run import Run
from resemb_gnn.experiment.summary import (
    CONFIDENCE,
    METRICS,
    Results,
    baseline_of,
    by_embedding,
)
from resemb_gnn.training.metrics import WeightedAuc, user_aucs

DRAWS = 1000
_AT_ONCE = 64  # draws whose weights of examples are in memory


def user_intervals(
    results: Results, folder: Path, draws: int = DRAWS, seed: int = 0
) -> dict[str, dict[str, dict[str, float]]]:
    """Intervals of each arm's differences to the baseline over users: the cluster bootstrap (Efron
    and Tibshirani, 1993; by clusters Field and Welsh, JRSS B 2007).

    Users are drawn with replacement, as many as there are, each with all of its test examples. The
    difference of a draw is the mean over the seeds that both have of metric less metric; the seeds
    are held fixed. The interval is from the 2.5 % to the 97.5 % quantile of ``draws`` draws, the
    same ones for every arm.

    Args:
        results: contents of results.json.
        folder: the comparison's; runs without a file of predictions in it are left out.
        draws: how often users are drawn.
        seed: seed of the draws.

    Returns:
        By embedding and metric (``auc``, ``gauc``, ``logloss``): ``mean`` (the difference of all
        users), ``low``, ``high`` and ``seeds`` (how many); empty where nothing is shared with
        the baseline.

    Raises:
        InputError: if a file is damaged, or not of the examples that the others are of.
    """
    seeds = {
        name: [
            run["seed"]
            for run in runs
            if predictions_path(folder, Run(name, run["seed"]).file_name).exists()
        ]
        for name, runs in by_embedding(results).items()
    }
    baseline = baseline_of(results)
    base = seeds.pop(baseline, [])
    shared = {name: [one for one in own if one in base] for name, own in seeds.items()}
    needed = [Run(baseline, one) for one in base if any(one in own for own in shared.values())]
    needed += [Run(name, one) for name, own in shared.items() for one in own]
    drawn: dict[Run, np.ndarray] = {}  # in the first column the metrics of all users
    examples: pl.DataFrame | None = None
    for run in needed:
        path = predictions_path(folder, run.file_name)
        table = read_predictions(path)
        examples = table if examples is None else examples
        if not table.select("user", "item", "label").equals(
            examples.select("user", "item", "label")
        ):
            raise InputError(f"{path} is not of the examples that {baseline} was tested on")
        drawn[run] = metric_draws(table, draws, seed)
    found = {}
    for name, own in shared.items():
        if own:
            differences = np.mean(
                [drawn[Run(name, one)] - drawn[Run(baseline, one)] for one in own], axis=0
            )
            found[name] = {
                metric: {"mean": float(values[0])} | _interval(values[1:]) | {"seeds": len(own)}
                for metric, values in zip(METRICS, differences, strict=True)
            }
    return found


def metric_draws(table: pl.DataFrame, draws: int, seed: int) -> "np.ndarray":
    """AUC, GAUC and log loss of all users' examples and of those of drawn users, float64
    ``[3, 1 + draws]``; NaN where a draw has one label alone.

    Args:
        table: columns ``user``, ``label`` and ``logit``.
        draws: how often users are drawn.
        seed: seed of the draws.
    """
    codes = table["user"].rank("dense").cast(pl.Int64) - 1
    parts = [table["logit"].cast(pl.Float64), table["label"], codes]
    logit, label, user = (part.to_numpy() for part in parts)
    size = np.bincount(user)
    area = WeightedAuc(logit, label)
    own, users = user_aucs(*(part.to_torch() for part in parts))
    loss = np.bincount(user, np.logaddexp(0, logit) - logit * label)
    rng = np.random.default_rng(seed)
    alike = np.full(size.size, 1 / size.size)
    out = np.empty((len(METRICS), 1 + draws))
    for start in range(0, 1 + draws, _AT_ONCE):
        part = slice(start, min(start + _AT_ONCE, 1 + draws))
        picked = rng.multinomial(size.size, alike, size=part.stop - start).astype(np.float64)
        if not start:
            picked[0] = 1  # each user once
        out[0, part] = [area(weight[user]) for weight in picked]
        with np.errstate(invalid="ignore"):
            out[1, part] = picked[:, users] @ (own * size[users]) / (picked[:, users] @ size[users])
        out[2, part] = picked @ loss / (picked @ size)
    return out


def _interval(values: "np.ndarray") -> dict[str, float]:
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return {"low": float(low), "high": float(high)}
