import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from resemb_gnn.experiment.summary import (
    Difference,
    Row,
    contrasts,
    describe,
    difference,
    missing_seeds,
    rankings,
    summary,
)


def frame_of(results: dict[str, Any]) -> pd.DataFrame:
    return pd.json_normalize(results["runs"])


def test_means_and_deviations_against_pandas(make_results: Callable) -> None:
    results = make_results(("gcn", "plain", "average"), seeds=4)
    rows = summary(results)
    assert [row.embedding for row in rows] == ["gcn", "plain", "average"]
    groups = frame_of(results).groupby("embedding")
    columns = {
        "test_auc": "test.auc",
        "test_gauc": "test.gauc",
        "test_logloss": "test.logloss",
        "valid_auc": "valid.auc",
        "gap": "gap",
        "seconds_per_epoch": "seconds_per_epoch",
    }
    for row in rows:
        group = groups.get_group(row.embedding)
        for field, column in columns.items():
            stat = getattr(row, field)
            assert stat.mean == pytest.approx(group[column].mean())
            assert stat.std == pytest.approx(group[column].std())
        assert row.num_parameters == group["num_parameters"].iloc[0]
        assert row.seconds_to_best.mean == pytest.approx(3.1 * group["best_epoch"].mean())
        assert row.seeds == (0, 1, 2, 3)


@given(
    st.lists(st.tuples(st.sampled_from(["plain", "gcn", "gat"]), st.integers(0, 5)), unique=True)
)
@settings(max_examples=60, deadline=None)
def test_differences_pair_the_seeds(make_results: Callable, kept: list[tuple[str, int]]) -> None:
    """Any subset of the runs, in any order."""
    results = make_results(("plain", "gcn", "gat"), seeds=6)
    runs = {(run["embedding"], run["seed"]): run for run in results["runs"]}
    results["runs"] = [runs[key] for key in kept]
    rows: dict[str, Row] = {row.embedding: row for row in summary(results)}
    assert list(rows) == list(dict.fromkeys(name for name, _ in kept))
    for name, row in rows.items():
        shared = [seed for seed in range(6) if {(name, seed), ("plain", seed)} <= set(kept)]
        if name == "plain" or not shared:
            assert row.difference is None
            continue
        auc, base = ([runs[arm, seed]["test"]["auc"] for seed in shared] for arm in (name, "plain"))
        found = row.difference
        assert found.num_pairs == len(shared)
        assert found.mean == pytest.approx(np.mean(auc) - np.mean(base))
        if len(shared) == 1:
            assert math.isnan(found.low)
            assert math.isnan(found.high)
        else:
            expected = scipy.stats.ttest_rel(auc, base).confidence_interval(0.95)
            assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_equal_differences_have_an_interval_of_no_width() -> None:
    found = difference([0.5, 0.5, 0.5])
    assert (found.mean, found.low, found.high) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_figure_that_is_not_finite_leaves_no_mean(bad: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stat = describe([0.7, bad, 0.8])
        found = difference([bad, bad])
    assert math.isnan(stat.mean)
    assert math.isnan(stat.std)
    assert math.isnan(found.mean)
    assert math.isnan(found.low)


def test_one_seed_has_no_spread(make_results: Callable) -> None:
    row = summary(make_results(("plain", "gcn"), seeds=1))[1]
    assert row.test_auc.mean == pytest.approx(row.difference.mean + 0.734, abs=0.01)
    assert math.isnan(row.test_auc.std)


def test_missing_figures_are_nan(make_results: Callable) -> None:
    results = make_results(("plain",))
    for run in results["runs"]:
        del run["test"], run["num_parameters"]
        run["gap"] = None
    row = summary(results)[0]
    assert math.isnan(row.test_auc.mean)
    assert math.isnan(row.num_parameters)
    assert math.isnan(row.gap.mean)
    assert 0.7 < row.valid_auc.mean < 0.8


def test_missing_seeds(make_results: Callable) -> None:
    results = make_results(("plain", "gcn"))
    assert missing_seeds(results) == {}
    results["runs"] = results["runs"][:3]  # plain 0, gcn 0, plain 1
    assert missing_seeds(results) == {"gcn": [1]}
    assert missing_seeds({"runs": []}) == {}


def test_rankings_pair_the_seeds(make_results: Callable) -> None:
    """A run that was not ranked is left out."""
    results = make_results(("plain", "gcn"), seeds=3)
    assert rankings(results) == []
    for place, run in enumerate(results["runs"][1:]):
        run["ranking"] = {"among": 99, "examples": 7, "hr_10": place / 10}
    plain, gcn = sorted(rankings(results), key=lambda row: row.embedding != "plain")
    assert plain.figures["hr_10"].mean == pytest.approx((0.1 + 0.3) / 2)
    assert gcn.figures["hr_10"].mean == pytest.approx((0.0 + 0.2 + 0.4) / 3)
    assert math.isnan(gcn.figures["mrr"].mean)
    assert plain.differences == {}
    assert gcn.differences["hr_10"].num_pairs == 2
    assert gcn.differences["hr_10"].mean == pytest.approx(0.1)


def test_differences_over_seeds_and_over_users(make_results: Callable) -> None:
    results = make_results(("plain", "gcn", "gat"), seeds=3)
    results["over_users"] = {"gcn": {"auc": {"mean": 0.1, "low": 0.0, "high": 0.2, "seeds": 3}}}
    gcn, gat = contrasts(results)
    assert gcn.over_users == {"auc": Difference(0.1, 0.0, 0.2, 3)}
    assert gat.over_users == {}
    assert gat.over_seeds["auc"] == summary(results)[2].difference
    base, own = (
        [run["test"]["logloss"] for run in results["runs"] if run["embedding"] == name]
        for name in ("plain", "gcn")
    )
    assert gcn.over_seeds["logloss"] == difference(np.subtract(own, base).tolist())
