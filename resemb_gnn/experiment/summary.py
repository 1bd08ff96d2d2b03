"""The statistics of a comparison: means and spread over seeds, paired differences to one of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from resemb_gnn.settings import CompareSettings

CONFIDENCE = 0.95

METRICS = ("auc", "gauc", "logloss")
RANKING = ("hr_1", "hr_5", "hr_10", "ndcg_5", "ndcg_10", "mrr")

Results = dict[str, Any]
Run = dict[str, Any]


@dataclass(frozen=True)
class Stat:
    """Mean and standard deviation (``ddof=1``) over seeds.

    Both are NaN if a value is not finite; the deviation of a single value is NaN.
    """

    mean: float
    std: float


@dataclass(frozen=True)
class Difference:
    """Mean of paired differences, and its 95 % t-interval (NaN from a single pair)."""

    mean: float
    low: float
    high: float
    num_pairs: int


@dataclass(frozen=True)
class Row:
    """An embedding's figures over its seeds.

    Args:
        embedding: name of the embedding.
        seeds: the seeds that were run.
        test_auc: test AUC at the epoch chosen on validation.
        difference: test AUC less that of the baseline with the same seed; ``None`` for the baseline
            itself, and where no seed is shared.
        test_gauc: GAUC of the test examples.
        test_logloss: test log loss in nats.
        gap: test log loss less that of equally drawn training examples.
        valid_auc: validation AUC at the chosen epoch.
        seconds_per_epoch: training time of an epoch, evaluation not counted.
        seconds_to_best: training time up to the chosen epoch, of all stages, likewise.
        num_parameters: learnable numbers of the model (the seeds share it).
    """

    embedding: str
    seeds: tuple[int, ...]
    test_auc: Stat
    difference: Difference | None
    test_gauc: Stat
    test_logloss: Stat
    gap: Stat
    valid_auc: Stat
    seconds_per_epoch: Stat
    seconds_to_best: Stat
    num_parameters: float


@dataclass(frozen=True)
class Contrast:
    """An embedding's differences to the baseline, by metric: ``auc``, ``gauc`` and ``logloss``.

    Args:
        embedding: name of the embedding.
        over_seeds: mean over the seeds that both have, and its t-interval: what another start and
            another order of the batches would change.
        over_users: the same mean of the runs with saved predictions, and its interval over users
            (:mod:`~resemb_gnn.experiment.user_intervals`): what another sample of users would
            change; a metric is missing where there are none.
    """

    embedding: str
    over_seeds: dict[str, Difference]
    over_users: dict[str, Difference]


@dataclass(frozen=True)
class RankingRow:
    """How high an embedding's runs rank what users went on to.

    Args:
        embedding: name of the embedding.
        figures: each of :data:`RANKING` over the seeds.
        differences: each less that of the baseline with the same seed; empty for the baseline
            itself, and where no seed is shared.
    """

    embedding: str
    figures: dict[str, Stat]
    differences: dict[str, Difference]


def baseline_of(results: Results) -> str:
    """The embedding that differences are to: ``plain`` where the results do not tell."""
    return str(results.get("baseline", CompareSettings.baseline))


def summary(results: Results) -> list[Row]:
    """One row an embedding, in the order in which they first appear among the runs."""
    arms, base = by_embedding(results), baseline_of(results)
    return [_row(name, runs, _others(name, arms, base)) for name, runs in arms.items()]


def contrasts(results: Results) -> list[Contrast]:
    """One an embedding that shares a seed with the baseline."""
    arms, base = by_embedding(results), baseline_of(results)
    known = results.get("over_users", {})
    return [
        Contrast(name, found, _over_users(known.get(name, {})))
        for name, runs in arms.items()
        if (found := _differences(runs, _others(name, arms, base), "test", METRICS))
    ]


def rankings(results: Results) -> list[RankingRow]:
    """One an embedding whose runs were ranked."""
    arms = {
        name: ranked
        for name, runs in by_embedding(results).items()
        if (ranked := [run for run in runs if run.get("ranking")])
    }
    base = baseline_of(results)
    return [
        RankingRow(
            name,
            {key: describe([number(run, "ranking", key) for run in runs]) for key in RANKING},
            _differences(runs, _others(name, arms, base), "ranking", RANKING),
        )
        for name, runs in arms.items()
    ]


def seconds_to_best(run: Run) -> float:
    """Seconds of training up to the chosen epoch, of all stages; NaN if the run does not tell."""
    best, curve = number(run, "best_epoch"), run.get("curve") or []
    if not 1 <= best <= len(curve):
        return math.nan
    return math.fsum(number(epoch, "seconds") for epoch in curve[: int(best)])


def by_embedding(results: Results) -> dict[str, list[Run]]:
    """The runs of each embedding, in the order in which they stand."""
    arms: dict[str, list[Run]] = {}
    for run in results["runs"]:
        arms.setdefault(str(run["embedding"]), []).append(run)
    return arms


def several_seeds(results: Results) -> bool:
    """Whether some embedding was run with several seeds, so that figures have a deviation."""
    return any(len(runs) > 1 for runs in by_embedding(results).values())


def has_intervals(results: Results) -> bool:
    """Whether some embedding shares several seeds with the baseline, so that differences have an
    interval over them.
    """
    return any(row.difference and row.difference.num_pairs > 1 for row in summary(results))


def missing_seeds(results: Results) -> dict[str, list[int]]:
    """Seeds that some embedding was run with and another was not (a stopped comparison)."""
    arms = {name: {run["seed"] for run in runs} for name, runs in by_embedding(results).items()}
    every = set().union(*arms.values())
    return {name: sorted(every - seeds) for name, seeds in arms.items() if every - seeds}


def number(run: Run, *path: str) -> float:
    """A figure of a run, such as ``number(run, "test", "auc")``; NaN where it is not there."""
    value: Any = run
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return math.nan if value is None else float(value)


def paired_differences(runs: Sequence[Run], baseline: Sequence[Run], *path: str) -> list[float]:
    """A figure less the baseline's with the same seed, for each seed that both have."""
    base = {run["seed"]: number(run, *path) for run in baseline}
    return [number(run, *path) - base[run["seed"]] for run in runs if run["seed"] in base]


