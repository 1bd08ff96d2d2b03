"""Propagation over a whole graph whose transpose is kept."""

from typing import Any

import torch
from torch import Tensor

from resemb_gnn.graph import Adjacency


def propagate(adjacency: Adjacency, transpose: Adjacency, x: Tensor) -> Tensor:
    """Product of a sparse matrix with ``x``, and with its transpose on the way back.

    The gradient is a product of the same kind as the value: rows are summed in their order, where
    autograd would sort the entries by column at each step. Differentiable in ``x`` only.

    Args:
        adjacency: the matrix, ``[num_rows, num_columns]``.
        transpose: its transpose.
        x: ``[num_columns, dim]``.

    Returns:
        ``[num_rows, dim]``.
    """
    out: Tensor = _Propagate.apply(x, adjacency, transpose)
    return out


class _Propagate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, adjacency: Adjacency, transpose: Adjacency) -> Tensor:
        ctx.adjacency, ctx.transpose = adjacency, transpose
        return adjacency.matmul(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return _Propagate.apply(grad.contiguous(), ctx.transpose, ctx.adjacency), None, None
