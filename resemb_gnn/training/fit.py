"""Training with early stopping, and evaluation."""

import copy
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from resemb_gnn.data import Batch, BehaviorLog, Examples, Split
from resemb_gnn.errors import InputError
from resemb_gnn.training.metrics import auc, gauc, log_loss
from resemb_gnn.training.optimizer import TableAdam

PRECISIONS = ("float32", "bfloat16")
SPARSE_ROWS = 100_000  # from about here dense Adam costs more than Adam on the batch's rows


@dataclass(frozen=True)
class Metrics:
    """AUC, impression-weighted per-user AUC, and log loss (nats) of a set of examples."""

    auc: float
    gauc: float
    logloss: float


@dataclass(frozen=True)
class Epoch:
    """What an epoch ended with: mean training loss (with penalty) and validation metrics."""

    train_loss: float
    valid: Metrics
    seconds: float


@dataclass
class FitResult:
    """What :func:`fit` returns.

    Args:
        model: the model with the weights of its best epoch, in evaluation mode.
        curve: one entry an epoch.
        best_epoch: number of the best epoch by validation AUC, from 1.
        valid: validation metrics at the best epoch.
        test: test metrics of the best weights, computed once at the end.
        train: metrics of ``split.train_sample`` with the same weights.
        gap: generalisation gap in nats: test log loss less that of ``split.train_sample``.
        seconds_per_epoch: mean training time of an epoch, evaluation not counted.
        examples_per_second: training examples a second.
        num_parameters: learnable numbers of the model.
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


def fit(
    model: nn.Module,
    split: Split,
    *,
    epochs: int = 20,
    batch_size: int = 1024,
    lr: float = 1e-3,
    patience: int = 2,
    max_history: int | None = 50,
    sparse_rows: int | None = SPARSE_ROWS,
    compile: bool = False,
    precision: str = "float32",
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: bool = True,
    on_epoch: Callable[[int, Epoch], None] | None = None,
) -> FitResult:
    """Trains a model by Adam on the click loss, stopping early on validation AUC.

    The seed governs the order of the batches and the global generators; to have the same start
    too, call ``torch.manual_seed`` before building the model (``compare`` does).

    Args:
        model: maps a :class:`~resemb_gnn.data.Batch` to logits ``[batch_size]``; its
            ``penalty(batch)``, if there is one, is added to the loss.
        split: training, validation and test examples.
        epochs: at most so many passes over the training examples.
        batch_size: examples a step.
        lr: learning rate of Adam.
        patience: stop after so many epochs without a better validation AUC.
        max_history: only so many most recent behaviours of a history are used.
        sparse_rows: embedding tables of at least so many rows are trained by Adam on the rows of
            the batch alone (:class:`~resemb_gnn.training.TableAdam`); ``None`` for no table.
        compile: train with ``model.compile()``: about a fifth less time a step on a CPU, for ten
            seconds at the start. Needs a C++ compiler.
        precision: ``"float32"``, or ``"bfloat16"`` for a network that is trained under
            ``torch.autocast``; embeddings, normalisation and loss stay in float32, and so does
            evaluation.
        seed: seed of the run.
        device: where to train.
        progress: show a progress bar.
        on_epoch: called after each epoch with its number (from 1) and what it ended with.

    Raises:
        InputError: if a setting is out of range, the device is not there, or the embedding has
            another number of items than the log.
        FloatingPointError: if the loss is not finite at the end of an epoch.
    """
    for name, value in (("epochs", epochs), ("batch_size", batch_size), ("patience", patience)):
        if value < 1:
            raise InputError(f"{name} must be at least 1, not {value}")
    if not lr > 0:
        raise InputError(f"lr must be above 0, not {lr}")
    if max_history is not None and max_history < 1:
        raise InputError(f"max_history must be at least 1, not {max_history}")
    if precision not in PRECISIONS:
        raise InputError(f"precision={precision!r} is unknown; choose from {', '.join(PRECISIONS)}")
    _check_vocabulary(model, split.history)
    if split.valid.label.unique().numel() < 2:
        raise InputError(
            "validation holds examples of one label only: no AUC to choose the epoch by"
        )
    device = _check_device(device)
    generator = seed_everything(seed)
    model.to(device)
    train, valid = split.train.to(device), split.valid.to(device)
    optimizer = TableAdam(model, lr, sparse_rows)
    if compile:
        model.compile()
    curve: list[Epoch] = []
    best_epoch, best_state = 0, copy.deepcopy(model.state_dict())
    for number in range(1, epochs + 1):
        started = time.perf_counter()
        if number > 1:
            optimizer.renew()
        loss = _train_epoch(
            model,
            train,
            optimizer,
            batch_size,
            max_history,
            precision,
            generator,
            f"epoch {number}",
            progress,
        )
        seconds = time.perf_counter() - started
        if not np.isfinite(loss):
            raise FloatingPointError(f"the training loss of epoch {number} is {loss}")
        curve.append(Epoch(loss, evaluate(model, valid, max_history=max_history), seconds))
        if on_epoch is not None:
            on_epoch(number, curve[-1])
        if best_epoch == 0 or curve[-1].valid.auc > curve[best_epoch - 1].valid.auc:
            best_epoch, best_state = number, copy.deepcopy(model.state_dict())
        elif number - best_epoch >= patience:
            break
    model.load_state_dict(best_state)
    model.eval()
    seconds = sum(epoch.seconds for epoch in curve) / len(curve)
    return FitResult(
        model=model,
        curve=curve,
        best_epoch=best_epoch,
        valid=curve[best_epoch - 1].valid,
        test=evaluate(model, split.test.to(device), max_history=max_history),
        train=evaluate(model, split.train_sample.to(device), max_history=max_history),
        seconds_per_epoch=seconds,
        examples_per_second=len(train) / seconds,
        num_parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
    )


def _train_epoch(
    model: nn.Module,
    train: Examples,
    optimizer: TableAdam,
    batch_size: int,
    max_history: int | None,
    precision: str,
    generator: torch.Generator,
    title: str,
    progress: bool,
) -> float:
    model.train()
    total = torch.zeros((), device=train.target.device)  # stays on the device: no wait a step
    user_fold = getattr(getattr(model, "embedding", None), "user_fold", None)
    batches = train.batches(batch_size, max_history, generator, user_fold)
    bar = tqdm(total=len(train), desc=title, unit="ex", unit_scale=True, disable=not progress)
    with bar:
        for step, batch in enumerate(batches):
            loss = training_step(model, batch, optimizer, precision)
            total += loss * len(batch)
            bar.update(len(batch))
            if progress and step % 50 == 0:
                bar.set_postfix(loss=f"{loss.item():.4f}", refresh=False)
    return total.item() / len(train)


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


@torch.no_grad()
def predict(
    model: nn.Module,
    examples: Examples,
    *,
    batch_size: int = 8192,
    max_history: int | None = 50,
) -> Tensor:
    """Logits of the examples in evaluation mode, float32 ``[num_examples]``."""
    if max_history is not None and max_history < 1:
        raise InputError(f"max_history must be at least 1, not {max_history}")
    training = model.training
    model.eval()
    parts = [model(batch) for batch in examples.batches(batch_size, max_history)]
    model.train(training)
    return torch.cat(parts)


def evaluate(model: nn.Module, examples: Examples, *, max_history: int | None = 50) -> Metrics:
    """AUC, per-user AUC and log loss of the examples."""
    logit = predict(model, examples, max_history=max_history)
    return Metrics(
        auc=auc(logit, examples.label),
        gauc=gauc(logit, examples.label, examples.user),
        logloss=log_loss(logit, examples.label),
    )


def seed_everything(seed: int) -> torch.Generator:
    """Seeds Python, NumPy and PyTorch, and returns a generator of its own for shuffling."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - other people's layers may draw from it
    torch.manual_seed(seed)
    return torch.Generator().manual_seed(seed)


def _check_vocabulary(model: nn.Module, log: BehaviorLog) -> None:
    embedding = getattr(model, "embedding", None)
    size = getattr(embedding, "num_embeddings", log.num_items)
    if size != log.num_items:
        raise InputError(
            f"the embedding (and its graph) has {size} items, but the log {log.num_items}"
        )
    user_fold = getattr(embedding, "user_fold", None)
    if user_fold is not None and user_fold.numel() != log.num_users:
        raise InputError(
            f"the graph's folds deal out {user_fold.numel()} users, but the log has {log.num_users}"
        )


def _check_device(device: torch.device | str) -> torch.device:
    try:
        device = torch.device(device)
    except RuntimeError as error:
        raise InputError(f"device={device!r} is unknown; choose cpu or cuda") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"device='{device}' was asked for, but PyTorch sees"
            f" {torch.cuda.device_count() or 'no'} CUDA devices"
        )
    return device
