"""A training run: what decides it, and how it goes."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from resemb_gnn.data import Examples, Split
from resemb_gnn.io.streams import display
from resemb_gnn.models import CTRModel
from resemb_gnn.training.checks import check_device
from resemb_gnn.training.distributed import (
    evaluate_across,
    join_processes,
    own_device,
    same_start,
)
from resemb_gnn.training.epoch import EpochLoop
from resemb_gnn.training.evaluation import evaluate
from resemb_gnn.training.guards import Interrupts, explained
from resemb_gnn.training.optimizer import ModelAdam
from resemb_gnn.training.result import FitResult, make_result
from resemb_gnn.training.run_fingerprint import run_fingerprint
from resemb_gnn.training.saver import Saver
from resemb_gnn.training.state import Epoch, TrainingState

_REDRAWN = 4  # sets the draws of an epoch apart from others of the same seed


@dataclass(frozen=True)
class Run:
    """The settings of :func:`~resemb_gnn.fit`, which are the same in every process of a run.

    Args:
        batch_size: examples a step, of all processes together.
    """

    epochs: int
    batch_size: int
    lr: float
    patience: int
    max_history: int | None
    train_negatives: int | None
    ema_decay: float | None
    sparse_rows: int | None
    compile: bool
    precision: str
    seed: int
    device: str
    checkpoints: Path | None
    resume: bool
    checkpoint_seconds: float

    def fit(
        self,
        model: nn.Module,
        split: Split,
        on_epoch: Callable[[int, Epoch], None] | None,
        progress: bool,
    ) -> FitResult:
        """Trains the model, in this process and with those that it has joined, if any."""
        device = own_device(check_device(self.device))
        rank, processes = join_processes(device)
        python_random = random.getstate()
        generator = seed_everything(self.seed)
        if isinstance(model, CTRModel):
            model.adapt(split.train)
        model.to(device)
        if processes > 1:
            same_start(model)
        train, valid = split.train.to(device), split.valid.to(device)
        negatives = self.train_negatives
        size, step_size = len(train), self.batch_size
        if negatives is not None:
            size = int(split.train.label.sum()) * (1 + negatives)
            step_size = max(1, self.batch_size // 2)

        def examples(epoch: int) -> Examples:
            if negatives is None:
                return train
            return split.redrawn(negatives, (self.seed % 2**64, epoch, _REDRAWN)).to(device)

        if self.compile:
            model.compile()
        state = TrainingState(
            model,
            lambda: ModelAdam(model, self.lr, self.sparse_rows),
            generator,
            device,
            on_epoch,
            self.ema_decay,
        )
        saver = Saver(self.checkpoints, state, self.checkpoint_seconds, writes=rank == 0)
        score = evaluate if processes == 1 else evaluate_across
        with explained(saver.advice), _put_back(python_random):
            saver.restore(
                lambda: run_fingerprint(
                    state.model, state.optimizer, split, self._decisive(device)
                ),
                self.resume,
            )
            if processes > 1:
                torch.distributed.barrier()  # nobody writes before all have read
            loop = EpochLoop(
                model,
                examples,
                saver,
                step_size,
                self.max_history,
                self.precision,
                progress and rank == 0,
                processes > 1,
            )
            with Interrupts(saver.active) as interrupts:
                try:
                    while True:
                        while not state.stage_finished(self.epochs, self.patience):
                            loop.run(interrupts)
                            loss = state.loss.item() / size
                            with state.averaged():
                                metrics = score(model, valid, max_history=self.max_history)
                                epoch = Epoch(loss, metrics, state.seconds)
                                if on_epoch is not None:
                                    on_epoch(state.number, epoch)
                            with interrupts.held():
                                with state.averaged():
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
            return make_result(model, split, state, score, self.max_history, device, size)

    def _decisive(self, device: torch.device) -> dict[str, Any]:
        """What a checkpoint's run must share."""
        settings = {
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "lr": self.lr,
            "patience": self.patience,
            "max_history": self.max_history,
            "compile": self.compile,
            "precision": self.precision,
            "seed": self.seed,
            "device": str(device),
        }
        if self.train_negatives is not None:
            settings["train_negatives"] = self.train_negatives
        if self.ema_decay is not None:
            settings["ema_decay"] = self.ema_decay
        return settings


@contextmanager
def _put_back(state: Any) -> Iterator[None]:
    """Puts Python's generator back at the end: PyG names the code that it writes by it, and two
    modules that were made after runs of one seed would share a name, and so the code of the first.
    """
    try:
        yield
    finally:
        random.setstate(state)


def seed_everything(seed: int) -> torch.Generator:
    """Seeds Python, NumPy and PyTorch, and returns a generator of its own for shuffling."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - other people's layers may draw from it
    torch.manual_seed(seed)
    return torch.Generator().manual_seed(seed)
