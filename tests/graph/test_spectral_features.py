import math

import numpy as np
import pytest
import scipy.sparse.linalg
import torch
from threadpoolctl import threadpool_info, threadpool_limits
from torch_geometric.data import Data

from resemb_gnn import InputError, SpectralFeatures, covisit_graph
from resemb_gnn.datasets.sequence_file import read_sequence_file
from resemb_gnn.graph.spectral_features import positive_pmi


def _random_graph(size, share, isolated=0, directed=False, seed=0):
    """Random weights between all but the last ``isolated`` nodes."""
    rng = np.random.default_rng(seed)
    dense = rng.integers(1, 20, (size, size)) * (rng.random((size, size)) < share)
    dense[np.arange(size), np.arange(size)] = 0
    if not directed:
        dense = np.triu(dense) + np.triu(dense).T
    if isolated:
        dense[-isolated:] = dense[:, -isolated:] = 0
    edge_index = torch.from_numpy(np.stack(dense.nonzero()))
    weight = torch.from_numpy(dense[dense > 0]).float()
    return Data(edge_index=edge_index, edge_weight=weight, num_nodes=size), dense.astype(float)


def _naive_pmi(dense, negatives=1, smoothing=1.0):
    """Positive pointwise mutual information by a double loop."""
    size = len(dense)
    column_sums = [sum(dense[k][j] for k in range(size)) ** smoothing for j in range(size)]
    out = np.zeros((size, size))
    for i in range(size):
        row_sum = sum(dense[i])
        for j in range(size):
            if dense[i][j] > 0:
                by_chance = negatives * row_sum * column_sums[j] / sum(column_sums)
                out[i, j] = max(0.0, math.log(dense[i][j] / by_chance))
    return out


def _dense_features(matrix, dim):
    """U S^(1/2) of the dense decomposition, signed as documented, unscaled."""
    vectors, values, _ = np.linalg.svd(matrix)
    features = np.zeros((len(matrix), dim))
    for column in range(min(dim, len(matrix))):
        vector = vectors[:, column]
        sign = np.sign(vector[np.abs(vector).argmax()])
        features[:, column] = sign * vector * math.sqrt(values[column])
    return features


@pytest.mark.parametrize("directed", [False, True])
def test_positive_pmi_is_what_a_double_loop_gives(directed):
    graph, dense = _random_graph(25, 0.3, isolated=3, directed=directed)
    matrix = positive_pmi(graph)
    assert matrix.dtype == np.float32
    assert matrix.indices.dtype == np.int32
    np.testing.assert_allclose(matrix.toarray(), _naive_pmi(dense), rtol=1e-4, atol=1e-6)
    assert 0 < matrix.nnz < graph.num_edges  # some are below chance
    graph.edge_weight = None
    expected = _naive_pmi(dense > 0)
    np.testing.assert_allclose(positive_pmi(graph).toarray(), expected, rtol=1e-4, atol=1e-6)


