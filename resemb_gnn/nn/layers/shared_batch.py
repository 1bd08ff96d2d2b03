"""Statistics over a batch that several processes share."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from resemb_gnn.nn.layers.own_precision import at_least_float32

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


def normalize_across(x: Tensor, norm: nn.BatchNorm1d, moving: bool = True) -> Tensor:
    """Batch normalisation without weight and bias by mean and variance of all processes' rows,
    which the moving averages follow if ``moving``. A single row in all is normalised by them.

    ``torch.nn.SyncBatchNorm`` does so on GPUs alone. Gradients flow through the statistics, as in
    one process.

    Shapes:
        - **x:** this process's rows, ``[n, num_features]``; ``n`` may be 0
        - **output:** ``[n, num_features]``
    """
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None
    assert variance is not None
    dtype = mean.dtype  # under autocast x may have come in bfloat16
    # Counts and sums of narrow types would be off by more than rounding.
    x, mean, variance = (at_least_float32(part.to(dtype)) for part in (x, mean, variance))
    count, own_mean, own_variance = statistics_across(x)
    if count > 1:
        mean, variance = own_mean, own_variance
        if moving:
            move_averages(norm, count, mean, variance)
    return ((x - mean) / (variance + norm.eps).sqrt()).to(dtype)


def statistics_across(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Number, mean and variance of all processes' rows.

    Processes wait for each other whenever they add up, so they do it once: each puts its own
    number, mean and squares about it into a row of its own, and the parts are put together as by
    Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample
    Variances" (COMPSTAT 1982), which subtracts no large numbers from each other.
    """
    num, width = x.shape
    own_mean = x.sum(dim=0) / max(num, 1)
    own = torch.cat([x.new_tensor([num]), own_mean, (x - own_mean).square().sum(dim=0)])
    before, after = dist.get_rank(), dist.get_world_size() - dist.get_rank() - 1
    rows = sum_across(nn.functional.pad(own.unsqueeze(0), (0, 0, before, after)))
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
        dist.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return sum_across(grad)  # by this function, so that it has a gradient too
