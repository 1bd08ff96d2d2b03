"""Dice, the activation of DIN."""

import torch
from torch import Tensor, nn


class Dice(nn.Module):
    r"""Data-adaptive activation (Zhou et al., "Deep Interest Network for Click-Through Rate
    Prediction", KDD 2018).

    .. math::
        f(s) = p(s) \cdot s + (1 - p(s)) \cdot \alpha s, \qquad
        p(s) = \sigma\left(\frac{s - E[s]}{\sqrt{Var[s] + \epsilon}}\right)

    Mean and variance are the batch's in training, and moving averages in evaluation.

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
        gate = self.normalized(s).sigmoid()
        return s * (self.alpha + gate * (1 - self.alpha))

    def normalized(self, s: Tensor) -> Tensor:
        """The input less its mean, over its standard deviation."""
        if self.training and s.size(0) < 2:  # one row has no variance; none has no mean either
            norm = self.norm
            if norm.running_mean is None or norm.running_var is None:
                return s
            return (s - norm.running_mean) / (norm.running_var + norm.eps).sqrt()
        normalized: Tensor = self.norm(s)
        return normalized

    def extra_repr(self) -> str:
        return f"{self.alpha.numel()}"
