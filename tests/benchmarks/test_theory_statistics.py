"""The rank correlations of benchmarks/theory, against SciPy."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import scipy.stats

from benchmarks.theory import statistics
from benchmarks.theory.tasks import categories
from resemb_gnn import BehaviorLog


@pytest.fixture
def runs() -> list[dict[str, Any]]:
    """Three seeds of four residuals and three numbers of centres; more centres, less gap."""
    rng = np.random.default_rng(0)
    return [
        {
            "seed": seed,
            "arm": {"residual": residual, "num_centers": centers},
            "rms": seed + residual + centers / 100,
            "gap": residual - centers / 100 + rng.normal(scale=0.3),
        }
        for seed in range(3)
        for residual in range(4)
        for centers in (8, 32, 64)
    ]


def test_pooled_is_scipys_bootstrap(runs: list[dict[str, Any]]) -> None:
    found = statistics.pooled(runs, "gap")
    pair = [np.array([run[name] for run in runs]) for name in ("rms", "gap")]
    assert found.value == pytest.approx(scipy.stats.spearmanr(*pair).statistic)
    other = scipy.stats.bootstrap(
        pair,
        lambda x, y: scipy.stats.spearmanr(x, y).statistic,
        paired=True,
        vectorized=False,
        method="percentile",
        n_resamples=2000,
        rng=1,
    ).confidence_interval
    assert found.low == pytest.approx(other.low, abs=0.04)
    assert found.high == pytest.approx(other.high, abs=0.04)
    assert str(found) == f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


def test_by_seed_is_the_mean_over_seeds(runs: list[dict[str, Any]]) -> None:
    each = []
    for seed in range(3):
        some = [(run["rms"], run["gap"]) for run in runs if run["seed"] == seed]
        each.append(scipy.stats.spearmanr(some).statistic)
    expected = scipy.stats.ttest_1samp(each, 0).confidence_interval()
    found = statistics.by_seed(runs, "gap")
    assert found.value == pytest.approx(np.mean(each))
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.value > statistics.spearman(runs, "gap") + 0.05  # seeds differ in radius alone
    assert math.isnan(statistics.mean([0.5]).low)


def test_partial_correlation_is_that_of_the_residuals_of_least_squares(
    runs: list[dict[str, Any]],
) -> None:
    given = ("seed", "num_centers")  # measured, and set by the arm
    columns = [[run["rms"] for run in runs], [run["gap"] for run in runs]]
    controls = [[run["seed"] for run in runs], [run["arm"]["num_centers"] for run in runs]]
    for number in (1, 2):
        ranks = [scipy.stats.rankdata(each) for each in controls[:number]]
        design = np.column_stack([np.ones(len(runs)), *ranks])
        left = []
        for column in columns:
            rank = scipy.stats.rankdata(column)
            left.append(rank - design @ np.linalg.lstsq(design, rank)[0])
        expected = scipy.stats.pearsonr(*left).statistic
        assert abs(expected - statistics.spearman(runs, "gap")) > 0.05
        found = statistics.pooled(runs, "gap", "rms", *given[:number])
        assert found.value == pytest.approx(expected)
        assert found.low < expected < found.high
    each = [
        statistics.spearman([run for run in runs if run["seed"] == seed], "gap", "rms", given[1])
        for seed in range(3)
    ]
    assert statistics.by_seed(runs, "gap", "rms", given[1]).value == pytest.approx(np.mean(each))


def test_a_seed_that_is_explained_already_has_no_partial_correlation(
    runs: list[dict[str, Any]],
) -> None:
    same = [run | {"share": run["gap"] if run["seed"] == 0 else run["rms"] ** 2} for run in runs]
    same = [run | {"rms": run["rms"] + run["gap"]} for run in same]
    assert math.isnan(statistics.spearman(same[:12], "gap", "rms", "share"))
    rest = [statistics.spearman(same[i : i + 12], "gap", "rms", "share") for i in (12, 24)]
    found = statistics.by_seed(same, "gap", "rms", "share")
    assert found.value == pytest.approx(np.mean(rest))


def test_one_dial_at_a_time(runs: list[dict[str, Any]]) -> None:
    residual = statistics.by_dial(runs, "gap", "residual")
    assert len(residual) == 3 * 3
    assert min(residual) > 0.5
    exact = [run | {"gap": -run["arm"]["num_centers"]} for run in runs]
    assert statistics.by_dial(exact, "gap", "num_centers") == pytest.approx([-1.0] * (3 * 4))
    assert statistics.by_dial(runs[:2], "gap", "num_centers") == []  # no correlation of two


def test_categories_are_the_most_frequent_rare_attributes(
    tmp_path: Path,
) -> None:
    attributes = {"1": [5, 7], "2": [5, 7, 8], "3": [5, 8], "4": [5], "5": [9, 8]}
    (tmp_path / "small_item2attributes.json").write_text(json.dumps(attributes))
    rows = {"user_id": [0] * 6, "item_id": [1, 2, 3, 4, 5, 6], "t": range(6)}
    log = BehaviorLog.from_frame(pl.DataFrame(rows), "user_id", "item_id", "t")
    found = categories(tmp_path / "small.txt", log)
    # Attribute 5 is held by most items, 7 by two, 8 by three of six: not fewer than half.
    of = dict(zip(log.item_ids.to_list(), found.tolist(), strict=True))
    assert of[1] == of[2]
    assert of[3] == of[4] == of[6]
    assert len({of[1], of[3], of[5]}) == 3
