"""Standard output and error that stop no work, whatever the process was started with."""

import contextlib
import os
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol, Self, TextIO

if TYPE_CHECKING:
    from tqdm import tqdm


class _Stream:
    """Writes to another text stream; a character that it cannot show is escaped.

    Args:
        stream: the other.
        optional: whether to leave out what cannot be written for another reason.
    """

    def __init__(self, stream: TextIO, optional: bool) -> None:
        self._stream = stream
        self._failures = (OSError, ValueError) if optional else ()  # ValueError: closed meanwhile

    def write(self, text: str) -> int:
        with contextlib.suppress(*self._failures):
            try:
                self._stream.write(text)
            except UnicodeEncodeError:
                encoding = getattr(self._stream, "encoding", None) or "ascii"
                self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(*self._failures):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Bar(Protocol):
    """What work with a bar does with it; one of ``tqdm`` can more."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *raised: Any) -> None: ...

    def update(self, n: int) -> object: ...

    def set_postfix(self, *, refresh: bool, **figures: str) -> object: ...


class Display:
    """Where the progress of training is shown: by bars on standard error if that is a terminal,
    and else by a line an epoch, since in a file a bar is a thousand lines in one.
    """

    def bar(self, **options: Any) -> Bar:
        """A bar, with the options of ``tqdm``."""
        found: Bar = progress_bar(disable=False, **options)
        return found

    def line(self, text: str) -> None:
        """A line on an epoch, or on a stage of a command, that has ended."""
        if not on_terminal() and _is_open(sys.stderr):
            print(text, file=_Stream(sys.stderr, optional=True), flush=True)


_DISPLAY: ContextVar[Display] = ContextVar("display", default=Display())  # noqa: B039 - stateless


def display() -> Display:
    """Where the progress of training is shown now."""
    return _DISPLAY.get()


@contextlib.contextmanager
def shown_on(display: Display) -> Iterator[None]:
    """Shows progress elsewhere while it is open."""
    before = _DISPLAY.set(display)
    try:
        yield
    finally:
        _DISPLAY.reset(before)


def on_terminal() -> bool:
    """Whether standard error is a terminal, on which a bar can be drawn."""
    return _is_open(sys.stderr) and sys.stderr.isatty()


def progress_bar(disable: bool, **options: Any) -> "tqdm":
    """A bar of ``tqdm`` on standard error, with its options; none where that is no terminal."""
    from tqdm import tqdm  # what parses the arguments draws none

    if disable or not on_terminal():
        return tqdm(disable=True, **options)
    return tqdm(file=_Stream(sys.stderr, optional=True), **options)


@contextlib.contextmanager
def standard_streams() -> Iterator[None]:
    """Puts such streams in the place of ``sys.stdout`` and ``sys.stderr`` while it is open, also
    where these are closed or ``None`` (a service, ``pythonw``).

    Of standard output an error is an error still, such as a full disk; notes and progress on
    standard error are worth no work, and what is lost of them is lost in silence.
    """
    _hold_descriptors()
    with (
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stdout(_Stream(_opened(sys.stdout, nowhere), optional=False)),
        contextlib.redirect_stderr(_Stream(_opened(sys.stderr, nowhere), optional=True)),
    ):
        yield


def _opened(stream: TextIO | None, instead: TextIO) -> TextIO:
    return stream if stream is not None and _is_open(stream) else instead


def _is_open(stream: TextIO | None) -> bool:
    return stream is not None and not getattr(stream, "closed", False)


def _hold_descriptors() -> None:
    """Opens the null device for each standard stream that the process was started without: the
    next file would get its number, and what libraries in C print would be written into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # gets the lowest number free
