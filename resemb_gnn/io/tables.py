"""Tables in files: text with commas or tabs, and Parquet, checked for their form."""

import gzip
from pathlib import Path
from typing import IO, cast

import polars as pl

from resemb_gnn.errors import InputError, brief
from resemb_gnn.io import parquet
from resemb_gnn.io.arrow import POLARS_ERRORS, check_names
from resemb_gnn.io.atomic import publish, temporary_file
from resemb_gnn.io.csv_check import check_csv
from resemb_gnn.io.files import check_utf8

SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}  # by the file's ending, also with .gz
KINDS = ".csv, .tsv or .txt (the last two with tabs; each also .gz), .parquet or .pq"


def is_table(path: Path, columns_named: bool) -> bool:
    """Whether data at ``path`` are a table, by its name alone unless it is a folder.

    A ``.txt`` is one where its columns are named. Else it is a sequence file, which has none.
    """
    ending = _ending(path)
    if ending == ".txt":
        return columns_named
    return ending in SEPARATORS or ending in parquet.ENDINGS or path.is_dir()


def read_table(path: Path, columns: list[str] | None) -> pl.DataFrame:
    """The named columns, or all, of a table: a ``.csv``, a ``.tsv`` or ``.txt`` (fields between
    tabs), each also as ``.gz``, a ``.parquet`` or ``.pq``, or a folder of Parquet files.

    Columns of text come back as strings, so that no id is changed by guessing its type; an empty
    field is a null, empty lines are left out.

    Raises:
        InputError: if the file is missing, empty, damaged or of another kind, a row of text has
            too few or too many fields, or a column is missing or there twice.
    """
    if path.is_dir():
        return parquet.read_parts(path, columns)
    if not path.is_file():
        raise InputError(f"no such file: {path}")
    ending = _ending(path)
    if ending in SEPARATORS:
        return _read_csv(path, columns, SEPARATORS[ending])
    if ending in parquet.ENDINGS:
        return parquet.read_parquet(path, columns)
    raise InputError(
        f"{path}: unknown kind of file; known are {KINDS}, and folders of Parquet files"
    )


def _ending(path: Path) -> str:
    """What tells the kind of a file: the end of its name, in lower case and without ``.gz``."""
    return Path(path.name.lower().removesuffix(".gz")).suffix


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


def write_table(table: pl.DataFrame, path: Path) -> None:
    """Writes text where the name ends as :func:`read_table` says, and Parquet otherwise."""
    separator = SEPARATORS.get(_ending(path))
    with temporary_file(path.parent, path.name) as file:
        if separator is None:
            table.write_parquet(file)
        elif path.name.lower().endswith(".gz"):
            with gzip.GzipFile(fileobj=file, mode="wb", mtime=0) as packed:
                table.write_csv(cast(IO[bytes], packed), separator=separator)
        else:
            table.write_csv(file, separator=separator)
        publish(file, path)
