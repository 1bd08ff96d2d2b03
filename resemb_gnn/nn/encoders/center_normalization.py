"""From logits to centre weights: softmax, its sparse relatives, several heads, or any sum."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from resemb_gnn.errors import InputError, unknown_choice
from resemb_gnn.nn.layers.own_precision import at_least_float32
from resemb_gnn.settings.names import CENTER_NORMALIZATIONS

_STEPS = 100  # Newton's steps; about 8 are needed


@dataclass(frozen=True)
class CenterNormalization:
    r"""Turns logits :math:`z_i` into centre weights :math:`w_i`.

    - ``softmax``: :math:`w_{ik} \propto \exp z_{ik}`
    - ``sparsemax``: the point of the simplex nearest to :math:`z_i`; most weights are zero (Martins
      and Astudillo, ICML 2016)
    - ``entmax``: between the two, with :math:`\alpha = 1.5` (Peters et al., ACL 2019)
    - ``relu``: :math:`w_i = \max(0, z_i)`: weights of any sum, as the hidden units of a network
    - ``signed``: :math:`w_i = z_i`: weights of either sign and any sum

    With several heads, the centres fall into as many groups of ``num_centers / heads`` that
    follow each other, and each group gets weights of its own that sum to 1: an item is the sum of
    one mix a head, and its weights sum to the number of heads.

    Args:
        normalization: one of ``CENTER_NORMALIZATIONS``.
        heads: number of heads, which divides the number of centres.

    Shapes:
        - **input:** logits ``[n, num_centers]``
        - **output:** ``[n, num_centers]``

    Raises:
        InputError: if the normalisation is unknown, or ``heads`` below 1, or not 1 with
            ``relu`` or ``signed``.
    """

    normalization: str = "softmax"
    heads: int = 1

    def __post_init__(self) -> None:
        if self.normalization not in CENTER_NORMALIZATIONS:
            what = f"normalization={self.normalization!r}"
            raise unknown_choice(what, self.normalization, CENTER_NORMALIZATIONS)
        if self.heads < 1:
            raise InputError(f"heads must be at least 1, not {self.heads}")
        if self.heads > 1 and not self.shares:
            raise InputError(f"{self.normalization} weights are not normalised: heads must be 1")

    @property
    def shares(self) -> bool:
        """Whether a weight says how much of an item is at a centre: none is negative, and those of
        a head sum to 1.
        """
        return self.normalization not in ("relu", "signed")

    def check(self, num_centers: int) -> None:
        """Refuses a number of centres that the heads cannot share.

        Raises:
            InputError: if ``heads`` does not divide it.
        """
        if num_centers % self.heads:
            raise InputError(f"heads={self.heads} does not divide num_centers={num_centers}")

    def __call__(self, logits: Tensor) -> Tensor:
        if self.normalization == "signed":
            return logits
        if self.normalization == "relu":
            return logits.relu()
        heads = logits.unflatten(-1, (self.heads, -1))
        if self.normalization == "softmax":
            weights = heads.softmax(dim=-1)
        else:
            weights = entmax(heads, alpha=2.0 if self.normalization == "sparsemax" else 1.5)
        return weights.flatten(-2)


def entmax(logits: Tensor, alpha: float = 1.5) -> Tensor:
    r""":math:`\alpha`-entmax over the last dimension (Peters et al., "Sparse
    Sequence-to-Sequence Models", ACL 2019); sparsemax for :math:`\alpha = 2`.

    .. math::
        w_k = \max\left(0, (\alpha - 1) z_k - \tau\right)^{1 / (\alpha - 1)},
        \qquad \sum_k w_k = 1

    The sum is convex and falls in :math:`\tau`, so Newton's method from below goes up to its root
    without passing it, with no row to be sorted.

    Args:
        logits: ``[*, num_centers]``.
        alpha: 1.5, or any number above 1 and at most 2.
    """
    out: Tensor = _Entmax.apply(at_least_float32(logits), alpha)
    return out.to(logits.dtype)


class _Entmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, alpha: float) -> Tensor:
        power = 1 / (alpha - 1)
        # The largest of the shifted scores is 1, where the threshold 0 leaves a sum of at least 1.
        scores = (alpha - 1) * (logits - logits.amax(dim=-1, keepdim=True)) + 1
        threshold = torch.zeros_like(scores[..., :1])
        for _ in range(_STEPS):
            above = (scores - threshold).clamp_(min=0)
            slope = power * _power(above, power - 1).sum(dim=-1, keepdim=True)
            step = (_power(above, power).sum(dim=-1, keepdim=True) - 1) / slope
            threshold += step.clamp_(min=0)
            if not bool((step > 1e-7).any()):
                break
        weights = _power((scores - threshold).clamp_(min=0), power)
        weights /= weights.sum(dim=-1, keepdim=True)  # what rounding left over
        ctx.save_for_backward(weights)
        ctx.alpha = alpha
        return weights

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (weights,) = ctx.saved_tensors
        # Jacobian diag(s) - s s^T / sum(s) with s = w^(2 - alpha) on the support; off it, where a
        # power has no slope, it is taken of 1, for derivatives of this one.
        support = weights > 0
        s = torch.where(support, _power(torch.where(support, weights, 1.0), 2 - ctx.alpha), 0.0)
        mean = (s * grad).sum(dim=-1, keepdim=True) / s.sum(dim=-1, keepdim=True)
        return s * (grad - mean), None


def _power(x: Tensor, exponent: float) -> Tensor:
    """``x ** exponent`` for ``x >= 0``, and 0 where ``x`` is 0, whatever the exponent."""
    if exponent == 0:
        return (x > 0).to(x.dtype)
    if exponent == 0.5:
        return x.sqrt()
    return x if exponent == 1 else x**exponent
