"""Tables in files: CSV and Parquet, checked for their form."""

from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from resemb_gnn.errors import InputError, brief, shown
from resemb_gnn.io.atomic import publish, temporary_file
from resemb_gnn.io.csv_check import check_csv
from resemb_gnn.io.files import check_utf8

# What Arrow raises; its own exceptions derive from the others.
_ARROW = (pa.ArrowException, OSError, MemoryError, ValueError, TypeError, NotImplementedError)


def read_table(path: Path, columns: list[str]) -> pl.DataFrame:
    """The named columns of a ``.csv``, ``.csv.gz``, ``.parquet`` or ``.pq``.

    A CSV's columns come back as strings, so that no id is changed by guessing its type; an empty
    field is a null, empty lines are left out.

    Raises:
        InputError: if the file is missing, empty, damaged or of another kind, a row of a CSV has
            too few or too many fields, or a column is missing or there twice.
    """
    if not path.is_file():
        raise InputError(f"no such file: {path}")
    if path.name.endswith((".csv", ".csv.gz")):
        return _read_csv(path, columns)
    if path.suffix in (".parquet", ".pq"):
        return read_parquet(path, columns)
    raise InputError(f"{path}: unknown kind of file; known are .csv, .csv.gz and .parquet")


def read_parquet(path: Path, columns: list[str] | None = None) -> pl.DataFrame:
    """The named columns of a Parquet file, or all. Checksums are verified where it has them.

    Raises:
        InputError: if the file is missing or damaged, or a column is missing or there twice.
    """
    try:
        # By Arrow: on damaged files polars panics, or ends the process asking for exabytes.
        with pq.ParquetFile(str(path), page_checksum_verification=True) as file:
            names = file.schema_arrow.names
            columns = columns if columns is not None else names
            check_names(str(path), names, columns)
            table = file.read(columns)
        table.validate(full=True)
        return pl.DataFrame([_to_series(path, name, table[name]) for name in columns])
    except InputError:
        raise
    except (*_ARROW, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise InputError(f"{path} cannot be read: {brief(error)}") from error


def check_names(place: str, names: list[str], columns: list[str]) -> None:
    """Refuses a table whose column ``names`` do not hold each of the ``columns`` once.

    Raises:
        InputError: naming ``place`` and the column.
    """
    for column in columns:
        if column not in names:
            raise InputError(f"{place} has no column {column!r}; its columns are {shown(names)}")
        if names.count(column) > 1:
            raise InputError(f"{place} has more than one column {column!r}")


def _to_series(path: Path, name: str, column: pa.ChunkedArray) -> pl.Series:
    # Names of list elements are left out: polars panics where they are damaged.
    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        column = column.cast(pa.large_list(kind.value_type))
        kind = kind.value_type
    elif pa.types.is_fixed_size_list(kind):
        kind = kind.value_type
    if pa.types.is_nested(kind):
        raise InputError(
            f"{path}, column {name!r} holds {shown(str(column.type))}, which no log can use"
        )
    return pl.Series(name, column)


def _read_csv(path: Path, columns: list[str]) -> pl.DataFrame:
    shape = check_csv(path)
    if not shape.names:
        raise InputError(f"{path} is empty")
    check_names(str(path), shape.names, columns)
    # By number: polars renames a column that comes twice, and a name may be empty.
    places = [f"c{number}" for number in range(len(shape.names))]
    wanted = {places[shape.names.index(column)]: column for column in columns}
    lazy = pl.scan_csv(path, infer_schema=False, glob=False, new_columns=places)
    try:
        table = lazy.select(list(wanted)).rename(wanted).collect()
    except (pl.exceptions.PolarsError, OSError, MemoryError) as error:
        check_utf8(path)  # names the line, if that is it
        raise InputError(f"{path} cannot be read: {brief(error)}") from error
    if shape.blank:
        # By a mask: a column with the lines' numbers could bear the name of one of the file's.
        table = table.filter(~pl.int_range(pl.len()).is_in(shape.blank))
    return table


def write_table(table: pl.DataFrame, path: Path) -> None:
    """Writes CSV where the name ends in ``.csv``, and Parquet otherwise."""
    with temporary_file(path.parent, path.name) as file:
        if path.suffix == ".csv":
            table.write_csv(file)
        else:
            table.write_parquet(file)
        publish(file, path)
