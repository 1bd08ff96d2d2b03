from collections.abc import Mapping
from typing import Any


class InputError(ValueError):
    """Something the caller handed over cannot be used: data, a setting, a graph, a file.

    The message names the value and where it stands. The command line prints it
    without a traceback and exits with status 2.
    """


class TrainingError(InputError):
    """Training cannot go on: memory or disk is exhausted, or numbers are no longer finite.

    The message says what to change and which checkpoint is there to go on from.
    """


class NotFiniteError(TrainingError, FloatingPointError):
    """A training loss, or a weight after a step, is infinite or not a number.

    Args:
        message: what was found, and where.
        batch: the batch of the step (:class:`~resemb_gnn.data.Batch`).
    """

    def __init__(self, message: str, batch: Any) -> None:
        super().__init__(message)
        self.batch = batch


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What differs between two sets of settings, each as "NAME was BEFORE and is AFTER"."""
    return [
        f"{name} was {before.get(name)!r} and is {after.get(name)!r}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]
