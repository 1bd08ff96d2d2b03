"""Folders written as a whole or not at all."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from resemb_gnn.errors import InputError


@contextmanager
def whole_folder(folder: str | Path, replace: bool) -> Iterator[Path]:
    """A temporary folder beside ``folder`` that takes its name when the block ends well.

    A block that fails leaves what was there. Between the old folder's leaving and the new one's
    coming there is a moment without either; a crash in it leaves both, under ``.NAME.*``.

    Raises:
        InputError: without ``replace``, if something has the name by then; the new folder is lost.
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    around = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
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
    finally:
        shutil.rmtree(around, ignore_errors=True)
