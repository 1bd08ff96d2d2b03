import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize, nnls

from resemb_gnn.errors import InputError
from resemb_gnn.theory import smallest_enclosing_ball


def assert_smallest(points: np.ndarray) -> None:
    """The ball holds all points, and its centre is a mix of points on its surface."""
    ball = smallest_enclosing_ball(torch.from_numpy(points))
    center = ball.center.numpy()
    distance = np.linalg.norm(points - center, axis=1)
    assert distance.max() <= ball.radius * (1 + 1e-12)
    if ball.radius > 0:
        surface = points[distance >= ball.radius * (1 - 1e-7)]
        system = np.vstack([(surface - center).T / ball.radius, np.ones(len(surface))])
        _, rest = nnls(system, np.append(np.zeros(points.shape[1]), 1))
        assert rest < 1e-6


# Small integers: many ties, repeated points and points on one line or sphere.
grid = st.tuples(st.integers(1, 14), st.integers(1, 5)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.integers(-2, 2).map(float))
)


@given(grid)
@settings(max_examples=150, deadline=None)
def test_ball_of_degenerate_points_is_the_smallest(points):
    assert_smallest(points)


@pytest.mark.parametrize(("size", "dim"), [(50, 2), (400, 32), (30, 40)])
def test_ball_of_scattered_points_is_the_smallest(size, dim):
    rng = np.random.default_rng(0)
    assert_smallest(rng.standard_normal((size, dim)))
    flat = rng.standard_normal((size, 2)) @ rng.standard_normal((2, dim))
    assert_smallest(flat + 3)


def test_ball_agrees_with_a_general_solver():
    points = np.random.default_rng(1).standard_normal((40, 3))
    found = minimize(
        lambda v: v[3],
        np.append(points.mean(axis=0), 10.0),
        constraints={
            "type": "ineq",
            "fun": lambda v: v[3] - np.square(points - v[:3]).sum(axis=1),
        },
        options={"maxiter": 500},
    )
    ball = smallest_enclosing_ball(torch.from_numpy(points))
    assert found.success
    assert ball.radius == pytest.approx(np.sqrt(found.x[3]), abs=1e-5)
    np.testing.assert_allclose(ball.center, found.x[:3], atol=1e-3)


@pytest.mark.parametrize("dim", [1, 2, 3, 7])
def test_ball_of_a_cube(dim):
    corners = torch.tensor(list(itertools.product([0.0, 2.0], repeat=dim)))
    ball = smallest_enclosing_ball(corners)
    assert ball.radius == pytest.approx(dim**0.5)
    torch.testing.assert_close(ball.center, torch.ones(dim, dtype=torch.float64))


def test_an_outer_point_that_the_mean_hides():
    points = torch.tensor([[0.0, 0.0]] * 99 + [[4.0, 0.0]])
    ball = smallest_enclosing_ball(points)
    assert ball.radius == pytest.approx(2)
    torch.testing.assert_close(ball.center, torch.tensor([2.0, 0.0]).double())


def test_one_point_and_equal_points_have_no_radius():
    for points in (torch.tensor([[0.1, 0.7]]), torch.tensor([[0.1, 0.7]]).repeat(6, 1)):
        ball = smallest_enclosing_ball(points)
        assert ball.radius < 1e-15
        torch.testing.assert_close(ball.center, points[0].double())


def test_points_that_cannot_be_enclosed_are_refused():
    with pytest.raises(InputError, match="n > 0"):
        smallest_enclosing_ball(torch.empty(0, 3))
    with pytest.raises(InputError, match="point 1 is not finite"):
        smallest_enclosing_ball(torch.tensor([[0.0], [float("nan")]]))
