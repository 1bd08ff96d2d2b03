"""Packing against PyTorch's own."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils.rnn import pack_sequence

from resemb_gnn.nn.layers.packing import pack, permute


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=9))
def test_equals_pack_sequence(lengths: list[int]) -> None:
    ptr = torch.tensor([0, *torch.tensor(lengths).cumsum(0).tolist()])
    rows = torch.arange(int(ptr[-1]))
    packing = pack(ptr, len(rows))
    assert torch.equal(rows[packing.order][packing.place], rows)
    x = torch.randn(len(rows), 2, dtype=torch.double, requires_grad=True)
    order, place, _ = packing
    assert torch.equal(permute(x, order, place), x[order])
    if not rows.numel():
        assert packing.sizes.numel() == packing.order.numel() == 0
        return
    parts = [part for part in rows.split(lengths) if len(part)]
    parts.sort(key=len, reverse=True)
    expected = pack_sequence(parts)
    assert torch.equal(packing.order, expected.data)
    assert torch.equal(packing.sizes, expected.batch_sizes)
    assert torch.autograd.gradcheck(lambda x: permute(x, order, place), x)
