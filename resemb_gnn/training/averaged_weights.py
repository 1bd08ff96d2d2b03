"""Weights averaged over the steps of training."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class AveragedWeights:
    r"""Exponential moving average of a model's weights (Polyak and Juditsky, SIAM J. Control Optim.
    1992; with exponential weights as Tarvainen and Valpola, "Mean teachers are better role
    models", NeurIPS 2017, have it).

    .. math::
        \bar\theta_t = d_t \bar\theta_{t-1} + (1 - d_t)\, \theta_t, \qquad
        d_t = \min\left(d, \frac{1 + t}{10 + t}\right)

    with :math:`t` the steps since the start, so that the first weights are soon forgotten. The
    average is a model of its own: it is what is validated, chosen, tested and kept, while training
    goes on from the weights themselves. Running statistics are not averaged: they are averages.

    Args:
        model: the model; those of its parameters count that are trained when this is made.
        decay: :math:`d`, from 0 (the weights themselves) to below 1.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights: list[Tensor] = [one for one in model.parameters() if one.requires_grad]
        self.restart()

    @torch.no_grad()
    def restart(self) -> None:
        """Forgets all steps so far."""
        self.steps = 0
        self.averages: list[Tensor] = [one.detach().clone() for one in self.weights]

    @torch.no_grad()
    def update(self) -> None:
        """After a step."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(self.averages, self.weights, 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The model has the averages for weights within, and its own afterwards."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for weight, average in zip(self.weights, self.averages, strict=True):
            kept = weight.detach().clone()
            weight.copy_(average)
            average.copy_(kept)

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps, "averages": self.averages}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self.steps = saved["steps"]
        for average, value in zip(self.averages, saved["averages"], strict=True):
            average.copy_(value)
