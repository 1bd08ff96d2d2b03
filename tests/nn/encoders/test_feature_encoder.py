"""Maps of the graph's features without learnt weights, against dense matrices."""

import pytest
import torch
from dense_reference import hop_rows, random_graph
from sklearn.decomposition import TruncatedSVD
from torch import nn

from resemb_gnn import BehaviorLog, InputError, ResEmbedding, covisit_graph
from resemb_gnn.graph import NodeFeatures
from resemb_gnn.nn import FeatureEncoder

IDS = torch.tensor([4, 8, 0, 4])


def test_learnt_centres_are_a_linear_layer_of_full_rank() -> None:
    graph = random_graph(0, num_nodes=30, num_edges=90)
    emb = ResEmbedding(
        graph, 5, encoder=FeatureEncoder(graph, constant=True), shrinkage=None, residual_std=0
    )
    layer = nn.Linear(12, 5)
    with torch.no_grad():
        layer.weight.copy_(emb.centers[:-1].T)
        layer.bias.copy_(emb.centers[-1])
    rows = layer(hop_rows(graph))
    torch.testing.assert_close(emb(IDS), rows[IDS], atol=1e-5, rtol=1e-5)
    assert torch.linalg.matrix_rank(emb.center_part(torch.arange(30))) == 5

    probe = torch.randn(30, 5)
    (actual,) = torch.autograd.grad((emb(torch.arange(30)) * probe).sum(), emb.centers)
    wanted = torch.autograd.grad((rows * probe).sum(), [layer.weight, layer.bias])
    torch.testing.assert_close(actual[:-1], wanted[0].T, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(actual[-1], wanted[1], atol=1e-5, rtol=1e-5)


def test_the_network_of_two_layers_is_sign_with_relu() -> None:
    graph = random_graph(0)
    emb = ResEmbedding(graph, 5, 7, "sign", normalization="relu", shrinkage=None, residual_std=0.0)
    net = nn.Sequential(nn.Linear(12, 7), nn.ReLU(), nn.Linear(7, 5, bias=False))
    nn.init.normal_(emb.encoder.bias)
    with torch.no_grad():
        net[0].weight.copy_(emb.encoder.weight.T)
        net[0].bias.copy_(emb.encoder.bias)
        net[2].weight.copy_(emb.centers.T)
    rows = net(hop_rows(graph))
    assert ((emb.center_weights(IDS) == 0).any(), (emb.center_weights(IDS) > 1).any()) == (1, 1)
    torch.testing.assert_close(emb(IDS), rows[IDS], atol=1e-5, rtol=1e-5)

    probe = torch.randn(9, 5)
    ours = [emb.encoder.weight, emb.encoder.bias, emb.centers]
    actual = torch.autograd.grad((emb(torch.arange(9)) * probe).sum(), ours)
    first, bias, second = torch.autograd.grad((rows * probe).sum(), list(net.parameters()))
    for one, other in zip(actual, (first.T, bias, second.T), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_a_fold_sees_its_own_features(log: BehaviorLog) -> None:
    graph = NodeFeatures(6)(covisit_graph(log, folds=2))
    encoder = FeatureEncoder(graph)
    ids = torch.arange(log.num_items)
    rows = encoder(ids, fold=1)
    torch.testing.assert_close(rows, hop_rows(graph.fold_graphs[1]), atol=1e-4, rtol=1e-4)
    assert not torch.allclose(rows, encoder(ids))
    assert torch.equal(FeatureEncoder(graph, hops=0)(ids, fold=1), graph.fold_graphs[1].x)


def test_it_computes_in_the_type_that_it_was_moved_to() -> None:
    graph = random_graph(0)
    emb = ResEmbedding(graph, 5, encoder=FeatureEncoder(graph, constant=True)).bfloat16()
    for rows in (emb(IDS), emb.center_weights(IDS), emb.embed_new(neighbors=[IDS])):
        assert rows.dtype == torch.bfloat16
    with pytest.raises(IndexError):
        emb(torch.tensor([9]))


def test_a_projection_keeps_as_much_as_it_can() -> None:
    graph = random_graph(0, num_nodes=40, num_edges=200)
    rows, kept = hop_rows(graph), FeatureEncoder(graph).projection(5)
    torch.testing.assert_close(kept.T @ kept, torch.eye(5), atol=1e-5, rtol=0.0)
    best = TruncatedSVD(5, algorithm="arpack", random_state=0).fit(rows.numpy()).singular_values_
    found = torch.linalg.svdvals(rows @ kept)
    torch.testing.assert_close(found, torch.from_numpy(best.copy()), atol=1e-4, rtol=1e-4)
    wide = FeatureEncoder(graph).projection(20)
    assert torch.equal(rows @ wide, torch.cat([rows, torch.zeros(40, 8)], dim=1))


def test_given_centres_stay() -> None:
    graph = random_graph(0)
    encoder = FeatureEncoder(graph, hops=0)
    given = torch.randn(4, 3)
    emb = ResEmbedding(graph, 3, encoder=encoder, fixed_centers=given, residual_std=0.0)
    emb.reset_parameters()
    assert not emb.centers.requires_grad
    torch.testing.assert_close(emb(IDS), (graph.x @ given)[IDS])
    assert torch.equal(emb.over(graph).centers, given)
    with pytest.raises(InputError, match=r"fixed_centers has shape \[4, 3\], not \[4, 5\]"):
        ResEmbedding(graph, 5, encoder=encoder, fixed_centers=given)
    with pytest.raises(InputError, match="fixed_centers holds a value that is not finite"):
        ResEmbedding(graph, 3, encoder=encoder, fixed_centers=given / 0)
