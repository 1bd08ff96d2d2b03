"""Where the files of a data set lie, by what names it: known before any of them is read."""

import os
from pathlib import Path

from resemb_gnn.errors import InputError
from resemb_gnn.io.parts import Paths, find_places
from resemb_gnn.io.paths import expanded
from resemb_gnn.settings.names import NAMED, PLACED

ENDINGS = {"amazon": "_5.json.gz", "s3rec": ".txt"}
"""Data sets that are named by one of their files, and how that ends."""


def root_and_name(path: Path, name: str) -> tuple[Path, str]:
    """Folder of a data set that is named by one of its files, and what stands before its ending."""
    suffix = ENDINGS[name]
    if not path.name.endswith(suffix):
        raise InputError(f"--data {name}:{path} must name a file that ends in {suffix}")
    root = path.parent.parent if path.parent.name == "raw" else path.parent
    return root, path.name.removesuffix(suffix)


def read_places(data: Paths) -> list[Path]:
    """Files and folders that a data set is read from: no output may take their place.

    Of a published data set these are all files that lie where its raw files may.

    Raises:
        InputError: if a data set is named by a file that cannot be its, or nothing fits a pattern.
    """
    one = os.fspath(data) if isinstance(data, str | os.PathLike) else ""
    name, colon, place = one.partition(":")
    if one in NAMED:
        return []
    if colon and name in PLACED:
        path = expanded(place)
        root = root_and_name(path, name)[0] if name in ENDINGS else path
        files = [path for path in root.iterdir() if path.is_file()] if root.is_dir() else []
        return [root / "raw", root / "processed", *files]
    places = find_places(data)
    return [*places, *(file for path in places if path.is_dir() for file in path.iterdir())]
