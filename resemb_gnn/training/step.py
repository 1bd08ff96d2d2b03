"""One step of training."""

import torch
import torch.distributed as dist
from torch import Tensor, nn

from resemb_gnn.data import Batch
from resemb_gnn.nn.layers.shared_batch import shared_batch
from resemb_gnn.training.distributed import add_gradients
from resemb_gnn.training.optimizer import ModelAdam


def training_step(
    model: nn.Module,
    batch: Batch,
    optimizer: torch.optim.Optimizer | ModelAdam,
    precision: str = "float32",
    offset: float = 0.0,
) -> Tensor:
    """One step down the mean click loss of the batch plus the model's penalty; returns their sum
    (a detached scalar on the model's device). ``precision`` as in :func:`fit`; ``offset`` is added
    to the logits in the loss alone.
    """
    loss = _click_loss(model, batch, precision, offset)
    penalty = _penalty(model, batch)
    if penalty is not None:
        loss = loss + penalty
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


def shared_step(
    model: nn.Module,
    part: Batch | None,
    whole: Batch,
    optimizer: torch.optim.Optimizer | ModelAdam,
    precision: str = "float32",
    offset: float = 0.0,
) -> Tensor:
    """:func:`training_step` on a batch of which each process has a part, with the same outcome as
    in one process but for rounding, and the same in every process.

    Args:
        model: the model, with the same weights in every process.
        part: this process's examples; ``None`` where there are too few to go round: then each
            process counts the whole batch for its share.
        whole: the batch of all processes, which the penalty is computed on.
        optimizer: in the same state in every process.
        precision: as in :func:`fit`.
        offset: as in :func:`training_step`.
    """
    processes = dist.get_world_size()
    with shared_batch(part is not None):
        click = _click_loss(model, whole if part is None else part, precision, offset)
    loss = click * (1 / processes if part is None else len(part) / len(whole))
    penalty = _penalty(model, whole)
    if penalty is not None:
        loss = loss + penalty / processes
    optimizer.zero_grad()
    loss.backward()
    whole_loss = add_gradients(model, loss)
    optimizer.step()
    return whole_loss


def _click_loss(model: nn.Module, batch: Batch, precision: str, offset: float) -> Tensor:
    mixed = precision == "bfloat16"
    with torch.autocast(batch.target.device.type, torch.bfloat16, enabled=mixed):
        logit = model(batch)
    logit = logit.to(batch.label.dtype)
    return nn.functional.binary_cross_entropy_with_logits(logit + offset, batch.label)


def _penalty(model: nn.Module, batch: Batch) -> Tensor | None:
    penalty_of = getattr(model, "penalty", None)
    return penalty_of(batch) if penalty_of is not None else None
