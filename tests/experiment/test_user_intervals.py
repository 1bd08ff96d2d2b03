"""Intervals over users, against draws written out one by one."""

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from resemb_gnn.errors import InputError
from resemb_gnn.experiment.user_intervals import metric_draws, user_intervals
from resemb_gnn.io.tables import write_table
from resemb_gnn.training.metrics import WeightedAuc, auc, gauc, log_loss

ROWS = st.tuples(st.integers(0, 6), st.integers(0, 1), st.integers(0, 4))


@given(st.lists(ROWS, min_size=2, max_size=60))
@settings(max_examples=60, deadline=None)
def test_weighted_auc_is_that_of_scikit_learn(rows):
    score, label, weight = np.array(rows, dtype=float).T
    found = WeightedAuc(score, label)(weight)
    if not all((weight[label == one]).sum() for one in (0, 1)):
        assert np.isnan(found)
    else:
        assert found == pytest.approx(roc_auc_score(label, score, sample_weight=weight))


def _table(seed, size=200, users=30):
    rng = np.random.default_rng(seed)
    logit = rng.normal(size=size).astype(np.float32)
    label = np.random.default_rng(0).integers(2, size=size).astype(np.int8)
    columns = {"user": np.arange(size) % users, "item": np.arange(size), "label": label}
    return pl.DataFrame(columns | {"logit": logit})


def test_draws_are_the_metrics_of_repeated_users():
    table, draws = _table(0), 100  # more than are in memory at once
    found = metric_draws(table, draws, seed=5)
    users = [table.filter(user=user) for user in range(30)]
    rng = np.random.default_rng(5)
    counts = np.concatenate(
        [rng.multinomial(30, np.full(30, 1 / 30), size=size) for size in (64, 37)]
    )
    counts[0] = 1
    for count, values in zip(
        counts[[0, 1, 63, 64, 100]], found.T[[0, 1, 63, 64, 100]], strict=True
    ):
        drawn = [users[user] for user in np.arange(30).repeat(count)]
        # A user who is drawn twice is two users of the per-user AUC.
        names = [torch.full((len(part),), name) for name, part in enumerate(drawn)]
        rows = pl.concat(drawn)
        logit, label = rows["logit"].to_torch(), rows["label"].to_torch()
        expected = auc(logit, label), gauc(logit, label, torch.cat(names)), log_loss(logit, label)
        assert values == pytest.approx(expected)


def test_an_interval_covers_what_is_drawn(tmp_path):
    """Of an arm that is plain but for a score that is better for every user."""
    results = {
        "runs": [{"embedding": name, "seed": s} for name in ("plain", "gcn") for s in (0, 1)]
    }
    for seed in (0, 1):
        table = _table(seed)
        better = table.with_columns(logit=pl.col("logit") + pl.col("label").cast(pl.Float32))
        write_table(table, tmp_path / "predictions" / f"plain-{seed}.parquet")
        write_table(better, tmp_path / "predictions" / f"gcn-{seed}.parquet")
    found = user_intervals(results, tmp_path)["gcn"]
    assert found == user_intervals(results, tmp_path)["gcn"]  # seeded
    assert 0 < found["auc"]["low"] < found["auc"]["mean"] < found["auc"]["high"] < 1
    assert found["logloss"]["high"] < 0
    assert found["auc"]["seeds"] == 2
    (tmp_path / "predictions" / "gcn-1.parquet").unlink()
    assert user_intervals(results, tmp_path)["gcn"]["auc"]["seeds"] == 1
    write_table(_table(0)[1:], tmp_path / "predictions" / "gcn-0.parquet")
    with pytest.raises(InputError, match=r"gcn-0.parquet is not of the examples that plain was"):
        user_intervals(results, tmp_path)
