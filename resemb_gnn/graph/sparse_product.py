"""Product of a sparse matrix with a dense one, which can be differentiated any number of times."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag


def sparse_product(
    ptr: Tensor, index: Tensor, weight: Tensor, x: Tensor, sparse: bool = False
) -> Tensor:
    r"""Weighted sums of the rows of ``x``, :math:`y_i = \sum_{e \in i} a_e x_{j(e)}`.

    Where one of ``weight`` and ``x`` is of a narrower type (under ``torch.autocast``, say), both
    are taken in the wider one.

    Args:
        ptr: offsets of the matrix's rows, int64 ``[num_rows + 1]``.
        index: column of each entry, int64 ``[num_entries]``.
        weight: value of each entry, ``[num_entries]``.
        x: ``[num_columns, dim]``.
        sparse: make the gradient of ``x`` a sparse tensor.

    Returns:
        ``[num_rows, dim]``, differentiable in ``x`` and ``weight``.
    """
    dtype = torch.promote_types(weight.dtype, x.dtype)
    sparse = sparse and x.dtype == dtype  # a sparse gradient cannot be converted
    weight, x = weight.to(dtype), x.to(dtype)
    if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
        out: Tensor = _SparseProduct.apply(ptr, index, weight, x, sparse)
        return out
    return _sum_rows(ptr, index, weight, x, sparse)


def _sum_rows(ptr: Tensor, index: Tensor, weight: Tensor, x: Tensor, sparse: bool) -> Tensor:
    return embedding_bag(index, x, ptr[:-1], mode="sum", sparse=sparse, per_sample_weights=weight)


class _SparseProduct(torch.autograd.Function):
    """PyTorch's embedding bag with its own gradient, the fastest there is, which cannot be
    differentiated; where it is to be, the same gradient is written in operations that can.
    """

    @staticmethod
    def forward(
        ctx: Any, ptr: Tensor, index: Tensor, weight: Tensor, x: Tensor, sparse: bool
    ) -> Tensor:
        with torch.enable_grad():
            factors = weight.detach(), x.detach()
            for factor, wanted in zip(factors, ctx.needs_input_grad[2:4], strict=True):
                factor.requires_grad_(wanted)
            out = _sum_rows(ptr, index, *factors, sparse)
        ctx.inner = factors, out
        ctx.save_for_backward(ptr, index, weight, x)
        return out.detach()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        ptr, index, weight, x = ctx.saved_tensors
        if torch.is_grad_enabled():
            rows = torch.arange(grad.size(0), device=grad.device)
            of_entry = grad.index_select(
                0, rows.repeat_interleave(ptr.diff(), output_size=index.numel())
            )
            by_weight = (of_entry * x.index_select(0, index)).sum(dim=1)
            by_x = torch.zeros_like(x).index_add(0, index, of_entry * weight.unsqueeze(1))
            return None, None, by_weight, by_x, None
        factors, out = ctx.inner
        wanted = [factor for factor in factors if factor.requires_grad]
        found = iter(torch.autograd.grad(out, wanted, grad, retain_graph=True))
        gradients = [next(found) if factor.requires_grad else None for factor in factors]
        return None, None, *gradients, None
