"""Statistics over a batch that several processes share."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from resemb_gnn.nn.layers.own_precision import at_least_float32
from resemb_gnn.nn.layers.process_sum import add_up, gather_all
from resemb_gnn.nn.layers.second_derivative import differentiable_gradient

_shared = False


@contextmanager
def shared_batch(shared: bool = True) -> Iterator[None]:
    """Within, each process holds its part of one batch, and layers that normalise by the batch ask
    the others for theirs (every process must run them). Outside, a batch is a process's own.
    """
    global _shared
    before, _shared = _shared, shared
    try:
        yield
    finally:
        _shared = before


def is_shared() -> bool:
    """Whether the batch is one of several processes."""
    return _shared


def normalize_across(x: Tensor, norm: nn.BatchNorm1d) -> Tensor:
    """Batch normalisation without weight and bias by mean and variance of all processes' rows,
    which the moving averages follow. A single row in all is normalised by them.

    ``torch.nn.SyncBatchNorm`` does so on GPUs alone. Gradients flow through the statistics, as in
    one process.

    Shapes:
        - **x:** this process's rows, ``[n, num_features]``; ``n`` may be 0
        - **output:** ``[n, num_features]``
    """
    assert norm.running_mean is not None
    dtype = norm.running_mean.dtype  # under autocast x may have come in bfloat16
    # Counts and sums of narrow types would be off by more than rounding.
    out: Tensor = _Normalized.apply(at_least_float32(x.to(dtype)), norm)
    return out.to(dtype)


class _Normalized(torch.autograd.Function):
    """Rows normalised by the statistics of all, in fewer passes over memory than autograd takes;
    where the gradient is itself to be differentiated, autograd's.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, norm: nn.BatchNorm1d) -> Tensor:
        count, mean, variance = statistics_to_use(x, norm)
        ctx.save_for_backward(x, count, mean, variance)
        ctx.norm = norm
        scale = (variance + norm.eps).rsqrt()
        return torch.addcmul(-mean * scale, x, scale)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, count, mean, variance = ctx.saved_tensors
        if torch.is_grad_enabled():
            plain = partial(plainly_normalized, norm=ctx.norm)
            return *differentiable_gradient(plain, (x,), grad), None
        return gradient_across(grad, x, count, mean, variance, ctx.norm.eps), None


def plainly_normalized(x: Tensor, norm: nn.BatchNorm1d) -> Tensor:
    """:func:`normalize_across` in operations that autograd knows; moves no averages."""
    _, mean, variance = statistics_to_use(x, norm, moving=False)
    return (x - mean) / (variance + norm.eps).sqrt()


def statistics_to_use(
    x: Tensor, norm: nn.BatchNorm1d, moving: bool = True
) -> tuple[Tensor, Tensor, Tensor]:
    """Number of all processes' rows, and the mean and variance to normalise them by: their own,
    which the moving averages follow if ``moving``, or these averages for a single row.
    """
    count, mean, variance = statistics_across(x)
    if count > 1:
        if moving:
            move_averages(norm, count, mean, variance)
        return count, mean, variance
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return count, at_least_float32(norm.running_mean), at_least_float32(norm.running_var)


def gradient_across(
    grad: Tensor,
    x: Tensor,
    count: Tensor,
    mean: Tensor,
    variance: Tensor,
    eps: float,
    weight: Tensor | float = 1.0,
) -> Tensor:
    """Gradient of the rows from that of ``weight`` times the normalised rows, by what
    :func:`statistics_to_use` gave (Ioffe and Szegedy, "Batch Normalization", ICML 2015, section 3).

    Shapes:
        - **grad**, **x**, **output:** ``[n, num_features]``
        - **mean**, **variance**, **weight:** ``[num_features]``
    """
    scale = (variance + eps).rsqrt()
    if count <= 1:  # by the moving averages, which are constants
        return grad * (scale * weight)
    of_scale, of_mean = (sum_across(_sums(grad, x, mean, variance, eps)) / count).chunk(2)
    slope = -scale.square() * of_scale * weight
    shift = -mean * slope - scale * of_mean * weight
    return torch.addcmul(shift, x, slope).addcmul_(grad, scale * weight)


def _sums(grad: Tensor, x: Tensor, mean: Tensor, variance: Tensor, eps: float) -> Tensor:
    """Sums over the rows of the gradient times the normalised rows, and of the gradient, one after
    the other ``[2 * num_features]``.
    """
    if x.device.type == "cpu" and len(x):  # one pass, vectorised, where operations take four
        _, of_scale, of_mean = torch.ops.aten.native_batch_norm_backward(
            grad, x, None, mean, variance, None, None, False, eps, [False, True, True]
        )
    else:
        of_mean = grad.sum(dim=0)
        of_scale = (grad * (x - mean)).sum(dim=0) * (variance + eps).rsqrt()
    return torch.cat([of_scale, of_mean])


def statistics_across(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Number, mean and variance of all processes' rows.

    Processes wait for each other whenever they add up, so they do it once: each puts its own
    number, mean and squares about it into a row of its own, and the parts are put together as by
    Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample
    Variances" (COMPSTAT 1982), which subtracts no large numbers from each other.
    """
    num, width = x.shape
    if x.device.type == "cpu" and num and not torch.is_grad_enabled():
        # Vectorised over columns, as no reduction of PyTorch's is on CPUs.
        own_mean, own_variance = torch.batch_norm_update_stats(x, None, None, 0.0)
        squares = own_variance * num
    else:
        own_mean = x.sum(dim=0) / max(num, 1)
        squares = (x - own_mean).square().sum(dim=0)
    own = torch.cat([x.new_tensor([num]), own_mean, squares])
    if torch.is_grad_enabled():
        before, after = dist.get_rank(), dist.get_world_size() - dist.get_rank() - 1
        rows = sum_across(nn.functional.pad(own.unsqueeze(0), (0, 0, before, after)))
    else:
        rows = torch.stack(gather_all(own))
    counts, means, squares = rows.split([1, width, width], dim=1)
    count = counts.sum()
    mean = (counts * means).sum(dim=0) / count
    between = (counts * (means - mean).square()).sum(dim=0)
    return count.detach(), mean, (squares.sum(dim=0) + between) / count


@torch.no_grad()
def move_averages(norm: nn.BatchNorm1d, count: Tensor, mean: Tensor, variance: Tensor) -> None:
    """Moves the moving averages towards mean and variance of so many rows, at least two."""
    variance = variance * count / (count - 1)
    for average, value in ((norm.running_mean, mean), (norm.running_var, variance)):
        assert average is not None
        average.lerp_(value.to(average.dtype), norm.momentum or 0.0)


def sum_across(x: Tensor) -> Tensor:
    """Sum over the processes, with gradients of it."""
    total: Tensor = _Total.apply(x)
    return total


class _Total(torch.autograd.Function):
    """Sum over the processes. Each of them depends on every term: so do the gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        x = x.clone()
        add_up(x)
        return x

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return sum_across(grad)  # by this function, so that it has a gradient too
