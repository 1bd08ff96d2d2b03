"""One step of training."""

import torch
from torch import Tensor, nn

from resemb_gnn.data import Batch
from resemb_gnn.training.optimizer import TableAdam


def training_step(
    model: nn.Module,
    batch: Batch,
    optimizer: torch.optim.Optimizer | TableAdam,
    precision: str = "float32",
) -> Tensor:
    """One step down the mean click loss of the batch plus the model's penalty; returns their sum
    (a detached scalar on the model's device). ``precision`` as in :func:`fit`.
    """
    mixed = precision == "bfloat16"
    with torch.autocast(batch.target.device.type, torch.bfloat16, enabled=mixed):
        logit = model(batch)
    logit = logit.to(batch.label.dtype)
    loss = nn.functional.binary_cross_entropy_with_logits(logit, batch.label)
    penalty_of = getattr(model, "penalty", None)
    penalty = penalty_of(batch) if penalty_of is not None else None
    if penalty is not None:
        loss = loss + penalty
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()
