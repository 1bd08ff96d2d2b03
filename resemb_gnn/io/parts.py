"""The files that a table is read from: paths, patterns, folders of parts, and several of these."""

import fnmatch
import glob
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeGuard

from resemb_gnn.errors import InputError, shown
from resemb_gnn.io.paths import expanded

PARQUET = (".parquet", ".pq")
SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}  # by the file's ending, also with .gz
KINDS = ".csv, .tsv or .txt (the last two with tabs; each also .gz), .parquet or .pq"

Paths: TypeAlias = "str | os.PathLike[str] | Sequence[str | os.PathLike[str]]"


def are_paths(value: Any) -> TypeGuard[Paths]:
    """Whether a value names files: a path, or a list or tuple of some."""
    if isinstance(value, list | tuple):
        return bool(value) and all(isinstance(one, str | os.PathLike) for one in value)
    return isinstance(value, str | os.PathLike)


def shown_paths(paths: Paths, *, folders: bool = True) -> str:
    """How messages name them, the first of many, with the ``folders`` that they are in or not."""
    names = [os.fspath(path) if folders else Path(path).name for path in _each(paths)]
    more = f" and {len(names) - 2} more" if len(names) > 3 else ""
    return ", ".join(names[:2] if more else names) + more


def find_places(paths: Paths) -> list[Path]:
    """The files and folders that paths and patterns name, ``~`` expanded, each once and in the
    order of their names, whatever the order in which they are given.

    A pattern has ``*``, ``?``, ``[...]`` or ``**`` as :mod:`glob` reads them. What is there under
    the very name is no pattern, nor is a folder above it: ``run[1].csv`` is a file, if it is there.
    Names that a pattern finds are left out if they begin with ``.`` or ``_``, as in a folder.

    Raises:
        InputError: if a path is empty, or nothing fits a pattern.
    """
    found: dict[str, Path] = {}
    for path in _each(paths):
        for place in _matches(expanded(path)):
            found.setdefault(os.path.realpath(place), place)
    return sorted(found.values(), key=str)


def find_parts(paths: Paths) -> list[Path]:
    """The files of one table in the order of their names: those of :func:`find_places`, and of a
    folder the files in it.

    What begins with ``.``, and files in a folder that begin with ``_``, are notes of the program
    that wrote it, such as ``_SUCCESS``; anything else in it must be a table, and all Parquet or all
    text.

    Raises:
        InputError: if a file is missing, a folder holds none or something else, or Parquet comes
            with text.
    """
    found: dict[str, Path] = {}
    for place in find_places(paths):
        if not place.is_dir() and not place.is_file():
            raise InputError(f"no such file: {place}")
        for file in _inside(place) if place.is_dir() else [place]:
            found.setdefault(os.path.realpath(file), file)
    files = sorted(found.values(), key=str)
    for file in files:
        if is_parquet(file) != is_parquet(files[0]):
            raise InputError(
                f"{file} cannot be a part of one table with {files[0]}: one is Parquet, and one"
                " text"
            )
    return files


def fits_pattern(path: Path, paths: Paths) -> bool:
    """Whether a file of that name would be one of those that a pattern finds."""
    whole = Path(os.path.abspath(path))
    for pattern in filter(_is_pattern, map(expanded, _each(paths))):
        above = _above(pattern)
        folder = Path(os.path.abspath(above))
        if whole.is_relative_to(folder):
            names, words = whole.relative_to(folder), pattern.relative_to(above)
            if _fits(names.parts, words.parts):
                return True
    return False


def is_parquet(path: Path) -> bool:
    """Whether a file is Parquet, by its name."""
    return path.suffix.lower() in PARQUET


def is_table(places: Sequence[Path], columns_named: bool) -> bool:
    """Whether data at ``places`` are a table, by their names alone unless they are folders.

    A ``.txt`` is one where its columns are named. Else it is a sequence file, which has none.
    """
    return all(_is_table(place, columns_named) for place in places)


def ending(path: Path) -> str:
    """What tells the kind of a file: the end of its name, in lower case and without ``.gz``."""
    return Path(path.name.lower().removesuffix(".gz")).suffix


def _is_table(path: Path, columns_named: bool) -> bool:
    kind = ending(path)
    if kind == ".txt":
        return columns_named
    return kind in SEPARATORS or is_parquet(path) or path.is_dir()


def _each(paths: Paths) -> list[str | os.PathLike[str]]:
    return [paths] if isinstance(paths, str | os.PathLike) else list(paths)


def _matches(path: Path) -> list[Path]:
    """What a path names, itself if it is no pattern."""
    if not _is_pattern(path):
        return [path]
    above = _above(path)
    pattern = str(path.relative_to(above))
    names = glob.glob(pattern, root_dir=above, recursive=True)
    found = [above / name for name in names if not Path(name).name.startswith("_")]
    if not found:
        raise InputError(f"no file fits the pattern {path}")
    return found


def _above(pattern: Path) -> Path:
    """The folder below which a pattern looks: the signs of one in its own name are letters."""
    return next(one for one in pattern.parents if one.is_dir())


def _fits(names: tuple[str, ...], words: tuple[str, ...]) -> bool:
    """Whether names, one below the other, fit the words of a pattern, as :mod:`glob` reads it."""
    if not names or not words:
        return not names and all(word == "**" for word in words)
    if words[0] == "**":
        return _fits(names, words[1:]) or _fits(names[1:], words)
    return fnmatch.fnmatch(names[0], words[0]) and _fits(names[1:], words[1:])


def _is_pattern(path: Path) -> bool:
    return glob.has_magic(str(path)) and not os.path.lexists(path)


def _inside(folder: Path) -> list[Path]:
    """The files of a folder that holds a table in parts."""
    try:
        inside = sorted(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error}") from error
    kept = [
        file
        for file in inside
        if not file.name.startswith(".") and (file.is_dir() or not file.name.startswith("_"))
    ]
    kind = "Parquet files" if any(map(is_parquet, kept)) else "files"
    for file in kept:
        fits = is_parquet(file) if kind == "Parquet files" else ending(file) in SEPARATORS
        if file.is_dir() or not fits:
            what = "folder" if file.is_dir() else "file"
            raise InputError(
                f"{folder} is read as the {kind} of one table, but holds the {what}"
                f" {shown(file.name)}; polars.scan_parquet reads other layouts"
            )
    if not kept:
        raise InputError(f"no such table: the folder {folder} holds no file of one")
    return kept
