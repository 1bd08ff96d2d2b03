"""Runs that are kept as they are made: their file, and the command line that made them."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from resemb_gnn.experiment.results import refuse_other_settings, write_results
from resemb_gnn.io.json_text import read_json

FIRST_FIT: dict[str, Any] = {"train_negatives": 0, "ema_decay": 0.0, "lr": 1e-3}
"""How `fit` trained before version 0.2: the runs of scripts that name it were made so."""
FIRST: dict[str, Any] = {**FIRST_FIT, "attention": "none"}
"""The same as settings, with the attention of the paper."""


class RunFile:
    """A results file that grows by a run at a time, so that a stopped script goes on where it ends.

    Several processes may share it, each with other runs.

    Args:
        path: the file; runs that stand in it are taken over.
        head: what stands before the runs. If it has ``settings``, the file's own must be the same.

    Raises:
        InputError: if the file cannot be read, or is of other data or settings.
    """

    def __init__(self, path: Path, head: dict[str, Any]) -> None:
        self.path = path
        self.contents = head | {"runs": []}
        self.refresh()

    @property
    def runs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.contents["runs"]
        return found

    def refresh(self) -> None:
        """Takes over what stands in the file by now."""
        if self.path.exists():
            old = read_json(self.path)
            if "settings" in self.contents:
                refuse_other_settings(self.path, old, self.contents)
            self.contents |= {name: old[name] for name in ("data", "runs") if name in old}

    def holds(self, **key: Any) -> bool:
        """Whether there is a run with these entries."""
        return any(key.items() <= run.items() for run in self.runs)

    def add(self, run: dict[str, Any]) -> None:
        self.refresh()
        self.runs.append(run)
        write_results(self.path, self.contents)


def command(module: str, argv: Sequence[str] | None, *files: object) -> str:
    """The command line of a script, with the names alone of the ``files`` among its words."""
    paths = {str(file) for file in files}
    words = sys.argv[1:] if argv is None else argv
    return shlex.join(
        ["python", "-m", module, *(Path(word).name if word in paths else word for word in words)]
    )
