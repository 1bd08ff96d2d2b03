"""Lookups in tables of short rows against ``torch.nn.Embedding``."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.func import functional_call

from resemb_gnn.nn.layers.look_up import look_up, mean_look_up
from resemb_gnn.nn.layers.segment import segment_index


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


@settings(max_examples=20, deadline=None)
@given(lengths=st.lists(st.integers(0, 4), min_size=1, max_size=6), sparse=st.booleans())
def test_means_equal_a_loop(lengths: list[int], sparse: bool) -> None:
    table = nn.Embedding(5, 2, sparse=sparse).double()
    index = torch.randint(5, (sum(lengths),))
    ptr = torch.tensor([0, *lengths]).cumsum(0)
    segment = segment_index(ptr, sum(lengths))
    found = mean_look_up(table, index, ptr, segment)
    wanted = torch.stack([table(part).sum(0) / max(len(part), 1) for part in index.split(lengths)])
    torch.testing.assert_close(found, wanted)
    probe = torch.randn_like(found)
    (one,) = torch.autograd.grad((found * probe).sum(), table.weight)
    (other,) = torch.autograd.grad((wanted * probe).sum(), table.weight)
    torch.testing.assert_close(one.to_dense(), other.to_dense())
    if not sparse:

        def of(weight: Tensor) -> Tensor:
            values: Tensor = functional_call(
                _Mean(table, index, ptr, segment), {"table.weight": weight}, ()
            )
            return values

        assert torch.autograd.gradcheck(of, table.weight)
        assert torch.autograd.gradgradcheck(lambda weight: of(weight) ** 2, table.weight)


class _Mean(nn.Module):
    def __init__(self, table: nn.Embedding, *parts: Tensor) -> None:
        super().__init__()
        self.table, self.parts = table, parts

    def forward(self) -> Tensor:
        return mean_look_up(self.table, *self.parts)


@pytest.mark.parametrize("bad", [-1, 5])
def test_a_row_that_is_not_there(bad: int) -> None:
    with pytest.raises(IndexError):
        look_up(nn.Embedding(5, 2), torch.tensor([0, bad]))
