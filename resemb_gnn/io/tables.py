"""Tables in files, one or several: text with commas or tabs, and Parquet, checked for form."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

import polars as pl

from resemb_gnn.errors import InputError, brief
from resemb_gnn.io.arrow import POLARS_ERRORS, check_names, check_same_names
from resemb_gnn.io.atomic import publish, temporary_file
from resemb_gnn.io.csv_check import check_csv, read_header
from resemb_gnn.io.files import check_utf8
from resemb_gnn.io.parquet import check_parts, column_names, num_rows, read_parquet
from resemb_gnn.io.parts import (
    KINDS,
    SEPARATORS,
    Paths,
    ending,
    find_parts,
    find_places,
    is_parquet,
    is_table,
    shown_paths,
)


def read_table(paths: Paths, columns: list[str] | None) -> pl.DataFrame:
    """The named columns, or all, of a table in one file or in parts, as
    :func:`~resemb_gnn.io.parts.find_parts` finds them: each a ``.csv``, a ``.tsv`` or ``.txt``
    (fields between tabs), these also as ``.gz``, or a ``.parquet`` or ``.pq``. Parts follow each
    other in the order of their names.

    Columns of text come back as strings, so that no id is changed by guessing its type; an empty
    field is a null, empty lines are left out.

    Raises:
        InputError: if a file is missing, empty, damaged or of another kind, a row of text has
            too few or too many fields, or a column is missing or there twice; if parts differ in
            a column's type, or in their columns where all are read.
    """
    files = find_parts(paths)
    if is_parquet(files[0]):
        if len(files) > 1:
            check_parts(files, columns)
        tables = [read_parquet(file, columns) for file in files]
    else:
        tables = [_read_text(file, columns) for file in files]
        if columns is None:
            for file, table in zip(files, tables, strict=True):
                check_same_names(file, table.columns, files[0], tables[0].columns)
    if len(tables) == 1:
        return tables[0]
    names = tables[0].columns
    # Relaxed, for a column that is missing throughout in some of the files and has no type there.
    return pl.concat([table.select(names) for table in tables], how="vertical_relaxed")


def headers(paths: Paths) -> Iterator[tuple[str, list[str]]]:
    """Each file of a table as messages name it, and the names of its columns: what
    :func:`read_table` will find, known before any row is read.

    Raises:
        InputError: if a file is missing, empty, of another kind, or its header damaged.
    """
    for file in find_parts(paths):
        if is_parquet(file):
            yield str(file), column_names(file)
        else:
            separator = _separator(file)
            yield _with_tabs(file, separator), _not_empty(file, read_header(file, separator))


def _separator(path: Path) -> str:
    if ending(path) not in SEPARATORS:
        raise InputError(
            f"{path}: unknown kind of file; known are {KINDS}, and folders of such files"
        )
    return SEPARATORS[ending(path)]


def _with_tabs(path: Path, separator: str) -> str:
    return f"{path}{' (tabs)' * (separator != ',')}"


def _not_empty(path: Path, names: list[str]) -> list[str]:
    if not names:
        raise InputError(f"{path} is empty")
    return names


def _read_text(path: Path, columns: list[str] | None) -> pl.DataFrame:
    separator = _separator(path)
    shape = check_csv(path, separator)
    names = _not_empty(path, shape.names)
    columns = names if columns is None else columns
    check_names(_with_tabs(path, separator), names, columns)
    # By number: polars renames a column that comes twice, and a name may be empty.
    places = [f"c{number}" for number in range(len(shape.names))]
    wanted = {places[shape.names.index(column)]: column for column in columns}
    lazy = pl.scan_csv(
        path, separator=separator, infer_schema=False, glob=False, new_columns=places
    )
    try:
        table = lazy.select(list(wanted)).rename(wanted).collect()
    except POLARS_ERRORS as error:
        check_utf8(path)  # names the line, if that is it
        raise InputError(f"{path} cannot be read: {brief(error)}") from error
    if shape.blank:
        # By a mask: a column with the lines' numbers could bear the name of one of the file's.
        table = table.filter(~pl.int_range(pl.len()).is_in(shape.blank))
    return table


def place_of_row(paths: Paths, row: int) -> str:
    """How messages name a row of a table as :func:`read_table` has it: by the line of the file,
    of several files by the file, too. Parquet has no lines, and rows count from 0.

    The files are read through again, for the sake of a message alone.
    """
    places = find_places(paths)
    if not is_table(places, columns_named=True):  # such as a named data set
        return f"row {row} (from 0)"
    files = find_parts(paths)
    for file in files:
        if is_parquet(file):
            rows, place = num_rows(file), f"row {row} (from 0)"
        else:
            shape = check_csv(file, SEPARATORS[ending(file)], row)
            rows, place = shape.rows, f"line {shape.line}"
        if row < rows:
            return place if len(files) == 1 else f"{place} of {file.name}"
        row -= rows
    raise InputError(f"{shown_paths(paths)} changed while it was read")


def write_table(table: pl.DataFrame, path: Path) -> None:
    """Writes text where the name ends as :func:`read_table` says, and Parquet otherwise."""
    separator = SEPARATORS.get(ending(path))
    with temporary_file(path.parent, path.name) as file:
        if separator is None:
            table.write_parquet(file)
        elif path.name.lower().endswith(".gz"):
            with gzip.GzipFile(fileobj=file, mode="wb", mtime=0) as packed:
                table.write_csv(cast(IO[bytes], packed), separator=separator)
        else:
            table.write_csv(file, separator=separator)
        publish(file, path)
