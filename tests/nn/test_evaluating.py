"""Evaluation mode for a while."""

import pytest
import torch
from torch import nn

from resemb_gnn.nn.evaluating import evaluating


def test_each_part_goes_back_to_its_mode_also_after_an_error() -> None:
    module = nn.Sequential(nn.BatchNorm1d(2), nn.Sequential(nn.Dropout(), nn.Linear(2, 2)))
    module[0].eval()  # frozen while the rest trains
    modes = [part.training for part in module.modules()]
    with evaluating(module):
        assert not any(part.training for part in module.modules())
    assert [part.training for part in module.modules()] == modes
    with pytest.raises(RuntimeError, match="running_mean"), evaluating(module):
        module(torch.ones(1, 3))
    assert [part.training for part in module.modules()] == modes
