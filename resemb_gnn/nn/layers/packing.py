"""Jagged sequences step by step: the order in which a recurrent layer reads them."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch_geometric.utils import cumsum

from resemb_gnn.nn.layers.segment import segment_index


class Packing(NamedTuple):
    """Rows of jagged sequences by step, and within a step by the length of their sequence, longest
    first: the layout of ``torch.nn.utils.rnn.PackedSequence``. Step ``t`` is a slice that holds row
    ``t`` of each sequence longer than ``t``.

    Args:
        order: which row stands at each packed place, int64 ``[num_rows]``.
        place: the reverse: packed place of each row, int64 ``[num_rows]``.
        sizes: sequences that are longer than ``t``, for each step ``t``, int64 ``[longest]``, on
            the CPU.
    """

    order: Tensor
    place: Tensor
    sizes: Tensor


def pack(ptr: Tensor, num_rows: int) -> Packing:
    """The packing of the sequences with offsets ``ptr``, int64 ``[num_sequences + 1]``, whose last
    is ``num_rows``.
    """
    lengths = ptr.diff()
    lengths, longest_first = lengths.sort(descending=True, stable=True)
    sizes = lengths.numel() - lengths.bincount().cumsum(0)[:-1]
    steps = cumsum(sizes)
    step = segment_index(steps, num_rows)
    rows = torch.arange(num_rows, device=ptr.device)
    order = ptr[longest_first[rows - steps[step]]] + step
    place = torch.empty_like(order)
    place[order] = rows
    return Packing(order, place, sizes.cpu())


def permute(x: Tensor, order: Tensor, place: Tensor) -> Tensor:
    """``x[order]`` for a permutation and its reverse: the gradient is a gather too, where that of
    indexing adds row by row.
    """
    out: Tensor = _Permute.apply(x, order, place)
    return out


class _Permute(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, order: Tensor, place: Tensor) -> Tensor:
        ctx.save_for_backward(order, place)
        return x.index_select(0, order)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        order, place = ctx.saved_tensors
        return _Permute.apply(grad, place, order), None, None
