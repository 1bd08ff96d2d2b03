"""Activations by name and the fully connected part."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from resemb_gnn import InputError
from resemb_gnn.nn import Dice, make_activation, make_mlp


def test_activations() -> None:
    torch.manual_seed(0)
    s = torch.randn(6, 3)
    assert torch.equal(make_activation("relu", 3)(s), s.clamp(min=0))

    prelu = make_activation("prelu", 3)
    slope = torch.tensor([0.1, 0.5, 2.0])
    with torch.no_grad():
        prelu.weight.copy_(slope)  # one a feature
    assert torch.allclose(prelu(s), torch.where(s > 0, s, slope * s))

    dice = make_activation("dice", 3)
    assert isinstance(dice, Dice)
    gate = ((s - s.mean(dim=0)) / s.std(dim=0, correction=0)).sigmoid()
    assert torch.allclose(dice(s), gate * s, atol=1e-5)  # alpha starts at zero


@pytest.mark.parametrize(
    "make", [lambda name: make_activation(name, 3), lambda name: make_mlp(3, (2,), name)]
)
def test_unknown_activation(make: Callable[[str], nn.Module]) -> None:
    with pytest.raises(InputError, match="activation='tanh' is unknown; choose from dice, prelu"):
        make("tanh")


@pytest.mark.parametrize("hidden", [(), (5,), (5, 4, 3)])
@pytest.mark.parametrize("activation", ["dice", "prelu", "relu"])
@pytest.mark.parametrize("rows", [0, 1, 7])
def test_mlp_is_a_chain_of_linear_layers(
    hidden: tuple[int, ...], activation: str, rows: int
) -> None:
    torch.manual_seed(0)
    mlp = make_mlp(6, hidden, activation).eval()
    linear = [layer for layer in mlp if isinstance(layer, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in linear] == list(
        zip((6, *hidden), (*hidden, 1), strict=True)
    )
    x = torch.randn(rows, 6, requires_grad=True)

    def by_hand(x: Tensor) -> Tensor:
        state = mlp.state_dict()
        for at in range(len(hidden)):
            x = x @ state[f"{2 * at}.weight"].t() + state[f"{2 * at}.bias"]
            if activation == "relu":
                x = x.clamp(min=0)
            elif activation == "prelu":
                x = torch.where(x > 0, x, state[f"{2 * at + 1}.weight"] * x)
            else:  # at the start of training: mean 0, variance 1, alpha 0
                x = x * x.sigmoid()
        last = 2 * len(hidden)
        return x @ state[f"{last}.weight"].t() + state[f"{last}.bias"]

    out = mlp(x)
    assert out.shape == (rows, 1)
    assert torch.allclose(out, by_hand(x), atol=1e-5)
    out.sum().backward()
    assert bool(x.grad.isfinite().all())
