"""``sign`` against dense matrices."""

import pytest
import torch
from dense_reference import random_graph, symmetric_matrix
from torch import nn

from resemb_gnn.nn import CenterNormalization, SIGNEncoder

IDS = torch.tensor([4, 8, 0, 4])


@pytest.mark.parametrize("hops", [1, 2, 3])
@pytest.mark.parametrize("normalization", ["softmax", "entmax", "signed"])
def test_equals_dense_matrices(hops: int, normalization: str) -> None:
    torch.manual_seed(0)
    graph = random_graph(0)
    normalize = CenterNormalization(normalization)
    encoder = SIGNEncoder(graph, 5, temperature=0.4, hops=hops, normalize=normalize)
    nn.init.normal_(encoder.bias)
    matrix = symmetric_matrix(graph)
    layers = [torch.linalg.matrix_power(matrix, hop) @ graph.x for hop in range(hops + 1)]
    logits = (torch.cat(layers, dim=1) @ encoder.weight + encoder.bias) / 0.4
    expected = normalize(logits)[IDS]
    weights = encoder(IDS)
    torch.testing.assert_close(weights, expected, atol=1e-5, rtol=1e-5)

    probe = torch.randn_like(weights)
    actual = torch.autograd.grad((weights * probe).sum(), list(encoder.parameters()))
    wanted = torch.autograd.grad((expected * probe).sum(), list(encoder.parameters()))
    for one, other in zip(actual, wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_a_fold_sees_its_own_graph() -> None:
    torch.manual_seed(0)
    graph = random_graph(0)
    graph.fold_graphs = [random_graph(1), random_graph(2)]
    encoder = SIGNEncoder(graph, 5)
    alone = SIGNEncoder(random_graph(2), 5)
    alone.load_state_dict(encoder.state_dict())
    assert torch.equal(encoder(IDS, fold=1), alone(IDS))
    assert not torch.allclose(encoder(IDS), alone(IDS))
