"""Lookups in tables of short rows against ``torch.nn.Embedding``."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from resemb_gnn.nn.layers.look_up import look_up


@settings(max_examples=20, deadline=None)
@given(shape=st.lists(st.integers(0, 4), max_size=3), width=st.integers(1, 3), sparse=st.booleans())
def test_it_equals_the_embedding(shape: list[int], width: int, sparse: bool) -> None:
    table = nn.Embedding(5, width, sparse=sparse).double()
    index = torch.randint(5, shape)
    found, wanted = look_up(table, index), table(index)
    assert torch.equal(found, wanted)
    probe = torch.randn_like(found)
    (one,) = torch.autograd.grad((found * probe).sum(), table.weight)
    (other,) = torch.autograd.grad((wanted * probe).sum(), table.weight)
    assert one.is_sparse == sparse
    torch.testing.assert_close(one.to_dense(), other.to_dense())


@pytest.mark.parametrize("bad", [-1, 5])
def test_a_row_that_is_not_there(bad: int) -> None:
    with pytest.raises(IndexError):
        look_up(nn.Embedding(5, 2), torch.tensor([0, bad]))
