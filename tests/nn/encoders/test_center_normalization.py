"""Centre weights from logits, against their definitions."""

from typing import Any

import numpy as np
import pytest
import torch
from dense_reference import mean_matrix, random_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import brentq, minimize
from torch import Tensor
from torch_geometric.nn import GCNConv

from resemb_gnn import InputError, ResEmbedding
from resemb_gnn.nn import CENTER_NORMALIZATIONS, CenterNormalization, entmax
from resemb_gnn.theory import center_usage

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

    # From further below than the largest score less 1, where the sum may be below 1 by rounding.
    threshold = brentq(excess, scores.max() - 1.5, scores.max(), xtol=1e-14)
    return np.maximum(scores - threshold, 0) ** power


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


@pytest.mark.parametrize("normalization", CENTER_NORMALIZATIONS)
def test_one_head(normalization: str) -> None:
    torch.manual_seed(0)
    z = torch.randn(6, 8)
    weights = CenterNormalization(normalization)(z)
    expected = {
        "softmax": z.softmax(dim=1),
        "sparsemax": entmax(z, 2.0),
        "entmax": entmax(z, 1.5),
        "relu": z.clamp(min=0),
        "signed": z,
    }
    assert torch.equal(weights, expected[normalization])


@pytest.mark.parametrize("normalization", ["softmax", "sparsemax", "entmax"])
def test_heads_are_groups_that_follow_each_other(normalization: str) -> None:
    torch.manual_seed(0)
    z = torch.randn(6, 8)
    weights = CenterNormalization(normalization, heads=4)(z)
    parts: list[Tensor] = [CenterNormalization(normalization)(part) for part in z.split(2, dim=1)]
    assert torch.equal(weights, torch.cat(parts, dim=1))
    assert torch.allclose(weights.sum(dim=1), torch.full((6,), 4.0))
    assert CenterNormalization(normalization, heads=4)(z[:0]).shape == (0, 8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"normalization": "hardmax"}, "normalization='hardmax' is unknown; choose from softmax"),
        ({"heads": 0}, "heads must be at least 1, not 0"),
        ({"normalization": "signed", "heads": 2}, "signed weights"),
        ({"normalization": "relu", "heads": 2}, "relu weights are not normalised: heads must be 1"),
    ],
)
def test_refusals(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        CenterNormalization(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("encoder", ["average", "gcn", "gat", "sign", "GCNConv"])
@pytest.mark.parametrize(
    ("normalization", "heads"),
    [("softmax", 3), ("sparsemax", 1), ("entmax", 2), ("relu", 1), ("signed", 1)],
)
def test_every_encoder_takes_every_kind(encoder: str, normalization: str, heads: int) -> None:
    graph, ids = random_graph(0), torch.tensor([[3, 0, 3], [8, 1, 7]])
    kind = CenterNormalization(normalization, heads)

    def make(**options: Any) -> ResEmbedding:
        torch.manual_seed(0)
        module = GCNConv(4, 6) if encoder == "GCNConv" else encoder
        return ResEmbedding(
            graph, 5, 6, module, temperature=0.5, residual_std=0.5, shrinkage=None, **options
        )

    emb, free = make(normalization=normalization, heads=heads), make(normalization="signed")
    logits = free.encoder(torch.arange(9))  # signed weights are the logits, the same for one seed
    if encoder == "average":
        weights = mean_matrix(graph) @ kind(graph.x @ emb.encoder.assignment / 0.5)
    else:
        weights = kind(logits)
    torch.testing.assert_close(emb.center_weights(ids), weights[ids], atol=1e-5, rtol=1e-5)
    expected = weights @ emb.centers + emb.residual
    torch.testing.assert_close(emb(ids), expected[ids], atol=1e-5, rtol=1e-5)
    if kind.shares:
        total = emb.center_weights(ids).sum(dim=-1)
        torch.testing.assert_close(total, torch.full((2, 3), float(heads)))
        usage = center_usage(emb)
        torch.testing.assert_close(usage.float(), weights.mean(dim=0) / heads)
    else:
        with pytest.raises(InputError, match=f"{normalization} centre weights"):
            center_usage(emb)


def test_heads_must_divide_the_centres() -> None:
    with pytest.raises(InputError, match="heads=4 does not divide num_centers=6"):
        ResEmbedding(random_graph(0), 5, 6, "gcn", heads=4)
    with pytest.raises(InputError, match=r"normalization and heads .* not with average"):
        ResEmbedding(random_graph(0), 5, None, "average", heads=3)
    with pytest.raises(InputError, match=r"normalization and heads .* not with mlp"):
        ResEmbedding(random_graph(0), 5, 6, normalization="entmax")


@pytest.mark.parametrize(("normalization", "std"), [("relu", (2 / 264) ** 0.5), ("entmax", 0.4)])
def test_centres_whose_weights_have_any_sum_start_as_a_layer_does(
    normalization: str, std: float
) -> None:
    torch.manual_seed(0)
    emb = ResEmbedding(random_graph(0), 64, 200, "sign", normalization=normalization)
    assert emb.centers.std().item() == pytest.approx(std, rel=0.03)
