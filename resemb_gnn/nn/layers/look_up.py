"""Lookups in a table whose rows are short, with a quick gradient."""

from typing import Any

import torch
from torch import Tensor, nn

from resemb_gnn.nn.layers.segment import segment_mean


class _MeanLookUp(torch.autograd.Function):
    """An embedding bag; its own gradient sorts the index."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, index: Tensor, ptr: Tensor, segment: Tensor) -> Tensor:
        ctx.save_for_backward(index, ptr, segment)
        ctx.shape = weight.shape
        return nn.functional.embedding_bag(index, weight, ptr[:-1], mode="mean")

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        index, ptr, segment = ctx.saved_tensors
        share = grad / ptr.diff().clamp(min=1).unsqueeze(1)
        rows = share.index_select(0, segment)
        return grad.new_zeros(ctx.shape).index_add(0, index, rows), None, None, None


def look_up(table: nn.Embedding, index: Tensor) -> Tensor:
    """What ``table(index)`` returns.

    The dense gradient of ``torch.nn.Embedding`` takes as long for a short row on a CPU as for a
    longer one, several times as long as that of a selection.

    Args:
        table: the table.
        index: numbers of its rows, int64 ``[*]``.

    Returns:
        ``[*, width]``.

    Raises:
        IndexError: if there is no such row.
    """
    if table.sparse or index.device.type != "cpu":
        found: Tensor = table(index)
        return found
    return table.weight.index_select(0, index.flatten()).view(*index.shape, table.embedding_dim)


def mean_look_up(table: nn.Embedding, index: Tensor, ptr: Tensor, segment: Tensor) -> Tensor:
    """The mean of each segment's rows of the table; an empty segment gives zeros.

    Args:
        table: the table.
        index: numbers of its rows, int64 ``[m]``.
        ptr: offsets of the segments, int64 ``[n + 1]``.
        segment: segment of each number (:func:`~resemb_gnn.nn.layers.segment.segment_index`), int64
            ``[m]``.

    Returns:
        ``[n, width]``.
    """
    if table.sparse or index.device.type != "cpu" or torch.compiler.is_exporting():
        return segment_mean(look_up(table, index), ptr, segment)
    found: Tensor = _MeanLookUp.apply(table.weight, index, ptr, segment)
    return found
