"""Segment sums and means against a loop, and their gradients against finite differences."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from resemb_gnn.nn.layers.segment import repeat_rows, segment_index, segment_mean, segment_sum


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=8))
def test_against_a_loop_and_finite_differences(lengths: list[int]) -> None:
    ptr = torch.tensor([0, *torch.tensor(lengths).cumsum(0).tolist()])
    segment = segment_index(ptr, sum(lengths))
    assert segment.tolist() == [s for s, length in enumerate(lengths) for _ in range(length)]
    generator = torch.Generator().manual_seed(sum(lengths))
    x = torch.randn(int(ptr[-1]), 3, generator=generator, dtype=torch.double, requires_grad=True)
    y = torch.randn(len(lengths), 3, generator=generator, dtype=torch.double, requires_grad=True)
    total = segment_sum(x, ptr, segment)
    for s in range(len(lengths)):
        assert torch.allclose(total[s], x[ptr[s] : ptr[s + 1]].sum(0))
    assert torch.equal(repeat_rows(y, ptr, segment), y[segment])
    assert torch.autograd.gradcheck(lambda a: segment_sum(a, ptr, segment), x)
    assert torch.autograd.gradcheck(lambda a: repeat_rows(a, ptr, segment), y)
    assert torch.autograd.gradgradcheck(lambda a: segment_sum(a**2, ptr, segment), x)
    assert torch.autograd.gradgradcheck(lambda a: repeat_rows(a**2, ptr, segment), y)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=8))
def test_mean_of_each_segment(lengths: list[int]) -> None:
    ptr = torch.tensor([0, *torch.tensor(lengths).cumsum(0).tolist()])
    x = torch.randn(int(ptr[-1]), 3, dtype=torch.double, requires_grad=True)
    segment = segment_index(ptr, len(x))
    mean = segment_mean(x, ptr, segment)
    for row, part in zip(mean, x.split(lengths), strict=True):
        torch.testing.assert_close(row, part.mean(dim=0).nan_to_num(0.0))
    assert torch.autograd.gradcheck(lambda a: segment_mean(a, ptr, segment), x)
