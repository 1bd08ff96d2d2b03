"""Rank correlation of the radius with what was measured, and its intervals."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata, spearmanr

from resemb_gnn.experiment.summary import difference

DRAWS = 5000  # of the bootstrap
Runs = list[dict[str, Any]]
T = TypeVar("T")


class Estimate(NamedTuple):
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def spearman(runs: Runs, measure: str, radius: str = "rms") -> float:
    x, y = _columns(runs, measure, radius)
    return float(spearmanr(x, y).statistic)


def pooled(runs: Runs, measure: str, radius: str = "rms") -> Estimate:
    """Spearman's correlation over all runs (configuration times seed), with the percentile
    bootstrap over runs.
    """
    x, y = _columns(runs, measure, radius)
    drawn = np.random.default_rng(0).integers(len(runs), size=(DRAWS, len(runs)))
    ranks = [rankdata(column[drawn], axis=1) for column in (x, y)]
    u, v = (rank - rank.mean(axis=1, keepdims=True) for rank in ranks)
    with np.errstate(invalid="ignore"):  # a draw of one run alone has no correlation
        rho = (u * v).sum(axis=1) / np.sqrt((u**2).sum(axis=1) * (v**2).sum(axis=1))
    low, high = np.nanpercentile(rho, [2.5, 97.5])
    return Estimate(spearman(runs, measure, radius), float(low), float(high))


def by_seed(runs: Runs, measure: str, radius: str = "rms") -> Estimate:
    """Spearman's correlation over the configurations of each seed (each world), averaged, with a
    t-interval over seeds.
    """
    return mean([spearman(some, measure, radius) for some in group(runs, lambda r: r["seed"])])


def by_dial(runs: Runs, measure: str, dial: str) -> list[float]:
    """Spearman's correlations where one dial alone is turned: one for each seed and setting of the
    other dial, of three settings or more.
    """

    def rest(run: dict[str, Any]) -> Any:
        return run["seed"], [value for name, value in run["arm"].items() if name != dial]

    return [spearman(some, measure) for some in group(runs, rest) if len(some) > 2]


def mean(values: list[float]) -> Estimate:
    """Mean with its 95 % t-interval (NaN for a single value)."""
    found = difference(values)
    return Estimate(found.mean, found.low, found.high)


def group(runs: list[T], key: Callable[[T], Any]) -> list[list[T]]:
    """Runs with equal keys together, in order of the keys' first appearance."""
    groups: dict[str, list[T]] = {}
    for run in runs:
        groups.setdefault(repr(key(run)), []).append(run)
    return list(groups.values())


def _columns(runs: Runs, measure: str, radius: str) -> list[NDArray[np.float64]]:
    return [np.array([run[name] for run in runs], dtype=float) for name in (radius, measure)]
