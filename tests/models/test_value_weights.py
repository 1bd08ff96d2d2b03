"""The linear part of features: how fast it learns does not grow with the number of features."""

import pytest
import torch

from resemb_gnn.models import ValueWeights


@pytest.mark.parametrize(
    ("num_features", "moved"),
    [(1, 10), (2, 30), (4, 100), (12, 100), (30, 100)],  # 1, 3, 10, 78 and 465 terms
)
def test_a_step_of_adam_moves_the_logit_by_a_hundred_learning_rates_at_most(num_features, moved):
    model = ValueWeights([50] * num_features, bits=16)
    values = torch.zeros(1, num_features, dtype=torch.int64)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    model(values).sum().backward()
    optimizer.step()
    # Two pairs that share a weight count twice.
    assert -model(values).item() == pytest.approx(moved * 1e-3, rel=0.02)
