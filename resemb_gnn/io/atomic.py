"""Files and folders replaced as a whole: a reader, or a crash, sees the old contents or the new."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from resemb_gnn.errors import InputError


@contextmanager
def temporary_file(folder: Path, name: str) -> Iterator[BinaryIO]:
    """A new file ``.NAME.*`` in the folder, to be published or else removed at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=_prefix(name))
    os.close(handle)
    try:
        with open(temporary, "wb") as file:
            yield file
    finally:
        Path(temporary).unlink(missing_ok=True)


def publish(file: BinaryIO, path: Path) -> None:
    """Puts a temporary file of the same folder in the place of ``path``, once it is on the disk."""
    file.flush()
    os.fsync(file.fileno())
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the new name, too, is on the disk
    finally:
        os.close(folder)


def write_atomically(path: Path, text: str) -> None:
    """Replaces a file as a whole."""
    with temporary_file(path.parent, path.name) as file:
        file.write(text.encode())
        publish(file, path)


@contextmanager
def temporary_folder(folder: Path, name: str) -> Iterator[Path]:
    """A new folder ``.NAME.*`` in the folder, removed at the end with what is left in it."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder, prefix=_prefix(name)))
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def whole_folder(folder: Path, replace: bool) -> Iterator[Path]:
    """A temporary folder beside ``folder`` that takes its name when the block ends well.

    A block that fails leaves what was there. Between the old folder's leaving and the new one's
    coming there is a moment without either; a crash in it leaves both, under ``.NAME.*``.

    Raises:
        InputError: without ``replace``, if something has the name by then; the new folder is lost.
    """
    with temporary_folder(folder.parent, folder.name) as around:
        new, old = around / "new", around / "old"
        new.mkdir()
        yield new
        if folder.exists():
            if not replace:
                raise InputError(f"{folder} exists already")
            folder.rename(old)
        try:
            new.rename(folder)
        except BaseException:
            if old.exists():
                old.rename(folder)
            raise


@contextmanager
def whole_files(folder: Path, names: Iterable[str]) -> Iterator[Path]:
    """A temporary folder in ``folder``: when the block ends well its files of these ``names`` take
    their places in ``folder``, one after the other, and those that it has none of are removed,
    which were of what stood there before. A block that fails leaves all of them.
    """
    with temporary_folder(folder, "new") as new:
        yield new
        for name in names:
            if (new / name).exists():
                (new / name).replace(folder / name)
            else:
                (folder / name).unlink(missing_ok=True)


def _prefix(name: str) -> str:
    """Of a temporary name, cut: with what makes it unique a long name could be too long."""
    return f".{name[:32]}."
