"""What a training ends with."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import nn

from resemb_gnn.data import Split
from resemb_gnn.training.evaluation import Metrics
from resemb_gnn.training.state import Epoch, TrainingState


@dataclass(repr=False)
class FitResult:
    """What :func:`~resemb_gnn.fit` returns.

    Args:
        model: the model with the weights of its best epoch, in evaluation mode.
        curve: one entry an epoch.
        best_epoch: number of the best epoch by validation AUC, from 1.
        valid: validation metrics at the best epoch.
        test: test metrics of the best weights, computed once at the end.
        train: metrics of ``split.train_sample`` with the same weights.
        seconds_per_epoch: mean training time of an epoch, evaluation not counted.
        examples_per_second: training examples a second.
        num_parameters: learnable numbers of the model.

    Attributes:
        gap: generalisation gap in nats: test log loss less that of ``split.train_sample``.
    """

    model: nn.Module
    curve: list[Epoch]
    best_epoch: int
    valid: Metrics
    test: Metrics
    train: Metrics
    seconds_per_epoch: float
    examples_per_second: float
    num_parameters: int
    gap: float = field(init=False)

    def __post_init__(self) -> None:
        self.gap = self.test.logloss - self.train.logloss

    def __repr__(self) -> str:
        lines = [
            f"FitResult({type(self.model).__name__}, {self.num_parameters:,} parameters,"
            f" epoch {self.best_epoch} of {len(self.curve)})"
        ]
        for name, found in (("test", self.test), ("valid", self.valid), ("train", self.train)):
            figures = f"AUC {found.auc:.4f}, GAUC {found.gauc:.4f}, log loss {found.logloss:.4f}"
            lines.append(f"  {name:<5}  {figures}")
        return "\n".join(lines)


def make_result(
    model: nn.Module,
    split: Split,
    state: TrainingState,
    score: Callable[..., Metrics],
    max_history: int | None,
    device: torch.device,
    size: int,
) -> FitResult:
    """Scores the test examples with the best weights, which the last stage ended with."""
    model.eval()
    seconds = sum(epoch.seconds for epoch in state.curve) / len(state.curve)
    return FitResult(
        model=model,
        curve=state.curve,
        best_epoch=state.best_epoch,
        valid=state.curve[state.best_epoch - 1].valid,
        test=score(model, split.test.to(device), max_history=max_history),
        train=score(model, split.train_sample.to(device), max_history=max_history),
        seconds_per_epoch=seconds,
        examples_per_second=size / seconds,
        num_parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
    )
