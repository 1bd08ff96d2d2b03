"""Activations by name, and the fully connected part of the models."""

from torch import nn

from resemb_gnn.errors import unknown_choice
from resemb_gnn.nn.layers.dice import Dice

ACTIVATIONS = ("dice", "prelu", "relu")


def make_activation(name: str, num_features: int) -> nn.Module:
    """An activation over the last dimension of ``[n, num_features]``.

    Raises:
        InputError: if the name is not one of ``dice``, ``prelu`` and ``relu``.
    """
    if name == "dice":
        return Dice(num_features)
    if name == "prelu":
        return nn.PReLU(num_features)
    if name == "relu":
        return nn.ReLU()
    raise unknown_choice(f"activation={name!r}", name, ACTIVATIONS)


def make_mlp(in_features: int, hidden: tuple[int, ...], activation: str) -> nn.Sequential:
    """Linear layers with activations between them and one output, ``[n, in] -> [n, 1]``."""
    layers: list[nn.Module] = []
    for width in hidden:
        layers += [nn.Linear(in_features, width), make_activation(activation, width)]
        in_features = width
    return nn.Sequential(*layers, nn.Linear(in_features, 1))
