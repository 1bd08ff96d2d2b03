"""Errors, and how values are shown in their messages."""

import reprlib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxlong = _SHORT.maxother = 80
_SHORT.maxlist = 20


class InputError(ValueError):
    """Something the caller handed over cannot be used: data, a setting, a graph, a file.

    The message names the value and where it stands. The command line prints it
    without a traceback and exits with status 2.
    """


class RowError(InputError):
    """A value in a column of a table cannot be used. Whoever knows the table's files tells the line
    (:func:`~resemb_gnn.io.frame.naming`).

    Args:
        where: what stands before the row's number, the column's name at least.
        row: the row, from 0.
        what: what is said of the value.
    """

    def __init__(self, where: str, row: int, what: str) -> None:
        super().__init__(where, row, what)
        self.where, self.row, self.what = where, row, what

    def __str__(self) -> str:
        return f"{self.where}, row {self.row} (from 0): {self.what}"

    def at(self, place: str) -> InputError:
        """The error with another name for the row."""
        return InputError(f"{self.where}, {place}: {self.what}")


class PlacedError(InputError):
    """An error in a file that its message names: whoever works on another one with this one's help
    has no place to put before it.
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

    def __init__(self, message: str, batch: Any = None) -> None:  # one that is unpickled gets none
        super().__init__(message)
        self.batch = batch


def check_lengths(**parts: Any) -> None:
    """Refuses sequences that belong together, named by their keywords, of different lengths.

    Raises:
        InputError: naming each with its length.
    """
    lengths = {name: len(part) for name, part in parts.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise InputError(f"these must be of one length: {listed}")


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What differs between two sets of settings, each as "NAME was BEFORE and is AFTER"."""
    return [
        f"{name} was {shown(before.get(name))} and is {shown(after.get(name))}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def shown(value: Any) -> str:
    """The value as a message shows it: its ``repr`` in one line, of a long one both ends."""
    text = " ".join(_SHORT.repr(value).splitlines())
    return text if len(text) <= 500 else f"{text[:240]}...{text[-240:]}"


def brief(error: BaseException) -> str:
    """The first line of a library's error, shortened: some quote the whole input."""
    text = str(error).strip() or type(error).__name__
    first = text.splitlines()[0]
    return first if len(first) <= 300 else f"{first[:300]}..."


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``"; did you mean NAME?"`` with the nearest known name, or nothing if none is near."""
    names = [one for one in known if isinstance(one, str)]  # pandas has columns without names
    near = get_close_matches(name, names, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def unknown_choice(what: str, value: Any, known: Iterable[Any]) -> InputError:
    """The error for a value that is none of those that are known; it lists them, and tells which is
    near.

    Args:
        what: the value as the message shows it, with what it stands for.
        value: the value itself.
        known: those to choose from.
    """
    names = [str(one) for one in known]
    hint = did_you_mean(str(value), names)
    return InputError(f"{what} is unknown; choose from {', '.join(names)}{hint}")
