"""Gradient penalties on the click models: second derivatives against finite differences."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradgradcheck
from torch.func import functional_call

from resemb_gnn import DIEN, DIN, PNN, BehaviorLog, PooledMLP, ResEmbedding, WideDeep, covisit_graph

MODELS: dict[str, Callable[..., nn.Module]] = {
    "DIN": DIN,
    "DIN, softmax": lambda *args, **options: DIN(
        *args, attention_normalization="softmax", **options
    ),
    "DIEN": DIEN,
    "PNN": PNN,
    "PooledMLP": PooledMLP,
    "WideDeep": WideDeep,
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_in_the_items_and_the_parameters(name: str, training: bool, log: BehaviorLog) -> None:
    torch.manual_seed(0)
    options: dict[str, Any] = {"hidden": (5,), "item_category": log.item_category}
    embedding = ResEmbedding(covisit_graph(log), 3, 4, "gat", feature_dim=3, residual_std=0.5)
    model = MODELS[name](embedding, **options).double().train(training)
    batch = log.split().train.batch(torch.arange(12))
    names = [name for name, value in model.named_parameters() if value.numel() < 1000]
    values = [dict(model.named_parameters())[name] for name in names]

    def score(*values: Tensor) -> Tensor:
        out: Tensor = functional_call(model, dict(zip(names, values, strict=True)), (batch,))
        return out

    assert gradgradcheck(score, tuple(values), fast_mode=True)


def test_a_gradient_penalty_on_din(log: BehaviorLog) -> None:
    """The slope of the penalty along a direction, as two evaluations of it have it."""
    torch.manual_seed(0)
    model = DIN(nn.Embedding(log.num_items, 4), hidden=(6,)).double()
    batch = log.split().train.batch(torch.arange(40))
    table = model.embedding.weight

    def penalty() -> Tensor:
        (slope,) = torch.autograd.grad(model(batch).sum(), table, create_graph=True)
        return slope.square().sum()

    penalty().backward()
    direction = torch.randn_like(table)
    step = 1e-5
    ends = []
    for sign in (1, -1):
        with torch.no_grad():
            table += sign * step * direction
        ends.append(penalty().item())
        with torch.no_grad():
            table -= sign * step * direction
    wanted = (ends[0] - ends[1]) / (2 * step)
    assert (table.grad * direction).sum().item() == pytest.approx(wanted, rel=1e-4)
