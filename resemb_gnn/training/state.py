"""All that a training run goes on from: weights, moments, generators, position, best so far."""

import copy
import random
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from math import isnan
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from resemb_gnn.training.averaged_weights import AveragedWeights
from resemb_gnn.training.checks import embeddings_of
from resemb_gnn.training.evaluation import Metrics
from resemb_gnn.training.optimizer import ModelAdam


@dataclass(frozen=True)
class Epoch:
    """What an epoch ended with: mean training loss (with penalty) and validation metrics."""

    train_loss: float
    valid: Metrics
    seconds: float

    def __str__(self) -> str:
        auc = "" if isnan(self.valid.auc) else f" valid AUC {self.valid.auc:.4f},"
        return f"loss {self.train_loss:.4f},{auc} {self.seconds:.1f} s"


class TrainingState:
    """A run as it stands between two steps.

    Args:
        model: the model that is trained.
        make_optimizer: makes its optimiser, again for each stage.
        generator: source of the order of the batches.
        device: where the model is.
        on_epoch: called after each epoch; if it has ``state_dict`` and ``load_state_dict``, what
            it has gathered is saved too.
        ema_decay: decay of the average of the weights that is evaluated and kept
            (:class:`~resemb_gnn.training.averaged_weights.AveragedWeights`), or ``None`` for the
            weights themselves.
    """

    def __init__(
        self,
        model: nn.Module,
        make_optimizer: Callable[[], ModelAdam],
        generator: torch.Generator,
        device: torch.device,
        on_epoch: Callable[[int, Epoch], None] | None = None,
        ema_decay: float | None = None,
    ) -> None:
        self.model = getattr(model, "_orig_mod", model)  # what torch.compile(model) wraps
        self.make_optimizer = make_optimizer
        self.optimizer = make_optimizer()
        self.ema_decay = ema_decay
        self.average = self._make_average()
        self.generator = generator
        self.on_epoch = on_epoch
        self.number = 1  # of the epoch
        self.begun = False  # whether its tables are renewed and its order is drawn
        self.order = generator.get_state()  # the generator's state before it is drawn
        self.step = 0  # batches done in it
        self.seconds = 0.0  # spent on them
        self.loss = torch.zeros((), device=device)  # sum over its examples; no wait a step
        self.curve: list[Epoch] = []
        self.stage_start = 0  # epochs before this stage
        self.best_epoch = 0
        self.best_weights: dict[str, Tensor] = {}
        self._gathered = self._gather()

    def begin_epoch(self) -> None:
        """Before the order of the batches is drawn: for the first time, or after a resume."""
        if self.begun:
            self.generator.set_state(self.order)
            return
        if self.number > 1:
            self.optimizer.renew()
            if self.average is not None and self.optimizer.renewed:
                self.average.restart()
        self.order = self.generator.get_state()
        self.step, self.seconds = 0, 0.0
        self.loss.zero_()
        self.begun = True

    def end_step(self, loss: Tensor) -> None:
        """Enters a step that is taken, with the sum of its loss over its examples."""
        self.loss += loss
        self.step += 1
        if self.average is not None:
            self.average.update()

    def averaged(self) -> AbstractContextManager[None]:
        """Within, the model has the weights that are evaluated and kept."""
        return nullcontext() if self.average is None else self.average.in_place()

    def end_epoch(self, epoch: Epoch) -> None:
        """Enters an epoch that is trained, evaluated and told of. Within :meth:`averaged`."""
        self.curve.append(epoch)
        best = self.curve[self.best_epoch - 1].valid.auc  # without validation, none is below
        if self.best_epoch == 0 or not epoch.valid.auc <= best:
            self.best_epoch = self.number
            self.best_weights = copy.deepcopy(self.model.state_dict())
        self.number += 1
        self.begun = False
        self.order = self.generator.get_state()
        self._gathered = self._gather()

    def stage_finished(self, epochs: int, patience: int) -> bool:
        """Whether the stage's epochs are done, or so many of them without a better one."""
        done = len(self.curve)
        return done - self.stage_start >= epochs or (
            self.best_epoch > 0 and done - max(self.best_epoch, self.stage_start) >= patience
        )

    def next_stage(self) -> bool:
        """Goes back to the best weights and, if the model has staged residuals that still wait
        (:class:`~resemb_gnn.nn.ResidualOptions`), releases them; returns whether it had.
        """
        self.model.load_state_dict(self.best_weights)
        if not self._release():
            return False
        self.optimizer = self.make_optimizer()
        self.average = self._make_average()
        self.stage_start = len(self.curve)
        return True

    def _make_average(self) -> AveragedWeights | None:
        return None if self.ema_decay is None else AveragedWeights(self.model, self.ema_decay)

    def _release(self) -> bool:
        released = [one.release_residual() for one in embeddings_of(self.model)]  # of all
        return any(released)

    def state_dict(self) -> dict[str, Any]:
        """Tensors, numbers, strings, lists and dictionaries."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "generators": _generators(self.loss.device),
            "order": self.order,
            "position": {"epoch": self.number, "begun": self.begun, "step": self.step},
            "seconds": self.seconds,
            "loss": self.loss,
            "curve": [asdict(epoch) for epoch in self.curve],
            "stage_start": self.stage_start,
            "best_epoch": self.best_epoch,
            "best_weights": self.best_weights,
            "on_epoch": self._gathered,
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Puts everything where it was when it was saved."""
        self.stage_start = saved["stage_start"]
        if self.stage_start and self._release():
            self.optimizer = self.make_optimizer()
            self.average = self._make_average()
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        if self.average is not None:
            self.average.load_state_dict(saved["average"])
        self.order = saved["order"]
        self.generator.set_state(self.order)
        position = saved["position"]
        self.number, self.begun, self.step = (position[key] for key in ("epoch", "begun", "step"))
        self.seconds = saved["seconds"]
        self.loss.copy_(saved["loss"])
        self.curve = [Epoch(**one | {"valid": Metrics(**one["valid"])}) for one in saved["curve"]]
        self.best_epoch, self.best_weights = saved["best_epoch"], saved["best_weights"]
        self._gathered = saved["on_epoch"]
        if self._gathered is not None:
            self.on_epoch.load_state_dict(self._gathered)  # type: ignore[union-attr]
        _set_generators(saved["generators"], self.loss.device)

    def _gather(self) -> Any:
        gathered = getattr(self.on_epoch, "state_dict", None)
        return None if gathered is None else gathered()


def _generators(device: torch.device) -> dict[str, Any]:
    """States of the generators of Python, NumPy and PyTorch."""
    numpy: Any = np.random.get_state()  # noqa: NPY002 - other people's layers may draw from it
    kind, key, *rest = numpy
    return {
        "python": random.getstate(),
        "numpy": [kind, torch.from_numpy(key.astype(np.int64)), *rest],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
    }


def _set_generators(saved: dict[str, Any], device: torch.device) -> None:
    random.setstate(saved["python"])
    kind, key, *rest = saved["numpy"]
    np.random.set_state((kind, key.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(saved["torch"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(saved["cuda"], device)
