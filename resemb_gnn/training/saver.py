"""When a run is saved, and what it goes on from."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from resemb_gnn.errors import InputError, brief
from resemb_gnn.io.outputs import shared_folder
from resemb_gnn.io.paths import expanded
from resemb_gnn.training.checkpoint import CheckpointFolder
from resemb_gnn.training.guards import FiniteGuard
from resemb_gnn.training.run_fingerprint import refuse_another_run
from resemb_gnn.training.state import TrainingState


class Saver:
    """Saves a run's state in its folder, and brings back what is there.

    Args:
        folder: folder of the checkpoints; ``None`` to save nothing.
        state: the run's state.
        seconds: time between checkpoints within an epoch.
        writes: whether this process writes; of several, one does, and all read.
    """

    def __init__(
        self,
        folder: str | Path | None,
        state: TrainingState,
        seconds: float,
        writes: bool = True,
    ) -> None:
        place = None if folder is None else expanded(folder)
        self.checkpoints = None if place is None else CheckpointFolder(place)
        self.writes = writes
        self.state = state
        self.seconds = seconds
        self.guard = FiniteGuard(state.model, place if writes else None)
        self.fingerprint: dict[str, Any] = {}
        self._last = time.monotonic()

    @property
    def active(self) -> bool:
        """Whether anything is saved."""
        return self.checkpoints is not None

    def restore(self, fingerprint: Callable[[], dict[str, Any]], resume: bool) -> None:
        """Puts the state where the newest sound checkpoint has it, if there is one.

        Args:
            fingerprint: tells what the run is of (``run_fingerprint``).
            resume: whether to go on from what is in the folder.

        Raises:
            InputError: if the folder holds checkpoints and ``resume`` is not set, or those of
                another run, or damaged ones only, or if none can be written.
        """
        if self.checkpoints is None:
            return
        folder = self.checkpoints.folder
        if not resume and self.checkpoints.files():
            raise InputError(
                f"{folder} holds checkpoints: go on from them with resume (--resume), or choose"
                " another folder"
            )
        if self.writes:
            shared_folder(folder)  # a full disk shows before the first epoch, not after it
        self.fingerprint = fingerprint()
        saved = self.checkpoints.load()
        if saved is None:
            return
        try:
            refuse_another_run(folder, saved["fingerprint"], self.fingerprint)
            self.state.load_state_dict(saved["state"])
        except InputError:
            raise
        except Exception as error:  # as many as there are parts that may be of another kind
            raise InputError(
                f"{folder}: the newest checkpoint holds what no run of ours saves: {brief(error)}"
            ) from error

    def save(self) -> None:
        """Writes a checkpoint.

        Raises:
            NotFiniteError: if a loss or a weight is not finite; nothing is written.
            TrainingError: if it cannot be written.
        """
        if self.checkpoints is None or not self.writes:
            return
        self.guard.check()
        self.checkpoints.save({"fingerprint": self.fingerprint, "state": self.state.state_dict()})
        self._last = time.monotonic()

    def save_when_due(self) -> None:
        """Writes a checkpoint if the last one is old enough."""
        if time.monotonic() - self._last >= self.seconds:
            self.save()

    def advice(self) -> str:
        """Where to go on from after an error."""
        files = self.checkpoints.files() if self.checkpoints is not None else []
        return f"Resume from {files[0]}" if files else "There is no checkpoint to resume from"
