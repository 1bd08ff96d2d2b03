"""Training with early stopping."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from resemb_gnn.data import Examples, Split
from resemb_gnn.errors import InputError
from resemb_gnn.io.streams import display
from resemb_gnn.models import CTRModel
from resemb_gnn.settings import TrainingSettings
from resemb_gnn.settings.setting import check_values
from resemb_gnn.training.checks import check_device, check_vocabulary
from resemb_gnn.training.distributed import (
    evaluate_across,
    join_processes,
    own_device,
    same_start,
)
from resemb_gnn.training.epoch import EpochLoop
from resemb_gnn.training.evaluation import Metrics, evaluate
from resemb_gnn.training.guards import Interrupts, explained
from resemb_gnn.training.optimizer import ModelAdam
from resemb_gnn.training.run_fingerprint import run_fingerprint
from resemb_gnn.training.saver import Saver
from resemb_gnn.training.state import Epoch, TrainingState

_REDRAWN = 4  # sets the draws of an epoch apart from others of the same seed
SPARSE_ROWS = 100_000  # from about here dense Adam costs more than Adam on the batch's rows


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


def fit(
    model: nn.Module,
    split: Split,
    *,
    epochs: int = TrainingSettings.epochs,
    batch_size: int = TrainingSettings.batch_size,
    lr: float = TrainingSettings.lr,
    patience: int = TrainingSettings.patience,
    max_history: int | None = TrainingSettings.max_history,
    train_negatives: int | None = TrainingSettings.train_negatives,
    sparse_rows: int | None = SPARSE_ROWS,
    compile: bool = TrainingSettings.compile,
    precision: str = TrainingSettings.precision,
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: bool = True,
    on_epoch: Callable[[int, Epoch], None] | None = None,
    checkpoints: str | Path | None = None,
    resume: bool = False,
    checkpoint_seconds: float = 60.0,
) -> FitResult:
    """Trains a model by Adam on the click loss, stopping early on validation AUC.

    The seed governs the order of the batches and the global generators (Python's is put back at
    the end); to have the same start too, call ``torch.manual_seed`` before building the model
    (``compare`` does).

    Several processes (``torchrun``, or a process group that is there) train one model together,
    with the outcome of one process on batches of all their examples (docs/distributed.md).

    Args:
        model: maps a :class:`~resemb_gnn.data.Batch` to logits ``[batch_size]``; its
            ``penalty(batch)``, if there is one, is added to the loss.
        split: training, validation and test examples.
        epochs: at most so many passes over the training examples, in each stage: a residual that
            is staged (:class:`~resemb_gnn.nn.ResidualOptions`) begins a second one, from the best
            weights of the first, when the first has ended.
        batch_size: examples a step, of each process if ``torchrun`` has started several.
        lr: learning rate of Adam.
        patience: stop after so many epochs without a better validation AUC.
        max_history: only so many most recent behaviours of a history are used.
        train_negatives: so many negatives a positive, drawn anew each epoch (seeded by ``seed``),
            in the place of those of the split. A step then holds ``batch_size / 2`` positives, each
            with its negatives: with one it is as large as without this, and with several there are
            as many steps, of more examples. ``None``: those of the split, drawn once.
        sparse_rows: embedding tables of at least so many rows are trained by Adam on the rows of
            the batch alone (:class:`~resemb_gnn.training.ModelAdam`); ``None`` for no table.
        compile: train with ``model.compile()``: about a fifth less time a step on a CPU, for ten
            seconds at the start. Needs a C++ compiler.
        precision: ``"float32"``, or ``"bfloat16"`` for a network that is trained under
            ``torch.autocast``; embeddings, normalisation and loss stay in float32, and so does
            evaluation.
        seed: seed of the run.
        device: where to train.
        progress: show a progress bar; where standard error is no terminal, a line an epoch.
        on_epoch: called after each epoch with its number (from 1) and what it ended with. What it
            gathers is part of the checkpoints if it has ``state_dict`` and ``load_state_dict``,
            as :class:`~resemb_gnn.theory.GapCurve` has.
        checkpoints: folder in which to save the run after each epoch, every
            ``checkpoint_seconds`` within it, and when SIGINT or SIGTERM comes (which then raise
            ``KeyboardInterrupt``); the last two are kept. ``None`` for none.
        resume: go on from the newest sound checkpoint in the folder, with the weights that the
            uninterrupted run would have: the same to the bit on a CPU with as many threads. Without
            a checkpoint, start from the beginning.
        checkpoint_seconds: time between checkpoints within an epoch.

    Raises:
        InputError: if a setting is out of range, the device is not there, the embedding has
            another number of items than the log, or the folder holds checkpoints of a run of
            other settings or data (or of this one, without ``resume``).
        TrainingError: if memory or disk is exhausted (an ``InputError``, too).
        NotFiniteError: if a loss or a weight is not finite (a ``TrainingError`` and a
            ``FloatingPointError``); with ``checkpoints``, the batch is saved beside them.

    Examples:
        >>> import torch
        >>> import resemb_gnn as rg
        >>> split = rg.InterestDelayModel(num_users=100, num_items=40).sample().split(by="last")
        >>> model = rg.DIN(torch.nn.Embedding(40, 8))
        >>> result = rg.fit(model, split, epochs=2, progress=False)
        >>> len(result.curve), 0 < result.test.auc < 1
        (2, True)
    """
    check_values(
        TrainingSettings,
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        patience=patience,
        max_history=max_history,
        train_negatives=train_negatives,
        precision=precision,
    )
    if resume and checkpoints is None:
        raise InputError("resume needs checkpoints, the folder to go on from")
    if not checkpoint_seconds >= 0:
        raise InputError(f"checkpoint_seconds must be at least 0, not {checkpoint_seconds}")
    check_vocabulary(model, split.history)
    if split.valid.label.unique().numel() < 2:
        raise InputError(
            "validation holds examples of one label only: no AUC to choose the epoch by"
        )
    device = own_device(check_device(device))
    rank, processes = join_processes(device)
    if compile and processes > 1:
        raise InputError("compile goes with one process: it cannot trace what several share")
    python_random = random.getstate()
    generator = seed_everything(seed)
    if isinstance(model, CTRModel):
        model.adapt(split.train)
    model.to(device)
    if processes > 1:
        same_start(model)
    train, valid = split.train.to(device), split.valid.to(device)
    size, step_size = len(train), batch_size * processes
    if train_negatives is not None:
        size = int(split.train.label.sum()) * (1 + train_negatives)
        step_size = max(1, batch_size // 2) * processes

    def examples(epoch: int) -> Examples:
        if train_negatives is None:
            return train
        return split.redrawn(train_negatives, (seed % 2**64, epoch, _REDRAWN)).to(device)

    if compile:
        model.compile()
    state = TrainingState(
        model, lambda: ModelAdam(model, lr, sparse_rows), generator, device, on_epoch
    )
    settings = {
        "epochs": epochs,
        "batch_size": batch_size * processes,
        "lr": lr,
        "patience": patience,
        "max_history": max_history,
        "compile": compile,
        "precision": precision,
        "seed": seed,
        "device": str(device),
    }
    if train_negatives is not None:
        settings["train_negatives"] = train_negatives
    saver = Saver(checkpoints, state, checkpoint_seconds, writes=rank == 0)
    score = evaluate if processes == 1 else evaluate_across
    with explained(saver.advice), _put_back(python_random):
        saver.restore(
            lambda: run_fingerprint(state.model, state.optimizer, split, settings), resume
        )
        if processes > 1:
            torch.distributed.barrier()  # nobody writes before all have read
        loop = EpochLoop(
            model,
            examples,
            saver,
            step_size,
            max_history,
            precision,
            progress and rank == 0,
            processes > 1,
        )
        with Interrupts(saver.active) as interrupts:
            try:
                while True:
                    while not state.stage_finished(epochs, patience):
                        loop.run(interrupts)
                        loss = state.loss.item() / size
                        metrics = score(model, valid, max_history=max_history)
                        epoch = Epoch(loss, metrics, state.seconds)
                        if on_epoch is not None:
                            on_epoch(state.number, epoch)
                        with interrupts.held():
                            state.end_epoch(epoch)
                            saver.save()
                        if progress and rank == 0:
                            display().line(f"epoch {len(state.curve)}: {epoch}")
                    with interrupts.held():
                        if not state.next_stage():
                            break
            except KeyboardInterrupt:
                if interrupts.whole:
                    saver.save()
                raise
        return _result(model, split, state, score, max_history, device, size)


@contextmanager
def _put_back(state: Any) -> Iterator[None]:
    """Puts Python's generator back at the end: PyG names the code that it writes by it, and two
    modules that were made after runs of one seed would share a name, and so the code of the first.
    """
    try:
        yield
    finally:
        random.setstate(state)


def _result(
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


def seed_everything(seed: int) -> torch.Generator:
    """Seeds Python, NumPy and PyTorch, and returns a generator of its own for shuffling."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - other people's layers may draw from it
    torch.manual_seed(seed)
    return torch.Generator().manual_seed(seed)
