"""Rank correlation of the radius with what was measured, and its intervals."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

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


def spearman(runs: Runs, measure: str, radius: str = "rms", *given: str) -> float:
    """Spearman's correlation of two figures of the runs; with more, the partial one given these."""
    columns = _columns(runs, radius, measure, *given)
    return float(_correlation(*(rankdata(column) for column in columns)))


def pooled(runs: Runs, measure: str, radius: str = "rms", *given: str) -> Estimate:
    """Spearman's correlation over all runs (configuration times seed), with the percentile
    bootstrap over runs; the partial one if figures are ``given``.
    """
    value = spearman(runs, measure, radius, *given)
    if math.isnan(value):
        return Estimate(value, value, value)
    drawn = np.random.default_rng(0).integers(len(runs), size=(DRAWS, len(runs)))
    columns = _columns(runs, radius, measure, *given)
    rho = _correlation(*(rankdata(column[drawn], axis=1) for column in columns))
    low, high = np.nanpercentile(rho, [2.5, 97.5])
    return Estimate(value, float(low), float(high))


def by_seed(runs: Runs, measure: str, radius: str = "rms", *given: str) -> Estimate:
    """Spearman's correlation over the configurations of each seed (each world), averaged, with a
    t-interval over seeds; the partial one if figures are ``given``. A seed of which these leave
    nothing to correlate is left out.
    """
    some = group(runs, lambda run: run["seed"])
    found = [spearman(each, measure, radius, *given) for each in some]
    return mean([rho for rho in found if not math.isnan(rho)])


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


def _columns(runs: Runs, *names: str) -> list[NDArray[np.float64]]:
    return [np.array([_figure(run, name) for run in runs], dtype=float) for name in names]


def _figure(run: dict[str, Any], name: str) -> Any:
    """A figure that was measured, or a number that the arm sets."""
    return run[name] if name in run else run["arm"][name]


def _correlation(*columns: NDArray[np.float64]) -> NDArray[np.float64]:
    r"""Correlation of the first two columns given the others, over the last axis.

    .. math::
        r_{xy \cdot zW} = \frac{r_{xy \cdot W} - r_{xz \cdot W}\, r_{yz \cdot W}}
                              {\sqrt{(1 - r_{xz \cdot W}^2) (1 - r_{yz \cdot W}^2)}}

    NaN where a column is constant (a bootstrap draw of one run alone), or ranks the runs as a given
    one does.
    """
    x, y, *given = columns
    with np.errstate(invalid="ignore", divide="ignore"):
        if not given:
            u, v = (each - each.mean(axis=-1, keepdims=True) for each in (x, y))
            found = (u * v).sum(axis=-1) / np.sqrt((u**2).sum(axis=-1) * (v**2).sum(axis=-1))
        else:
            z, *rest = given
            xy, xz, yz = (_correlation(*pair, *rest) for pair in ((x, y), (x, z), (y, z)))
            left = (1 - xz**2) * (1 - yz**2)
            # Below this, what is left is rounding.
            found = (xy - xz * yz) / np.sqrt(np.where(left > 1e-12, left, np.nan))
    return np.asarray(found)
