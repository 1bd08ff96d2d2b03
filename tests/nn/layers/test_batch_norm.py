"""Batch normalisation of a batch of one."""

import pytest
import torch
from torch import nn

from resemb_gnn.nn import BatchNorm


def make_pair() -> tuple[BatchNorm, nn.BatchNorm1d]:
    torch.manual_seed(0)
    ours, theirs = BatchNorm(3), nn.BatchNorm1d(3)
    for value in (ours.weight, ours.bias, ours.running_mean):
        value.data.normal_()
    ours.running_var.uniform_(0.5, 2)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_is_torch_s_for_more_rows(training: bool) -> None:
    ours, theirs = make_pair()
    x = torch.randn(5, 3)
    assert torch.equal(ours.train(training)(x), theirs.train(training)(x))
    assert torch.equal(ours.running_mean, theirs.running_mean)
    assert torch.equal(ours.running_var, theirs.running_var)


def test_one_row_is_normalised_by_the_moving_averages() -> None:
    ours, theirs = make_pair()
    x = torch.randn(1, 3)
    before = {name: buffer.clone() for name, buffer in ours.named_buffers()}
    assert torch.equal(ours(x), theirs.eval()(x))
    assert all(torch.equal(buffer, before[name]) for name, buffer in ours.named_buffers())
    assert ours.training
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        theirs.train()(x)
