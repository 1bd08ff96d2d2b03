"""Centre weights from logits, against their definitions."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import brentq, minimize
from torch import Tensor

from resemb_gnn import InputError
from resemb_gnn.nn import NORMALIZATIONS, CenterWeights, entmax

ROWS = arrays(
    np.float64,
    st.tuples(st.integers(1, 4), st.integers(1, 12)),
    elements=st.floats(-8, 8, width=32),
)


def sparsemax_by_sorting(z: "np.ndarray") -> "np.ndarray":
    """Martins and Astudillo's algorithm 1, for one row."""
    ordered = np.sort(z)[::-1]
    size = max(k for k in range(1, z.size + 1) if 1 + k * ordered[k - 1] > ordered[:k].sum())
    return np.maximum(z - (ordered[:size].sum() - 1) / size, 0)


def entmax_by_root(z: "np.ndarray", alpha: float) -> "np.ndarray":
    """The threshold by bracketing, for one row."""
    scores, power = (alpha - 1) * z, 1 / (alpha - 1)

    def excess(t: float) -> float:
        return float((np.maximum(scores - t, 0) ** power).sum() - 1)

    return (
        np.maximum(scores - brentq(excess, scores.max() - 1, scores.max(), xtol=1e-14), 0) ** power
    )


@settings(max_examples=60, deadline=None)
@given(rows=ROWS)
def test_sparse_weights_equal_slower_algorithms(rows: "np.ndarray") -> None:
    z = torch.from_numpy(rows)
    for alpha, reference in (
        (2.0, sparsemax_by_sorting),
        (1.5, lambda row: entmax_by_root(row, 1.5)),
        (1.25, lambda row: entmax_by_root(row, 1.25)),
    ):
        found = entmax(z, alpha)
        expected = torch.from_numpy(np.stack([reference(row) for row in rows]))
        torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-6)
        assert torch.allclose(found.sum(dim=1), torch.ones(len(rows), dtype=torch.float64))
        assert torch.allclose(entmax(z.float(), alpha), found.float(), atol=2e-6)


@pytest.mark.parametrize("alpha", [2.0, 1.5])
def test_sparse_weights_solve_their_own_problem(alpha: float) -> None:
    """``w`` maximises ``<w, z> + H(w)`` over the simplex, H being Tsallis' entropy."""
    z = np.array([0.9, 0.4, 0.1, -0.8])

    def loss(w: "np.ndarray") -> float:
        w = np.clip(w, 0, 1)
        return float(-w @ z - (w - w**alpha).sum() / (alpha * (alpha - 1)))

    found = minimize(
        loss,
        np.full(4, 0.25),
        bounds=[(0, 1)] * 4,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"ftol": 1e-14},
    )
    weights = entmax(torch.from_numpy(z), alpha)
    np.testing.assert_allclose(weights.numpy(), found.x, atol=1e-5)
    assert (weights == 0).any()  # sparse indeed


@pytest.mark.parametrize("alpha", [2.0, 1.5, 1.25])
def test_sparse_gradient(alpha: float) -> None:
    torch.manual_seed(0)
    z = 2 * torch.randn(5, 7, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: entmax(x, alpha), z.requires_grad_())
    (grad,) = torch.autograd.grad(entmax(z, alpha).sum(), z)
    assert grad.abs().max() < 1e-12  # weights sum to 1 wherever the logits are


def test_large_logits_and_many_centres() -> None:
    torch.manual_seed(0)
    for scale in (1e-3, 1.0, 1e4):
        for alpha in (1.5, 2.0):
            weights = entmax(scale * torch.randn(50, 1024), alpha)
            assert weights.min() >= 0
            assert torch.allclose(weights.sum(dim=1), torch.ones(50), atol=1e-5)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_one_head(normalization: str) -> None:
    torch.manual_seed(0)
    z = torch.randn(6, 8)
    weights = CenterWeights(normalization)(z)
    expected = {
        "softmax": z.softmax(dim=1),
        "sparsemax": entmax(z, 2.0),
        "entmax": entmax(z, 1.5),
        "signed": z,
    }
    assert torch.equal(weights, expected[normalization])


@pytest.mark.parametrize("normalization", ["softmax", "sparsemax", "entmax"])
def test_heads_are_groups_that_follow_each_other(normalization: str) -> None:
    torch.manual_seed(0)
    z = torch.randn(6, 8)
    weights = CenterWeights(normalization, heads=4)(z)
    parts: list[Tensor] = [CenterWeights(normalization)(part) for part in z.split(2, dim=1)]
    assert torch.equal(weights, torch.cat(parts, dim=1))
    assert torch.allclose(weights.sum(dim=1), torch.full((6,), 4.0))
    assert CenterWeights(normalization, heads=4)(z[:0]).shape == (0, 8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"normalization": "hardmax"}, "normalization='hardmax' is unknown; choose from softmax"),
        ({"heads": 0}, "heads must be at least 1, not 0"),
        ({"normalization": "signed", "heads": 2}, "signed weights"),
    ],
)
def test_refusals(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        CenterWeights(**options)  # type: ignore[arg-type]
