"""Sums over the rows of each example, and the reverse: each the other's gradient. All of it can be
differentiated any number of times.
"""

from typing import Any

import torch
from torch import Tensor
from torch_geometric.index import ptr2index
from torch_geometric.utils import softmax


class _SegmentSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, ptr: Tensor, segment: Tensor) -> Tensor:
        ctx.save_for_backward(ptr, segment)
        return _sum_rows(x, ptr)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        ptr, segment = ctx.saved_tensors
        return _Expand.apply(grad, ptr, segment), None, None


class _Expand(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, ptr: Tensor, segment: Tensor) -> Tensor:
        ctx.save_for_backward(ptr, segment)
        return x.index_select(0, segment)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        ptr, segment = ctx.saved_tensors
        return _SegmentSum.apply(grad, ptr, segment), None, None


class _SegmentSoftmax(torch.autograd.Function):
    """PyG's softmax; its own gradient ends in kernels that have none."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, ptr: Tensor, segment: Tensor) -> Tensor:
        weight: Tensor = softmax(x, ptr=ptr)
        ctx.save_for_backward(weight, ptr, segment)
        return weight

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        weight, ptr, segment = ctx.saved_tensors
        part = weight * grad
        total = segment_sum(part.unsqueeze(1).flatten(1), ptr, segment)
        return part - weight * repeat_rows(total, ptr, segment).view_as(weight), None, None


def _sum_rows(x: Tensor, ptr: Tensor) -> Tensor:
    # The embedding-bag kernel sums sorted rows faster than segment_reduce and index_add.
    rows = torch.arange(x.size(0), device=x.device)
    return torch.nn.functional.embedding_bag(rows, x.contiguous(), ptr[:-1], mode="sum")


def segment_index(ptr: Tensor, num_rows: int) -> Tensor:
    """Segment of each row, int64 ``[num_rows]``, from offsets ``ptr`` ``[num_segments + 1]``.

    ``num_rows`` is ``ptr[-1]``, which the caller knows without waiting for the device.
    """
    if torch.compiler.is_exporting():  # ONNX has no repeat_interleave of a known size
        starts = ptr.new_zeros(num_rows + 1).index_add(0, ptr[1:], torch.ones_like(ptr[1:]))
        return starts[:num_rows].cumsum(0)
    return ptr2index(ptr, output_size=num_rows)


def segment_sum(x: Tensor, ptr: Tensor, segment: Tensor) -> Tensor:
    """Sum of each segment's rows; an empty segment gives zeros.

    Args:
        x: ``[num_rows, dim]``.
        ptr: offsets of the segments, int64 ``[num_segments + 1]``.
        segment: segment of each row (:func:`segment_index`), int64 ``[num_rows]``.

    Returns:
        ``[num_segments, dim]``.
    """
    if torch.compiler.is_exporting():  # ONNX loops over an embedding bag
        return x.new_zeros(ptr.numel() - 1, x.size(1)).index_add(0, segment, x)
    out: Tensor = _SegmentSum.apply(x, ptr, segment)
    return out


def repeat_rows(x: Tensor, ptr: Tensor, segment: Tensor) -> Tensor:
    """Each segment's row, repeated for each of its rows: ``x[segment]``.

    Args:
        x: ``[num_segments, dim]``.
        ptr: offsets of the segments, int64 ``[num_segments + 1]``.
        segment: segment of each row (:func:`segment_index`), int64 ``[num_rows]``.

    Returns:
        ``[num_rows, dim]``.
    """
    out: Tensor = _Expand.apply(x, ptr, segment)
    return out


def segment_mean(x: Tensor, ptr: Tensor, segment: Tensor) -> Tensor:
    """Mean of each segment's rows; an empty segment gives zeros. Arguments as in
    :func:`segment_sum`.
    """
    return segment_sum(x, ptr, segment) / ptr.diff().clamp(min=1).unsqueeze(1)


def segment_softmax(x: Tensor, ptr: Tensor, segment: Tensor) -> Tensor:
    """Softmax of the numbers of each segment, column by column.

    Args:
        x: ``[num_rows]`` or ``[num_rows, dim]``.
        ptr: offsets of the segments, int64 ``[num_segments + 1]``.
        segment: segment of each row (:func:`segment_index`), int64 ``[num_rows]``.

    Returns:
        Shaped as ``x``.
    """
    if torch.compiler.is_exporting():  # ONNX has no segment_reduce
        return softmax(x, segment, num_nodes=ptr.numel() - 1)
    out: Tensor = _SegmentSoftmax.apply(x, ptr, segment)
    return out
