"""Hard centres."""

import pytest
import torch
from dense_reference import random_graph
from sklearn.cluster import KMeans
from torch import Tensor

from resemb_gnn import InputError, ResEmbedding, SpectralFeatures, covisit_graph
from resemb_gnn.data import BehaviorLog
from resemb_gnn.nn import HardEncoder

CENTER = torch.tensor([2, 0, 0, 1, 2, 2, 1, 0, 3])


def test_embedding_is_the_centre_plus_the_residual() -> None:
    graph = random_graph(0)
    emb = ResEmbedding(
        graph, 5, encoder=HardEncoder(graph, CENTER), residual_std=0.5, shrinkage=3.0
    )
    ids = torch.tensor([[3, 8], [0, 3]])
    scale = graph.count / (graph.count + 3.0)
    expected = emb.centers[CENTER] + scale[:, None] * emb.residual
    torch.testing.assert_close(emb(ids), expected[ids])
    assert torch.equal(emb.center_weights(ids).argmax(dim=-1), CENTER[ids])
    assert torch.equal(emb.center_weights(ids).sum(dim=-1), torch.ones(2, 2))
    assert emb.num_centers == 4
    torch.testing.assert_close(emb.center_weights(ids) @ emb.centers, emb.center_part(ids))

    probe = torch.randn(9, 5)
    parameters = [emb.centers, emb.residual]
    actual = torch.autograd.grad((emb(torch.arange(9)) * probe).sum(), parameters)
    wanted = torch.autograd.grad((expected * probe).sum(), parameters)
    for one, other in zip(actual, wanted, strict=True):
        torch.testing.assert_close(one, other)


def test_kmeans_groups_the_features_and_a_fold_sees_its_own(log: BehaviorLog) -> None:
    graph = SpectralFeatures(6)(covisit_graph(log, folds=3))
    encoder = HardEncoder.kmeans(graph, 5, seed=1)
    ids = torch.arange(log.num_items)
    found = KMeans(5, n_init=1, random_state=1).fit(graph.x.numpy())
    assert encoder(ids).argmax(dim=1).tolist() == found.labels_.tolist()
    means = torch.from_numpy(found.cluster_centers_)
    for fold, part in enumerate(graph.fold_graphs):
        nearest = torch.cdist(part.x, means).argmin(dim=1)
        assert torch.equal(encoder(ids, fold=fold).argmax(dim=1), nearest)


@pytest.mark.parametrize(
    "center",
    [
        CENTER[:8],
        CENTER[:, None],
        CENTER.float(),
        CENTER.to(torch.complex64),
        CENTER - 1,
        CENTER.tolist(),
    ],
    ids=["short", "column", "float", "complex", "negative", "list"],
)
def test_refuses_what_is_no_centre(center: Tensor) -> None:
    with pytest.raises(InputError, match="one whole number from 0 for each of 9 nodes"):
        HardEncoder(random_graph(0), center)


@pytest.mark.parametrize("num_parts", [1, 3])
def test_refuses_centres_of_other_folds(num_parts: int) -> None:
    graph = random_graph(0)
    graph.fold_graphs = [random_graph(1), random_graph(2)]
    with pytest.raises(InputError, match=f"fold_center has {num_parts} parts, the graph 2 folds"):
        HardEncoder(graph, CENTER, [CENTER] * num_parts)


def test_refuses_more_clusters_than_items_and_other_weights() -> None:
    graph = random_graph(0)
    with pytest.raises(InputError, match="num_centers=10 is more than 9 items"):
        HardEncoder.kmeans(graph, 10)
    with pytest.raises(InputError, match="normalization and heads"):
        ResEmbedding(graph, encoder=HardEncoder(graph, CENTER), normalization="entmax")
