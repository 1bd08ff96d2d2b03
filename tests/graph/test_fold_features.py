"""Spectral features of graphs that are decomposed from the full graph's subspace."""

import numpy as np
import polars as pl
import pytest
import scipy.linalg
import torch
from torch_geometric.data import Data

from resemb_gnn import BehaviorLog, CountFeature, SpectralFeatures, covisit_graph
from resemb_gnn.graph.spectral_features import positive_pmi

SIZE, CLUSTERS, DIM = 300, 6, 6


@pytest.fixture(scope="module")
def clustered() -> Data:
    """Items enough for the iterative decomposition, of clusters that a fold leaves as they are."""
    rng = np.random.default_rng(0)
    users, length = 400, 20
    items = CLUSTERS * rng.integers(SIZE // CLUSTERS - 1, size=(users, length))  # the last: unseen
    items += rng.integers(CLUSTERS, size=users)[:, None]
    log = _log(torch.from_numpy(items), SIZE)
    return covisit_graph(log, folds=4)


def _log(items: torch.Tensor, size: int) -> BehaviorLog:
    users, length = items.shape
    return BehaviorLog(
        items=items.flatten(),
        ptr=torch.arange(users + 1) * length,
        times=torch.arange(items.numel()),
        user_ids=pl.Series(range(users)),
        item_ids=pl.Series(range(size)),
    )


def _alone(part: Data, dim: int) -> np.ndarray:
    names = ("edge_index", "edge_weight", "num_nodes")
    found: np.ndarray = SpectralFeatures(dim)(
        Data(**{name: part[name] for name in names})
    ).x.numpy()
    return found


def _error(x: np.ndarray, exact: np.ndarray) -> float:
    """Relative error after the best rotation."""
    turn, _ = scipy.linalg.orthogonal_procrustes(x, exact)
    return float(np.linalg.norm(x @ turn - exact) / np.linalg.norm(exact))


def test_close_to_a_decomposition_of_its_own(clustered: Data) -> None:
    graph = SpectralFeatures(DIM)(clustered)
    full = graph.x.numpy()
    for part in graph.fold_graphs:
        exact = _alone(part, DIM)
        assert _error(part.x.numpy(), exact) < 0.02
        assert _error(part.x.numpy(), exact) < 0.1 * _error(full, exact)
        # In the rotation that is nearest to the full graph's.
        turn, _ = scipy.linalg.orthogonal_procrustes(part.x.numpy(), full)
        np.testing.assert_allclose(turn, np.eye(DIM), atol=1e-3)


@pytest.mark.parametrize("dim", [DIM, 20])  # 20: without a gap in the spectrum behind
@pytest.mark.parametrize("kind", [list, lambda graphs: graphs])
def test_one_step_of_subspace_iteration(clustered: Data, dim: int, kind) -> None:
    """By dense matrices in float64, QR and SVD."""
    graph = clustered.clone()
    graph.fold_graphs = kind(clustered.fold_graphs)
    # Smoothed in the one case: of a graph of pairs, a matrix that is not symmetric.
    smoothing = 0.75 if dim == DIM else 1.0
    graph = SpectralFeatures(dim, smoothing=smoothing)(graph)
    start, _, _ = np.linalg.svd(positive_pmi(clustered, 1, smoothing).toarray().astype(np.float64))
    for part in graph.fold_graphs:
        matrix = positive_pmi(part, 1, smoothing).toarray().astype(np.float64)
        right, _ = np.linalg.qr(matrix.T @ start[:, :dim])
        left, values, _ = np.linalg.svd(matrix @ right, full_matrices=False)
        expected = left * np.sqrt(values)
        rows = matrix.any(axis=1)
        expected *= np.sqrt(dim / np.square(expected[rows]).sum(axis=1).mean())
        x = part.x.numpy()
        assert x.dtype == np.float32
        np.testing.assert_allclose(x @ x.T, expected @ expected.T, atol=2e-3 * dim)
        assert not x[~rows].any()
        assert (~rows).sum() >= CLUSTERS
        unscaled = SpectralFeatures(dim, scale=False)(clustered).fold_graphs[0].x
        assert unscaled.norm() < graph.fold_graphs[0].x.norm()


def test_the_same_on_any_number_of_threads(clustered: Data) -> None:
    found = []
    threads = torch.get_num_threads()
    try:
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            found.append([part.x for part in SpectralFeatures(DIM)(clustered).fold_graphs])
    finally:
        torch.set_num_threads(threads)
    for other in found[1:]:
        assert all(torch.equal(one, two) for one, two in zip(found[0], other, strict=True))


def test_graphs_that_are_not_symmetric(clustered: Data) -> None:
    """Handed over as graphs of their own: left singular vectors need the transpose."""
    parts = []
    for part in [*clustered.fold_graphs, clustered]:
        keep = (part.edge_index[0] < part.edge_index[1]) | (part.edge_index[1] % 3 == 0)
        parts.append(
            Data(
                edge_index=part.edge_index[:, keep],
                edge_weight=part.edge_weight[keep],
                num_nodes=SIZE,
            )
        )
    graph = parts.pop()
    graph.fold_graphs = parts
    for part in SpectralFeatures(DIM)(graph).fold_graphs:
        assert _error(part.x.numpy(), _alone(part, DIM)) < 0.02


def test_a_fold_with_everything_leaves_features_of_zero() -> None:
    """One user's behaviours are all there are: without them the graph has no edge."""
    items = torch.arange(260)[None]
    graph = covisit_graph(_log(torch.cat([items, items * 0]), 260), folds=2)
    graph = CountFeature()(SpectralFeatures(5)(graph))
    empty = [part for part in graph.fold_graphs if not part.num_edges]
    assert len(empty) == 1
    assert not empty[0].x[:, :5].any()
    assert bool(empty[0].x.isfinite().all())
    assert bool(graph.x[:, :5].any())
