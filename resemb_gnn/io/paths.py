"""Paths as people write them."""

import os
from pathlib import Path

from resemb_gnn.errors import InputError


def expanded(path: str | os.PathLike[str]) -> Path:
    """The path with ``~`` or ``~NAME`` at its start replaced by the home folder, as by a shell.

    Every function that takes a path hands it through here, or through the functions of
    :mod:`resemb_gnn.io.outputs`, before it is used: polars, PyG and DuckDB expand, and Python does
    not, so that the files of one call would otherwise lie in two places.

    Raises:
        InputError: if the path is an empty text, which Python takes for the current folder.
    """
    if not os.fspath(path):
        raise InputError("a path is empty: name a file or folder, or . for the current folder")
    found = Path(os.path.expanduser(path))
    # Nobody has that name, or a folder is called so: absolute, it means the same to every library.
    return Path.cwd() / found if str(found).startswith("~") else found
