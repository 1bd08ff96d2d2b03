import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import special_ortho_group

from resemb_gnn.errors import InputError
from resemb_gnn.theory import envelope_balls, envelope_radius, smallest_enclosing_ball

FIELDS = ("largest", "rms", "ball", "separation")


def clouds(seed: int, sizes=(7, 1, 12, 30), dim: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    interest = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    center = 3 * rng.standard_normal((len(sizes), dim))
    vectors = center[interest] + rng.standard_normal((interest.size, dim))
    return torch.from_numpy(vectors), torch.from_numpy(interest)


def test_radii_agree_with_a_loop():
    vectors, interest = clouds(0)
    found = envelope_radius(vectors, interest)
    x, g = vectors.numpy(), interest.numpy()
    spread = math.sqrt(x.var(axis=0).sum())
    centroids = [x[g == k].mean(axis=0) for k in range(4)]
    assert found.spread == pytest.approx(spread)
    assert found.size.tolist() == [7, 1, 12, 30]
    for k in range(4):
        distance = np.linalg.norm(x[g == k] - centroids[k], axis=1)
        assert float(found.largest[k]) == pytest.approx(distance.max() / spread, abs=1e-12)
        rms = math.sqrt((distance**2).mean())
        assert float(found.rms[k]) == pytest.approx(rms / spread, abs=1e-12)
        ball = smallest_enclosing_ball(vectors[interest == k])
        assert float(found.ball[k]) == pytest.approx(ball.radius / spread)
        others = [np.linalg.norm(centroids[k] - centroids[j]) for j in range(4) if j != k]
        assert float(found.separation[k]) == pytest.approx(min(others) / spread)
    for name in ("largest", "rms", "ball"):
        values = getattr(found, name).numpy()
        assert found.mean(name) == pytest.approx(values[g].mean())


@given(
    seed=st.integers(0, 10_000),
    scale=st.floats(1e-3, 1e3),
    shift=st.floats(-100, 100),
)
@settings(max_examples=30, deadline=None)
def test_moving_turning_and_rescaling_changes_nothing(seed, scale, shift):
    vectors, interest = clouds(seed, sizes=(4, 6, 9))
    rotation = torch.from_numpy(special_ortho_group.rvs(3, random_state=seed))
    before = envelope_radius(vectors, interest)
    after = envelope_radius(scale * vectors @ rotation + shift, interest)
    for name in FIELDS:
        torch.testing.assert_close(
            getattr(after, name), getattr(before, name), rtol=1e-6, atol=1e-7
        )
    assert after.spread == pytest.approx(scale * before.spread, rel=1e-6)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_order_of_the_measures_and_of_the_items(seed):
    vectors, interest = clouds(seed)
    found = envelope_radius(vectors, interest)
    slack = 1 + 1e-9
    assert (found.rms <= found.largest * slack).all()
    assert (found.ball <= found.largest * slack).all()
    assert (found.largest <= 2 * found.ball * slack).all()
    order = torch.randperm(len(interest), generator=torch.Generator().manual_seed(seed))
    shuffled = envelope_radius(vectors[order], interest[order])
    for name in FIELDS:
        torch.testing.assert_close(getattr(shuffled, name), getattr(found, name))


def test_radius_follows_the_items_as_they_tighten():
    vectors, interest = clouds(2)
    centroid = torch.stack([vectors[interest == k].mean(dim=0) for k in range(4)])[interest]
    radii = [
        envelope_radius(centroid + share * (vectors - centroid), interest)
        for share in (0.0, 0.2, 0.6, 1.0)
    ]
    for name in ("largest", "rms", "ball"):
        means = [radius.mean(name) for radius in radii]
        assert means == sorted(means)
        assert means[0] < 1e-9 < 0.05 < means[1]


def test_an_interest_without_items_has_none():
    found = envelope_radius(torch.tensor([[0.0], [2.0], [5.0]]), torch.tensor([0, 0, 2]))
    assert found.size.tolist() == [2, 0, 1]
    for name in FIELDS:
        assert getattr(found, name).isnan().tolist() == [False, True, False]
    assert math.isfinite(found.mean())
    balls = envelope_balls(torch.tensor([[0.0], [2.0], [5.0]]), torch.tensor([0, 0, 2]))
    assert [ball.radius for ball in balls[::2]] == [1.0, 0.0]
    assert math.isnan(balls[1].radius)


def test_collapsed_vectors_have_no_unit_to_measure_by():
    found = envelope_radius(torch.full((5, 2), 0.1), torch.tensor([0, 0, 1, 1, 1]))
    assert found.spread == 0
    assert all(getattr(found, name).isnan().all() for name in FIELDS)
    assert math.isnan(found.mean())


def test_one_interest_has_no_other():
    found = envelope_radius(torch.randn(6, 2), torch.zeros(6, dtype=torch.long))
    assert found.separation.isnan().all()
    assert found.mean("rms") == pytest.approx(1)  # its radius is the spread
    assert str(found).startswith("EnvelopeRadius(interests=1, largest=")


@pytest.mark.parametrize(
    ("vectors", "interest", "message"),
    [
        (torch.empty(0, 2), torch.empty(0, dtype=torch.long), "n > 0"),
        (torch.zeros(3), torch.zeros(3, dtype=torch.long), r"\[3\], not \[n, dim\]"),
        (torch.zeros(3, 2), torch.zeros(2, dtype=torch.long), r"interest has shape \[2\]"),
        (torch.zeros(2, 2), torch.tensor([0, -1]), r"interest\[1\] is -1"),
        (torch.tensor([[0.0], [math.inf]]), torch.tensor([0, 0]), "vector 1 is not finite"),
    ],
)
def test_bad_input_is_refused(vectors, interest, message):
    with pytest.raises(InputError, match=message):
        envelope_radius(vectors, interest)


def test_unknown_measures_are_refused():
    vectors, interest = clouds(0)
    with pytest.raises(InputError, match="median"):
        envelope_radius(vectors, interest).mean("median")
