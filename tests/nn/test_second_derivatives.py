"""Second derivatives of every embedding and layer, against finite differences of the first."""

from collections.abc import Callable

import pytest
import torch
from dense_reference import random_graph
from every_embedding import EMBEDDINGS
from torch import Tensor, nn
from torch.autograd import gradgradcheck
from torch.func import functional_call

from resemb_gnn import DINAttention
from resemb_gnn.graph import mean_adjacency
from resemb_gnn.nn import AUGRU, BatchNorm, Dice, HashedCrosses, entmax
from resemb_gnn.nn.encoders import average
from resemb_gnn.nn.layers.attention_mean import attention_mean
from resemb_gnn.nn.layers.packing import pack, permute
from resemb_gnn.nn.layers.segment import segment_index, segment_softmax

IDS = torch.tensor([[3, 0, 3, 8], [1, 7, 2, 2]])
PTR = torch.tensor([0, 3, 3, 5])
KEY_INDEX = torch.tensor([0, 4, 4, 2, 1])


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.double, requires_grad=True)


def differentiable_twice(module: nn.Module, *inputs: Tensor) -> bool:
    """In the inputs that need a gradient and in the parameters."""
    module = module.double()
    names, parameters = zip(*module.named_parameters(), strict=True)
    free = [at for at, value in enumerate(inputs) if value.requires_grad]

    def call(*values: Tensor) -> Tensor:
        arguments = list(inputs)
        for at, value in zip(free, values, strict=False):
            arguments[at] = value
        own = dict(zip(names, values[len(free) :], strict=True))
        out: Tensor = functional_call(module, own, tuple(arguments))
        return out

    return bool(gradgradcheck(call, (*(inputs[at] for at in free), *parameters), fast_mode=True))


@pytest.mark.parametrize("kind", EMBEDDINGS)
@pytest.mark.parametrize("ids", [IDS, IDS[0]], ids=["2-D", "1-D"])
def test_embeddings(kind: str, ids: Tensor) -> None:
    assert differentiable_twice(EMBEDDINGS[kind](random_graph(0)), ids)


def test_one_centre_an_item_row_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(average, "_ROW_COST", 0)
    assert differentiable_twice(EMBEDDINGS["item-average"](random_graph(0)), IDS)


def attention(activation: str, normalization: str) -> nn.Module:
    return DINAttention(3, (4, 4), activation, normalization)


LAYERS: dict[str, Callable[[], tuple[nn.Module, tuple[Tensor, ...]]]] = {
    "Dice": lambda: (Dice(3), (draw(6, 3),)),
    "Dice of one row": lambda: (Dice(3), (draw(1, 3),)),
    "Dice in evaluation": lambda: (Dice(3).eval(), (draw(6, 3),)),
    "BatchNorm": lambda: (BatchNorm(3), (draw(6, 3),)),
    "BatchNorm of one row": lambda: (BatchNorm(3), (draw(1, 3),)),
    "AUGRU": lambda: (AUGRU(4, 3), (draw(5, 4), pack(PTR, 5).sizes, draw(5))),
    "GRU": lambda: (AUGRU(4, 3), (draw(5, 4), pack(PTR, 5).sizes)),
    "HashedCrosses": lambda: (HashedCrosses(3), (torch.tensor([1, 2, 3]), KEY_INDEX, PTR)),
    **{
        f"DINAttention {activation} {normalization}": lambda a=activation, n=normalization: (
            attention(a, n),
            (draw(3, 3), draw(5, 3), KEY_INDEX, PTR),
        )
        for activation in ("dice", "prelu")
        for normalization in ("none", "softmax")
    },
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name: str) -> None:
    module, inputs = LAYERS[name]()
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    assert differentiable_twice(module, *inputs)


def test_functions() -> None:
    adjacency, target = mean_adjacency(random_graph(0)), draw(9)
    source, x = draw(9), torch.randn(9, 4).double()
    assert gradgradcheck(
        lambda s, t: attention_mean(s, t, x, adjacency.ptr, adjacency.index), (source, target)
    )
    for alpha in (1.3, 1.5, 2.0):
        assert gradgradcheck(lambda z, a=alpha: entmax(3 * z, a), (draw(4, 5),))
    segment = segment_index(PTR, 5)
    assert gradgradcheck(lambda z: segment_softmax(z, PTR, segment), (draw(5),))
    order = torch.tensor([2, 0, 1])
    assert gradgradcheck(lambda z: permute(z, order, order.argsort()) ** 2, (draw(3, 2),))


@pytest.mark.parametrize("name", ["Dice", "AUGRU", "DINAttention dice softmax"])
def test_third_derivatives(name: str) -> None:
    module, inputs = LAYERS[name]()
    module = module.double()
    free = [x for x in inputs if x.requires_grad]

    def slope(*values: Tensor) -> Tensor:
        given = iter(values)
        out = module(*(next(given) if x.requires_grad else x for x in inputs))
        return torch.autograd.grad(out.square().sum(), values[0], create_graph=True)[0]

    assert gradgradcheck(slope, tuple(free), fast_mode=True)
