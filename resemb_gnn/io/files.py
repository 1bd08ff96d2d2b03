"""Files of lines, plain or gz, read within bounds."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from resemb_gnn.errors import InputError

LINE_LIMIT = 2**26  # bytes; a line is held in memory, and no history is that long
_GZIP = b"\x1f\x8b"
_MARK = b"\xef\xbb\xbf"  # the byte order mark of UTF-8


@contextmanager
def open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """A file's bytes, uncompressed if it is in gz form, without a byte order mark.

    Raises:
        InputError: if it cannot be read; also while it is read, for what is damaged or cut off.
    """
    try:
        with path.open("rb") as raw:
            compressed = raw.read(2) == _GZIP
            raw.seek(0)
            file = cast(IO[bytes], gzip.GzipFile(fileobj=raw)) if compressed else raw
            if file.read(3) != _MARK:
                file.seek(0)
            yield file
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read, damaged or cut off: {error}") from error


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a UTF-8 file, plain or gz, without their ends, and their numbers from 1.

    Raises:
        InputError: naming file and line, if the file cannot be read, a line is longer than
            ``LINE_LIMIT``, is not UTF-8, or holds a carriage return that ends no line.
    """
    number = 0
    with open_bytes(path) as file:
        if path.suffix == ".gz" and not path.stat().st_size:
            raise InputError(f"{path} is empty, which no gz file is")
        while True:
            try:
                line = file.readline(LINE_LIMIT + 1)
            except (OSError, EOFError, zlib.error) as error:
                raise InputError(
                    f"{path} cannot be read after line {number}, damaged or cut off: {error}"
                ) from error
            if not line:
                return
            number += 1
            if len(line) > LINE_LIMIT:
                raise too_long(path, number)
            try:
                text = line.decode()
            except UnicodeDecodeError as error:
                raise InputError(f"{path}, line {number}: {error}") from error
            if text.endswith("\n"):
                text = text[:-1].removesuffix("\r")
            if "\r" in text:
                raise bare_return(path, number)
            yield number, text


def check_utf8(path: Path) -> None:
    """Refuses a file of lines that is not UTF-8, naming the first such line."""
    with open_bytes(path) as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                raise InputError(f"{path}, line {number}: {error}") from error


def too_long(path: Path, line: int) -> InputError:
    return InputError(f"{path}, line {line}: longer than {LINE_LIMIT:,} bytes, the longest allowed")


def bare_return(path: Path, line: int) -> InputError:
    return InputError(
        f"{path}, line {line}: a carriage return (\\r) alone; lines must end in \\n or \\r\\n"
    )
