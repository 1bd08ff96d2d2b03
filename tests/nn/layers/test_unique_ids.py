"""Distinct items of a batch against torch.unique."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from resemb_gnn.nn.layers.unique_ids import unique_ids


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 19), max_size=60), st.sampled_from([None, 20, 100_000]))
def test_equals_torch_unique(ids: list[int], num_items: int | None) -> None:
    tensor = torch.tensor(ids, dtype=torch.long)
    values, position = unique_ids(tensor, num_items)
    expected, inverse = torch.unique(tensor, return_inverse=True)
    assert torch.equal(values, expected)
    assert torch.equal(position, inverse)
    assert torch.equal(values[position], tensor)
