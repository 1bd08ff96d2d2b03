"""Propagation against dense products, and its gradients against finite differences."""

from dataclasses import replace

import torch
from dense_reference import mean_matrix, random_graph

from resemb_gnn.graph import mean_adjacency
from resemb_gnn.nn.layers.propagate import propagate


def test_against_a_dense_product_and_finite_differences() -> None:
    graph = random_graph(0)
    adjacency = mean_adjacency(graph)  # not symmetric
    transpose = adjacency.transpose()
    x = torch.randn(9, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    torch.testing.assert_close(propagate(adjacency, transpose, x), mean_matrix(graph) @ x)

    adjacency = replace(adjacency, weight=adjacency.weight.double())
    transpose = adjacency.transpose()
    double = x.detach().double().requires_grad_()
    assert torch.autograd.gradcheck(lambda a: propagate(adjacency, transpose, a), double)
    assert torch.autograd.gradgradcheck(lambda a: propagate(adjacency, transpose, a) ** 2, double)