def difference(values: Sequence[float]) -> Difference:
    r"""Mean and 95 % interval :math:`\bar d \pm t_{n-1} s / \sqrt n` of paired differences."""
    from scipy import stats  # takes a second to import

    stat = describe(values)
    half = stats.t.ppf((1 + CONFIDENCE) / 2, max(len(values) - 1, 1)) * stat.std
    half = float(half / math.sqrt(len(values)))
    return Difference(stat.mean, stat.mean - half, stat.mean + half, len(values))


def describe(values: Sequence[float]) -> Stat:
    """Mean and standard deviation of a figure over seeds."""
    if not values or not np.isfinite(values).all():
        return Stat(math.nan, math.nan)
    std = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    return Stat(float(np.mean(values)), std)


def _row(name: str, runs: list[Run], baseline: list[Run]) -> Row:
    def stat(*path: str) -> Stat:
        return describe([number(run, *path) for run in runs])

    pairs = paired_differences(runs, baseline, "test", "auc")
    return Row(
        embedding=name,
        seeds=tuple(run["seed"] for run in runs),
        test_auc=stat("test", "auc"),
        difference=difference(pairs) if pairs else None,
        test_gauc=stat("test", "gauc"),
        test_logloss=stat("test", "logloss"),
        gap=stat("gap"),
        valid_auc=stat("valid", "auc"),
        seconds_per_epoch=stat("seconds_per_epoch"),
        seconds_to_best=describe([seconds_to_best(run) for run in runs]),
        num_parameters=stat("num_parameters").mean,
    )


def _others(name: str, arms: dict[str, list[Run]], baseline: str) -> list[Run]:
    """The runs of the baseline, which is compared to others alone."""
    return [] if name == baseline else arms.get(baseline, [])


def _differences(
    runs: list[Run], baseline: list[Run], part: str, keys: Sequence[str]
) -> dict[str, Difference]:
    """Differences to the baseline of some figures of a part of the runs; empty if there are
    none.
    """
    found = {key: paired_differences(runs, baseline, part, key) for key in keys}
    return {key: difference(values) for key, values in found.items() if values}


def _over_users(known: dict[str, Any]) -> dict[str, Difference]:
    """The intervals over users as results.json has them."""

    def figure(metric: str, name: str) -> float:
        return number(known, metric, name)

    return {
        key: Difference(
            figure(key, "mean"), figure(key, "low"), figure(key, "high"), int(figure(key, "seeds"))
        )
        for key in METRICS
        if math.isfinite(figure(key, "seeds"))
    }
