"""Predictions and metrics of a set of examples."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from resemb_gnn.data import Examples
from resemb_gnn.errors import InputError
from resemb_gnn.io.streams import progress_bar
from resemb_gnn.nn.evaluating import evaluating
from resemb_gnn.training.checks import suited
from resemb_gnn.training.metrics import auc, gauc, log_loss


@dataclass(frozen=True)
class Metrics:
    """AUC, GAUC (each user's, weighted by impressions) and log loss (nats) of examples."""

    auc: float
    gauc: float
    logloss: float


@torch.no_grad()
def predict(
    model: nn.Module,
    examples: Examples,
    *,
    batch_size: int = 8192,
    max_history: int | None = 50,
    progress: bool = False,
) -> Tensor:
    """Logits of the examples in evaluation mode, float32 ``[num_examples]``; of examples with
    negatives, those of each one's target and negatives in turn, ``[num_examples * candidates]``.

    Raises:
        InputError: if there are no examples, or ``max_history`` is below 1.
    """
    if not len(examples):
        raise InputError("there are no examples to score")
    if max_history is not None and max_history < 1:
        raise InputError(f"max_history must be at least 1, not {max_history}")
    parts = []
    bars = progress_bar(total=len(examples), desc="scoring", unit="ex", disable=not progress)
    with evaluating(model), bars as bar:
        for batch in examples.batches(max(1, batch_size // examples.candidates), max_history):
            parts.append(model(suited(model, batch)))
            bar.update(len(batch) // examples.candidates)
    return torch.cat(parts)


def evaluate(
    model: nn.Module,
    examples: Examples,
    *,
    max_history: int | None = 50,
    progress: bool = False,
) -> Metrics:
    """AUC, GAUC and log loss of the examples; none of them is a number if there are none."""
    if not len(examples):
        return Metrics(math.nan, math.nan, math.nan)
    logit = predict(model, examples, max_history=max_history, progress=progress)
    return metrics_of(logit, examples)


def metrics_of(logit: Tensor, examples: Examples) -> Metrics:
    """The metrics of given logits, ``[num_examples]``."""
    return Metrics(
        auc=auc(logit, examples.label),
        gauc=gauc(logit, examples.label, examples.user),
        logloss=log_loss(logit, examples.label),
    )
