"""Metrics against scikit-learn."""

import math
from random import Random

import numpy as np
import pytest
import sklearn.metrics
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from resemb_gnn import InputError
from resemb_gnn.training import auc, gauc, log_loss


def examples(max_users: int = 5) -> st.SearchStrategy[list[tuple[float, int, int]]]:
    """Rows of score, label and user, with many equal scores."""
    score = st.sampled_from([-1.5, 0.0, 0.25, 0.25 + 2**-20, 3.0]) | st.floats(-5, 5, width=32)
    return st.lists(st.tuples(score, st.integers(0, 1), st.integers(0, max_users)), max_size=60)


def columns(rows: list[tuple[float, int, int]]) -> tuple[Tensor, Tensor, Tensor]:
    score, label, user = zip(*rows, strict=True) if rows else ((), (), ())
    return torch.tensor(score), torch.tensor(label).float(), torch.tensor(user).long()


@settings(max_examples=80, deadline=None)
@given(examples())
def test_auc(rows: list[tuple[float, int, int]]) -> None:
    score, label, _ = columns(rows)
    if label.unique().numel() < 2:
        assert math.isnan(auc(score, label))
    else:
        expected = sklearn.metrics.roc_auc_score(label.numpy(), score.numpy())
        assert auc(score, label) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(examples())
def test_gauc_against_a_loop_over_the_users(rows: list[tuple[float, int, int]]) -> None:
    score, label, user = columns(rows)
    total, impressions = 0.0, 0
    for one in user.unique():
        mine = user == one
        if label[mine].unique().numel() == 2:
            own = sklearn.metrics.roc_auc_score(label[mine].numpy(), score[mine].numpy())
            total += int(mine.sum()) * own
            impressions += int(mine.sum())
    if impressions:
        assert gauc(score, label, user) == pytest.approx(total / impressions, abs=1e-12)
    else:
        assert math.isnan(gauc(score, label, user))


def test_many_examples() -> None:
    rng = np.random.default_rng(0)
    score = torch.from_numpy(rng.standard_normal(50_000).round(2)).float()
    label = torch.from_numpy(rng.random(50_000) < 0.3).float()
    expected = sklearn.metrics.roc_auc_score(label.numpy(), score.numpy())
    assert auc(score, label) == pytest.approx(expected, abs=1e-12)
    assert gauc(score, label, torch.full((50_000,), 7)) == pytest.approx(expected, abs=1e-12)


def test_by_hand() -> None:
    score = torch.tensor([0.1, 0.4, 0.4, 0.8, 2.0, 1.0])
    label = torch.tensor([0.0, 1.0, 0.0, 1.0, 0.0, 1.0])
    user = torch.tensor([9, 9, 9, 9, -4, -4])
    # 9 pairs: 0.4 beats 0.1 and ties with 0.4; 0.8 and 1.0 beat two each.
    assert auc(score, label) == pytest.approx(5.5 / 9)
    # User 9: (1 + 0.5 + 2) / 4 of weight 4; user -4: 0 of weight 2.
    assert gauc(score, label, user) == pytest.approx((4 * 3.5 / 4 + 2 * 0) / 6)


def test_only_the_order_of_the_scores_counts() -> None:
    torch.manual_seed(0)
    score, user = torch.randn(200).round(decimals=1), torch.randint(20, (200,))
    label = torch.randint(2, (200,)).float()
    for other in (score.double().exp(), (10 * score).round().long()):
        assert auc(other, label) == pytest.approx(auc(score, label), abs=1e-12)
        assert gauc(other, label, user) == pytest.approx(gauc(score, label, user), abs=1e-12)
    assert auc(-score, label) == pytest.approx(1 - auc(score, label), abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(examples(), st.randoms(use_true_random=False))
def test_order_of_the_rows_does_not_matter(
    rows: list[tuple[float, int, int]], random: Random
) -> None:
    shuffled = random.sample(rows, len(rows))
    for metric in (lambda s, y, u: auc(s, y), gauc, lambda s, y, u: log_loss(s, y)):
        one, other = metric(*columns(rows)), metric(*columns(shuffled))
        assert one == pytest.approx(other, abs=1e-9, nan_ok=True)


def test_infinite_scores_tie_with_each_other() -> None:
    score = torch.tensor([torch.inf, torch.inf, -torch.inf, -torch.inf, 0.0])
    label = torch.tensor([1.0, 0.0, 1.0, 0.0, 1.0])
    # inf: 0.5 + 1, 0: 1, -inf: 0.5, of 6 pairs
    assert auc(score, label) == pytest.approx(3 / 6)
    assert gauc(score, label, torch.zeros(5).long()) == pytest.approx(3 / 6)
    extreme = torch.tensor([3e38, -3e38, 3e38])
    assert auc(extreme, torch.tensor([1.0, 0.0, 0.0])) == pytest.approx(0.75)


def test_a_score_that_is_nan() -> None:
    score, label = torch.tensor([0.3, torch.nan, 0.1]), torch.tensor([1.0, 0.0, 0.0])
    assert math.isnan(auc(score, label))
    assert math.isnan(gauc(score, label, torch.tensor([0, 1, 0])))
    assert math.isnan(log_loss(score, label))


@pytest.mark.parametrize("label", [0.0, 1.0])
@pytest.mark.parametrize("size", [1, 4])
def test_one_class(label: float, size: int) -> None:
    score, labels = torch.randn(size), torch.full((size,), label)
    assert math.isnan(auc(score, labels))
    assert math.isnan(gauc(score, labels, torch.arange(size)))


def test_no_user_with_both_labels() -> None:
    score, label = torch.tensor([2.0, 1.0]), torch.tensor([1.0, 0.0])
    assert auc(score, label) == 1
    assert math.isnan(gauc(score, label, torch.tensor([0, 1])))


def test_no_examples() -> None:
    none = torch.empty(0)
    assert math.isnan(auc(none, none))
    assert math.isnan(gauc(none, none, none.long()))
    assert math.isnan(log_loss(none, none))


@settings(max_examples=50, deadline=None)
@given(examples())
def test_log_loss(rows: list[tuple[float, int, int]]) -> None:
    logit, label, _ = columns(rows)
    if not rows:
        return
    probability = logit.double().sigmoid().numpy()
    expected = sklearn.metrics.log_loss(label.numpy(), probability, labels=[0, 1])
    assert log_loss(logit, label) == pytest.approx(expected, rel=1e-9)


def test_log_loss_of_large_logits() -> None:
    # log(1 + e^x) is x: nothing is clipped.
    logit, label = torch.tensor([200.0, -300.0]), torch.tensor([0.0, 1.0])
    assert log_loss(logit, label) == pytest.approx(250)


def test_what_does_not_go_together_is_refused() -> None:
    score, label, user = torch.rand(3), torch.tensor([0.0, 1.0, 1.0]), torch.tensor([0, 0, 1])
    for short in (slice(2), slice(0)):
        for call in (
            lambda s=short: auc(score, label[s]),
            lambda s=short: auc(score[s], label),  # would rank the first ones alone
            lambda s=short: gauc(score[s], label, user),
            lambda s=short: gauc(score, label, user[s]),
            lambda s=short: log_loss(score, label[s]),
        ):
            with pytest.raises(InputError, match=r"must be of one length: (score|logit) "):
                call()
    for wide in (lambda: auc(score[:, None], label), lambda: log_loss(score, label[None])):
        with pytest.raises(InputError, match=r"must have the shape \[n\]: "):
            wide()
