"""Dice, the activation of DIN."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from resemb_gnn.nn.layers.own_precision import at_least_float32
from resemb_gnn.nn.layers.second_derivative import differentiable_gradient
from resemb_gnn.nn.layers.shared_batch import (
    gradient_across,
    is_shared,
    normalize_across,
    plainly_normalized,
    statistics_to_use,
)


class Dice(nn.Module):
    r"""Data-adaptive activation (Zhou et al., "Deep Interest Network for Click-Through Rate
    Prediction", KDD 2018).

    .. math::
        f(s) = p(s) \cdot s + (1 - p(s)) \cdot \alpha s, \qquad
        p(s) = \sigma\left(\frac{s - E[s]}{\sqrt{Var[s] + \epsilon}}\right)

    Mean and variance are the batch's in training (of all processes that share it), and moving
    averages in evaluation.

    Args:
        num_features: width of the input.
        eps: :math:`\epsilon`.

    Shapes:
        - **input:** ``[n, num_features]``
        - **output:** ``[n, num_features]``
    """

    def __init__(self, num_features: int, eps: float = 1e-8) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(num_features, eps=eps, affine=False)
        self.alpha = nn.Parameter(torch.empty(num_features))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        self.norm.reset_running_stats()
        nn.init.zeros_(self.alpha)

    def forward(self, s: Tensor) -> Tensor:
        norm = self.norm
        mean, variance = norm.running_mean, norm.running_var
        assert mean is not None
        assert variance is not None
        s = s.to(self.alpha.dtype)  # under autocast, a layer before it may have given bfloat16
        if self.training and is_shared():
            if s.dtype.itemsize < 4:
                return _dice_by(partial(normalize_across, norm=norm), s, self.alpha)
            shared: Tensor = _SharedDice.apply(s, self.alpha, norm)
            return shared
        if self.training and s.size(0) > 1:
            out: Tensor = _BatchDice.apply(s, self.alpha, mean, variance, norm.momentum, norm.eps)
            return out
        # In evaluation, and for a single row, which has no variance of its own.
        wide = s.dtype.itemsize >= 4  # float16 would take eps for 0
        if wide and not torch.is_grad_enabled() and not torch.compiler.is_compiling():
            scale = (variance + norm.eps).rsqrt()
            gate = torch.addcmul(-mean * scale, s, scale).sigmoid_()  # in place: no pass is lost
            return torch.addcmul(self.alpha, gate, 1 - self.alpha).mul_(s)
        return _dice(s, self.alpha, mean, variance, norm.eps)

    def extra_repr(self) -> str:
        return f"{self.alpha.numel()}"


class _BatchDice(torch.autograd.Function):
    """Dice with the batch's statistics, in half the passes over memory that autograd takes; where
    the gradient is itself to be differentiated, autograd's.
    """

    @staticmethod
    def forward(
        ctx: Any,
        s: Tensor,
        alpha: Tensor,
        running_mean: Tensor,
        running_var: Tensor,
        momentum: float,
        eps: float,
    ) -> Tensor:
        normalized, mean, inverse_std = torch.native_batch_norm(
            s, None, None, running_mean, running_var, True, momentum, eps
        )
        gate = normalized.sigmoid_()
        slope = torch.addcmul(alpha, gate, 1 - alpha)
        ctx.save_for_backward(s, gate, slope, alpha, mean, inverse_std)
        ctx.eps = eps
        return s * slope

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        s, gate, slope, alpha, mean, inverse_std = ctx.saved_tensors
        if torch.is_grad_enabled():
            plain = partial(_plain_dice, eps=ctx.eps)
            return *differentiable_gradient(plain, (s, alpha), grad), None, None, None, None
        by_slope = grad * s
        gated = by_slope * gate
        grad_alpha = by_slope.sum(dim=0) - gated.sum(dim=0)
        # Through the gate: 1 - alpha goes in as the weight of the batch normalisation.
        through_gate = gated.addcmul_(gated, gate, value=-1)
        grad_s, _, _ = torch.ops.aten.native_batch_norm_backward(
            through_gate,
            s,
            1 - alpha,
            None,
            None,
            mean,
            inverse_std,
            True,
            ctx.eps,
            [True, False, False],
        )
        return grad_s.addcmul_(grad, slope), grad_alpha, None, None, None, None


class _SharedDice(torch.autograd.Function):
    """:class:`_BatchDice` of a batch that several processes share, each with rows of its own."""

    @staticmethod
    def forward(ctx: Any, s: Tensor, alpha: Tensor, norm: nn.BatchNorm1d) -> Tensor:
        count, mean, variance = statistics_to_use(s, norm)
        scale = (variance + norm.eps).rsqrt()
        gate = torch.addcmul(-mean * scale, s, scale).sigmoid_()
        slope = torch.addcmul(alpha, gate, 1 - alpha)
        ctx.save_for_backward(s, gate, slope, alpha, count, mean, variance)
        ctx.norm = norm
        return s * slope

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        s, gate, slope, alpha, count, mean, variance = ctx.saved_tensors
        if torch.is_grad_enabled():
            plain = partial(_dice_by, partial(plainly_normalized, norm=ctx.norm))
            return *differentiable_gradient(plain, (s, alpha), grad), None
        by_slope = grad * s
        gated = by_slope * gate
        grad_alpha = by_slope.sum(dim=0) - gated.sum(dim=0)
        through_gate = gated.addcmul_(gated, gate, value=-1)
        grad_s = gradient_across(
            through_gate, s, count, mean, variance, ctx.norm.eps, weight=1 - alpha
        )
        return grad_s.addcmul_(grad, slope), grad_alpha, None


def _dice_by(normalized: Callable[[Tensor], Tensor], s: Tensor, alpha: Tensor) -> Tensor:
    return s * torch.addcmul(alpha, normalized(s).sigmoid(), 1 - alpha)


def _plain_dice(s: Tensor, alpha: Tensor, eps: float) -> Tensor:
    # Not by PyTorch's batch_norm, whose third derivative takes mean and variance for constants.
    variance, mean = torch.var_mean(at_least_float32(s), dim=0, correction=0)
    return _dice(s, alpha, mean, variance, eps)


def _dice(s: Tensor, alpha: Tensor, mean: Tensor, variance: Tensor, eps: float) -> Tensor:
    scale = (at_least_float32(variance) + eps).sqrt()  # float16 would take eps for 0
    gate = ((s - mean) / scale).sigmoid().to(s.dtype)
    return s * torch.addcmul(alpha, gate, 1 - alpha)
