"""What a data set is and where its files lie, by what names it: known before any is read."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from resemb_gnn.errors import InputError
from resemb_gnn.io.parts import KINDS, Paths, find_places, is_table, shown_paths
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


def named_data(data: Paths) -> tuple[str, str] | None:
    """The name of a data set known by name, and the place of its files, if it is said; ``None`` of
    files of one's own.
    """
    if not isinstance(data, str | os.PathLike):
        return named_data(data[0]) if len(data) == 1 else None
    one = os.fspath(data)
    name, colon, place = one.partition(":")
    if one in NAMED or (colon and name in PLACED):
        return name, place
    return None


def check_data(data: Paths, columns: Mapping[str, str | None], features: Mapping[str, Any]) -> bool:
    """Whether data are a table; nothing is read.

    Args:
        data: as :func:`~resemb_gnn.datasets.load_source` has them.
        columns: its columns of ``user``, ``item``, ``time``, ``category`` and ``label``.
        features: its further arguments.

    Raises:
        InputError: if there is no such data set or file, columns or features are named that it does
            not have, or some are not that must be.
    """
    given = [f"--{name}" for name, value in columns.items() if value is not None]
    features = {name: value for name, value in features.items() if value}
    title, named = shown_paths(data), named_data(data)
    places = find_places(data) if named is None else []
    table = bool(places) and is_table(places, columns_named=bool(given))
    if features and not table:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in features)
        raise InputError(
            f"{flags}: features are named for a table alone, but --data is {title!r}, which brings"
            " its own where there are some"
        )
    if given and not table:
        raise InputError(f"{', '.join(given)} name columns of a table, but --data is {title!r}")
    if named is not None:
        name, place = named
        if name in PLACED and not place:
            raise InputError(f"--data {name}: needs a folder or file, as in {name}:data/{name}")
        return False
    for path in places:
        if not path.exists():
            raise InputError(
                f"data {str(path)!r} is neither a known data set ({', '.join(NAMED)};"
                f" {', '.join(PLACED)}, each with :FOLDER) nor a file; files may be tables"
                f" ({KINDS}, or a folder of such files) or sequence files"
            )
    if not table:
        if len(places) > 1:
            raise InputError(
                f"{shown_paths(places)} are not all tables ({KINDS}, or folders of such files), and"
                " of sequence files one is read"
            )
        return False
    for name, of in (("items", "item_features"), ("users", "user_features")):
        if of in features and name not in features:
            raise InputError(
                f"--{of.replace('_', '-')} names columns of --{name}, which is missing"
            )
    if missing := [f"--{name}" for name in ("user", "item", "time") if columns[name] is None]:
        # Why a .txt is one.
        rule = "" if is_table(places, False) else " since columns are named, else a sequence file"
        raise InputError(f"{title} is a table{rule}: name its columns by {', '.join(missing)}")
    return True


def read_places(data: Paths) -> list[Path]:
    """Files and folders that a data set is read from: no output may take their place.

    Of a published data set these are all files that lie where its raw files may.

    Raises:
        InputError: if a data set is named by a file that cannot be its, or nothing fits a pattern.
    """
    if (named := named_data(data)) is not None:
        name, place = named
        if name in NAMED:
            return []
        path = expanded(place)
        root = root_and_name(path, name)[0] if name in ENDINGS else path
        files = [path for path in root.iterdir() if path.is_file()] if root.is_dir() else []
        return [root / "raw", root / "processed", *files]
    places = find_places(data)
    return [*places, *(file for path in places if path.is_dir() for file in path.iterdir())]
