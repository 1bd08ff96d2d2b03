"""What watches over training: interruptions, losses that are not finite, exhausted memory."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn

from resemb_gnn.data import Batch
from resemb_gnn.errors import NotFiniteError, TrainingError
from resemb_gnn.io.atomic import publish, temporary_file

_DEFAULT = (signal.SIG_DFL, signal.default_int_handler)


class Interrupts:
    """Turns SIGINT and SIGTERM into ``KeyboardInterrupt`` where training may be interrupted.

    Within :meth:`held`, a signal waits for the end of the block: weights, moments and position
    are then of one step. Handlers that somebody else has set are left alone, and so is a process
    in which this is not the main thread.

    Args:
        active: whether to do so at all.
    """

    def __init__(self, active: bool) -> None:
        self.active = active and threading.current_thread() is threading.main_thread()
        self.whole = True  # no held block was left half-way
        self._holding = False
        self._pending = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interrupts":
        if self.active:
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) in _DEFAULT:
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *raised: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """A block that a signal does not interrupt."""
        self._holding = True
        try:
            yield
        except BaseException:
            self.whole = False
            raise
        finally:
            self._holding = False
        if self._pending:
            self._pending = False
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._holding:
            raise KeyboardInterrupt
        self._pending = True


class FiniteGuard:
    """Stops training where a loss or a weight is not finite, and saves the batch.

    On a CPU each loss is looked at; elsewhere, so as not to wait for the device, every
    ``interval`` steps and whenever :meth:`check` is called.

    Args:
        model: the model that is trained.
        folder: where to save the batch, as ``not-finite.pt``; ``None`` not to.
        interval: steps between looks, if the losses are not on a CPU.
    """

    def __init__(self, model: nn.Module, folder: Path | None, interval: int = 50) -> None:
        self.model = model
        self.folder = folder
        self.interval = interval
        self._seen: list[tuple[Batch, Tensor, str]] = []
        self._before: tuple[Batch | None, str] = (None, "the start")

    def see(self, batch: Batch, loss: Tensor, place: str) -> None:
        """Takes note of a step's batch and loss (a scalar), and looks at it when it is time."""
        self._seen.append((batch, loss, place))
        if loss.device.type == "cpu" or len(self._seen) >= self.interval:
            self._check_losses()

    def check(self) -> None:
        """Looks at all losses since the last look, and at the weights.

        Raises:
            NotFiniteError: if one is not finite.
        """
        self._check_losses()
        for name, weight in self.model.named_parameters():
            if weight.requires_grad and not bool(weight.isfinite().all()):
                batch, place = self._before
                self._stop(f"{name} is not finite after {place}", batch, None)

    def _check_losses(self) -> None:
        if not self._seen:
            return
        finite = torch.stack([loss for _, loss, _ in self._seen]).isfinite().tolist()
        for (batch, loss, place), fine in zip(self._seen, finite, strict=True):
            if not fine:
                self._stop(f"the training loss of {place} is {loss.item()}", batch, self._before[0])
            self._before = batch, place
        self._seen.clear()

    def _stop(self, message: str, batch: Batch | None, before: Batch | None) -> None:
        if self.folder is not None:
            path = self.folder / "not-finite.pt"
            try:
                with temporary_file(self.folder, "not-finite") as file:
                    torch.save({"batch": _parts(batch), "before": _parts(before)}, file)
                    publish(file, path)
                message += f"; {path} holds its batch and the one before, for torch.load"
            except (OSError, RuntimeError) as error:
                message += f"; its batch could not be saved to {path} ({error})"
        raise NotFiniteError(f"{message}. Checkpoints are from before it. Try a lower lr", batch)


@contextmanager
def explained(advice: Callable[[], str]) -> Iterator[None]:
    """Makes a clear message of exhausted memory.

    Raises:
        TrainingError: in place of Python's and PyTorch's own errors of memory.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        text = str(error)
        of_memory = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not of_memory and "can't allocate memory" not in text:
            raise
        raise TrainingError(
            f"memory is exhausted ({text.splitlines()[0] if text else 'MemoryError'}); a smaller"
            f" batch_size or max_history needs less. {advice()}"
        ) from error


def _parts(batch: Batch | None) -> dict[str, Any] | None:
    if batch is None:
        return None
    parts = {spec.name: getattr(batch, spec.name) for spec in fields(batch)}
    return {name: part.cpu() if isinstance(part, Tensor) else part for name, part in parts.items()}
