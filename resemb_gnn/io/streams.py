"""Standard output and error that stop no work, whatever the process was started with."""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TextIO

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


def progress_bar(disable: bool, **options: Any) -> "tqdm":
    """A bar of ``tqdm`` on standard error, with its options; none where there is no such stream."""
    from tqdm import tqdm  # what parses the arguments draws none

    if not _is_open(sys.stderr):
        return tqdm(disable=True, **options)
    return tqdm(disable=disable, file=_Stream(sys.stderr, optional=True), **options)


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
