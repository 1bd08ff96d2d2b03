"""The layers give the same with PyG's torch-scatter code as without it."""

import pytest
import torch
import torch_geometric.typing
from dense_reference import random_graph
from torch import Tensor
from torch_geometric.utils import softmax

from resemb_gnn import DINAttention
from resemb_gnn.nn import GATEncoder


def test_same_values_and_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    torch_scatter = pytest.importorskip(
        "torch_scatter", reason="torch-scatter is not installed: tested without it only"
    )
    torch.manual_seed(0)
    encoder, ids = GATEncoder(random_graph(0), 3), torch.arange(9)
    attention = DINAttention(4, normalization="softmax")
    query, keys = torch.randn(3, 4), torch.randn(5, 4)
    key_index, ptr = torch.tensor([0, 4, 4, 2, 1]), torch.tensor([0, 3, 3, 5])
    calls = 0
    segment_csr = torch_scatter.segment_csr

    def counted(*args: Tensor, **options: str) -> Tensor:
        nonlocal calls
        calls += 1
        return segment_csr(*args, **options)

    monkeypatch.setattr(torch_scatter, "segment_csr", counted)
    monkeypatch.setattr(torch_geometric.typing, "WITH_SOFTMAX", False)

    def run(with_scatter: bool) -> list[Tensor]:
        monkeypatch.setattr(torch_geometric.typing, "WITH_TORCH_SCATTER", with_scatter)
        softmax(torch.ones(2), ptr=torch.tensor([0, 2]))
        weights, interest = encoder(ids), attention(query, keys, key_index, ptr)
        parameters = [*encoder.parameters(), *attention.parameters()]
        loss = weights.square().sum() + interest.square().sum()
        return [weights, interest, *torch.autograd.grad(loss, parameters)]

    without = run(False)
    assert calls == 0
    with_scatter = run(True)
    assert calls > 0
    for one, other in zip(with_scatter, without, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)
