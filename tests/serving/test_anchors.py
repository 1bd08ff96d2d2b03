"""Scores from those of a few anchors, next to NumPy's least squares."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from resemb_gnn.serving import AnchorScores


def scores(users: int, items: int, rank: int, seed: int) -> torch.Tensor:
    """Of exactly so many dimensions about their means."""
    rng = np.random.default_rng(seed)
    parts = rng.normal(size=(users, rank)) @ rng.normal(size=(rank, items)) + rng.normal(size=items)
    return torch.from_numpy(parts.astype(np.float32))


@settings(max_examples=25, deadline=None)
@given(rank=st.integers(1, 4), items=st.integers(12, 60), seed=st.integers(0, 1000))
def test_low_rank_scores_are_found_exactly(rank: int, items: int, seed: int) -> None:
    every = scores(60, items, rank, seed)
    rough = AnchorScores(every[:40], rank=8, anchors=10)
    assert len(set(rough.anchors.tolist())) == 10
    assert rough.factors.size(1) == rank
    for own in every[40:45]:
        torch.testing.assert_close(rough.estimate(own[rough.anchors]), own, atol=2e-3, rtol=2e-3)


def test_beyond_the_rank_it_is_least_squares() -> None:
    every = scores(50, 30, 12, 0)
    rough = AnchorScores(every[:40], rank=3, anchors=8)
    mean = every[:40].mean(dim=0)
    basis = np.linalg.svd((every[:40] - mean).numpy())[2][:3].T
    own = every[45]
    anchors = rough.anchors
    known = np.linalg.lstsq(basis[anchors], (own - mean)[anchors].numpy(), rcond=None)[0]
    expected = mean.numpy() + basis @ known
    np.testing.assert_allclose(rough.estimate(own[anchors]), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("users", [1, 5])
def test_users_who_score_alike_leave_the_means(users: int) -> None:
    same = torch.arange(20.0).expand(users, -1)
    rough = AnchorScores(same)
    assert rough.factors.size(1) == 0
    assert torch.equal(rough.estimate(same[0][rough.anchors]), same[0])