def test_the_optimum_of_skip_gram_with_negative_sampling():
    """By a double loop, and where the slope of its objective is zero: a pair is met ``A_ij`` times,
    and drawn as a negative of item ``i``, met ``n_i`` times, in proportion to the smoothed counts.
    """
    graph, dense = _random_graph(25, 0.3, isolated=3)
    found = positive_pmi(graph, 2, 0.75).toarray()
    np.testing.assert_allclose(found, _naive_pmi(dense, 2, 0.75), rtol=1e-4, atol=1e-6)
    kept = found > 0
    assert 0 < kept.sum() < (positive_pmi(graph).toarray() > 0).sum()
    counts = dense.sum(axis=0)
    drawn = 2 * counts[:, None] * counts**0.75 / (counts**0.75).sum()
    share = 1 / (1 + np.exp(-found.astype(float)))
    slope = dense * (1 - share) - drawn * share
    np.testing.assert_allclose(slope[kept] / dense[kept], 0, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"negatives": 0}, "negatives must be at least 1, not 0"),
        ({"smoothing": 0.0}, r"smoothing must be above 0 and at most 1, not 0\.0"),
        ({"smoothing": 1.5}, r"smoothing must be above 0 and at most 1, not 1\.5"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(InputError, match=message):
        SpectralFeatures(4, **options)


def test_positive_pmi_adds_the_counts_of_repeated_edges_and_skips_zeros():
    graph, _ = _random_graph(20, 0.3)
    expected = positive_pmi(graph).toarray()
    graph.edge_index = torch.cat([graph.edge_index, graph.edge_index, torch.tensor([[3], [4]])], 1)
    graph.edge_weight = torch.cat([graph.edge_weight / 4, graph.edge_weight * 0.75, torch.zeros(1)])
    np.testing.assert_allclose(positive_pmi(graph).toarray(), expected, rtol=1e-5, atol=1e-6)


# 260 nodes with 8 features take the iterative solver, the others the dense one.
@pytest.mark.parametrize(("size", "dim"), [(30, 6), (210, 60), (260, 8)])
def test_features_are_those_of_the_dense_decomposition(size, dim):
    graph, dense = _random_graph(size, 4 / size, isolated=4, seed=1)
    expected = _dense_features(_naive_pmi(dense), dim)
    features = SpectralFeatures(dim, scale=False)(graph).x
    assert features.dtype == torch.float32
    np.testing.assert_allclose(features.numpy(), expected, atol=2e-4)
    # With scale the mean square norm of the rows that have an edge is dim.
    with_edge = expected[np.abs(expected).sum(1) > 1e-9]
    factor = math.sqrt(dim / np.square(with_edge).sum(1).mean())
    np.testing.assert_allclose(SpectralFeatures(dim)(graph).x, factor * expected, atol=1e-3)


def test_features_of_the_small_log(log):
    graph = covisit_graph(log)
    dense = np.zeros((log.num_items, log.num_items))
    dense[tuple(graph.edge_index.numpy())] = graph.edge_weight.numpy()
    features = SpectralFeatures(8, scale=False)(graph).x.numpy()
    np.testing.assert_allclose(features, _dense_features(_naive_pmi(dense), 8), atol=1e-4)
    # Items of one cluster lie closer together: their features have the larger cosine.
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    cosine = unit @ unit.T
    same = (log.item_category[:, None] == log.item_category[None, :]).numpy()
    np.fill_diagonal(same, False)
    other = ~same & ~np.eye(log.num_items, dtype=bool)
    assert cosine[same].mean() > cosine[other].mean() + 0.2


def _triangles(size):
    """Singular values that are all equal to others: any basis of their space would do."""
    edge_index = [
        (3 * k + i, 3 * k + j)
        for k in range(size // 3)
        for i in range(3)
        for j in range(3)
        if i != j
    ]
    return Data(edge_index=torch.tensor(edge_index).T.contiguous(), num_nodes=size)


@pytest.mark.parametrize("size", [40, 260])
@pytest.mark.parametrize("make", [lambda size: _random_graph(size, 5 / size)[0], _triangles])
def test_features_are_deterministic(size, make):
    graph = make(size)
    np.random.seed(1)  # noqa: NPY002
    one = SpectralFeatures(8)(graph).x
    np.random.seed(2)  # noqa: NPY002
    torch.manual_seed(3)
    assert torch.equal(SpectralFeatures(8)(graph).x, one)


def test_the_decomposition_runs_on_one_thread_of_blas(monkeypatch):
    """So that its rounding does not depend on the threads, and busy cores are not waited for."""
    threads = set()

    def spied(*args, **options):
        threads.update(
            pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"
        )
        return svds(*args, **options)

    svds = scipy.sparse.linalg.svds
    monkeypatch.setattr(scipy.sparse.linalg, "svds", spied)
    with threadpool_limits(2, user_api="blas"):
        SpectralFeatures(8)(_random_graph(260, 0.02)[0])
    assert threads == {1}


@pytest.mark.parametrize("size", [40, 260])
def test_isolated_nodes_get_zeros_and_do_not_count_in_the_scale(size):
    for seed in range(5):
        graph, _ = _random_graph(size, 5 / size, isolated=10, seed=seed)
        features = SpectralFeatures(8)(graph).x
        degree = torch.bincount(graph.edge_index[0], minlength=size)
        assert (features[degree == 0] == 0).all()
        linked = torch.from_numpy(np.diff(positive_pmi(graph).indptr) > 0)
        torch.testing.assert_close(features[linked].square().sum(1).mean(), torch.tensor(8.0))


@pytest.mark.parametrize("size", [6, 1000])
def test_columns_beyond_the_rank_are_zero(size):
    # Two single edges: rank 4.
    edge_index = torch.tensor([[0, 1, 2, 3], [1, 0, 3, 2]])
    features = SpectralFeatures(10)(Data(edge_index=edge_index, num_nodes=size)).x
    assert features.shape == (size, 10)
    assert features.isfinite().all()
    assert (features[4:] == 0).all()
    assert (features[:, 4:] == 0).all()
    product = features[:4, :4] @ features[:4, :4].T  # U S U^T, scaled; S = log 4 four times
    torch.testing.assert_close(product, 10 * torch.eye(4), atol=1e-4, rtol=0)


@pytest.mark.parametrize("size", [10, 300])
def test_columns_of_rounding_noise_are_zero(size):
    """A star has rank 2 though no node is isolated."""
    leaves = torch.arange(1, size)
    edge_index = torch.stack([torch.zeros_like(leaves), leaves])
    graph = Data(edge_index=torch.cat([edge_index, edge_index.flip(0)], dim=1), num_nodes=size)
    features = SpectralFeatures(8, scale=False)(graph).x
    assert (features[:, 2:] == 0).all()
    value = math.log(2) * math.sqrt(size - 1)  # both singular values
    found = features[:, :2].square().sum(0)
    torch.testing.assert_close(found, torch.full((2,), value), rtol=1e-5, atol=0)


@pytest.mark.parametrize("edges", [[], [[0, 1], [1, 0]]])
def test_graph_without_information(edges):
    """Without edges, or with each edge as frequent as by chance, the features are zero."""
    edge_index = torch.tensor(edges, dtype=torch.long).reshape(2, -1)
    graph = Data(edge_index=edge_index, num_nodes=2 if edges else 5)
    if edges:
        graph.edge_index = torch.cartesian_prod(torch.arange(2), torch.arange(2)).T
    features = SpectralFeatures(3)(graph).x
    assert features.shape == (graph.num_nodes, 3)
    assert (features == 0).all()


def test_the_input_graph_is_left_alone(log):
    graph = covisit_graph(log, folds=2)
    out = SpectralFeatures(4)(graph)
    assert "x" not in graph
    assert all("x" not in part for part in graph.fold_graphs)
    assert all(part.x.shape == (log.num_items, 4) for part in out.fold_graphs)
    assert {*out.keys()} == {*graph.keys(), "x"}
    assert torch.equal(out.edge_weight, graph.edge_weight)


def test_repr():
    assert str(SpectralFeatures(16)) == "SpectralFeatures(dim=16)"


@pytest.mark.parametrize("dim", [0, -1])
def test_dim_below_one_is_refused(dim):
    with pytest.raises(InputError, match=f"dim must be at least 1, not {dim}"):
        SpectralFeatures(dim)


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_bad_weights_are_refused(value):
    graph, _ = _random_graph(10, 0.3)
    graph.edge_weight[2] = value
    with pytest.raises(InputError, match=rf"edge_weight\[2\] is {value}"):
        SpectralFeatures(4)(graph)


def test_features_of_beauty_reconstruct_the_pmi(shared_data):
    """The rank-32 decomposition cannot be improved on: singular vectors of the sparse matrix."""
    graph = covisit_graph(read_sequence_file(shared_data / "amazon" / "Beauty.txt"))
    matrix = positive_pmi(graph)
    features = SpectralFeatures(32, scale=False)(graph).x.double().numpy()
    values = np.square(features).sum(0)  # U has unit columns
    vectors = features / np.sqrt(values)
    assert (np.diff(values) <= 1e-6).all()
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(32), atol=1e-5)
    # M M^T u = s^2 u
    residual = matrix @ (matrix.T @ vectors) - vectors * values**2
    assert np.abs(residual).max() < 1e-4 * values[0] ** 2


def test_weights_beyond_float32_are_refused():
    edge_index = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    graph = Data(edge_index=edge_index, edge_weight=torch.full((4,), 1e38), num_nodes=4)
    with pytest.raises(InputError, match="too large for float32"):
        SpectralFeatures(dim=2)(graph)
    graph.edge_weight = torch.full((4,), 1e30)
    assert SpectralFeatures(dim=2)(graph).x.isfinite().all()
