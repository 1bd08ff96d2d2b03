"""Tables in files, one or several: text with commas or tabs, and Parquet, checked for form."""

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import IO, cast

import polars as pl

from resemb_gnn.errors import InputError, brief
from resemb_gnn.io.arrow import POLARS_ERRORS, check_names, check_same_names
from resemb_gnn.io.atomic import publish, temporary_file
from resemb_gnn.io.csv_check import check_csv
from resemb_gnn.io.files import check_utf8
from resemb_gnn.io.parquet import check_parts, num_rows, read_parquet
from resemb_gnn.io.parts import (
    SEPARATORS,
    Paths,
    ending,
    find_parts,
    find_places,
    is_parquet,
    shown_paths,
)

KINDS = ".csv, .tsv or .txt (the last two with tabs; each also .gz), .parquet or .pq"


def is_table(places: Sequence[Path], columns_named: bool) -> bool:
    """Whether data at ``places`` are a table, by their names alone unless they are folders.

    A ``.txt`` is one where its columns are named. Else it is a sequence file, which has none.
    """
    return all(_is_table(place, columns_named) for place in places)


def _is_table(path: Path, columns_named: bool) -> bool:
    kind = ending(path)
    if kind == ".txt":
        return columns_named
    return kind in SEPARATORS or is_parquet(path) or path.is_dir()


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


def _read_text(path: Path, columns: list[str] | None) -> pl.DataFrame:
    if ending(path) not in SEPARATORS:
        raise InputError(
            f"{path}: unknown kind of file; known are {KINDS}, and folders of such files"
        )
    return _read_csv(path, columns, SEPARATORS[ending(path)])


def _read_csv(path: Path, columns: list[str] | None, separator: str) -> pl.DataFrame:
    shape = check_csv(path, separator)
    if not shape.names:
        raise InputError(f"{path} is empty")
    columns = shape.names if columns is None else columns
    check_names(f"{path}{' (tabs)' * (separator != ',')}", shape.names, columns)
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
