"""A buffer is saved with the weights, and other weights are refused."""

import pickle

import pytest
import torch
from torch import nn

from resemb_gnn import InputError
from resemb_gnn.nn.encoders.guarded_buffer import register_guarded_buffer


def test_only_weights_of_the_same_value_are_loaded() -> None:
    def layer(value: int) -> nn.Module:
        module = nn.Linear(2, 1)
        message = "{module} has {own}, the weights {saved}"
        register_guarded_buffer(module, "place", torch.tensor([value]), message)
        return nn.Sequential(module)

    one, other = layer(3), layer(3)
    other.load_state_dict(one.state_dict())
    assert torch.equal(other[0].weight, one[0].weight)
    copied = pickle.loads(pickle.dumps(one))
    for module in (one, copied):
        with pytest.raises(InputError, match=r"Linear has \[3\], the weights \[4\]"):
            module.load_state_dict(layer(4).state_dict())
