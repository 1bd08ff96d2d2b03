"""Columns of Arrow's tables as polars' frames."""

from pathlib import Path

import polars as pl
import pyarrow as pa

from resemb_gnn.errors import InputError, did_you_mean, shown

# What Arrow raises; its own exceptions derive from the others.
ARROW_ERRORS = (pa.ArrowException, OSError, MemoryError, ValueError, TypeError, NotImplementedError)
# What polars raises; it panics on some kinds of columns, and this is no Exception.
POLARS_ERRORS = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, MemoryError)


def check_names(place: str, names: list[str], columns: list[str]) -> None:
    """Refuses a table whose column ``names`` do not hold each of the ``columns`` once.

    Raises:
        InputError: naming ``place`` and the column.
    """
    for column in columns:
        if column not in names:
            raise InputError(
                f"{place} has no column {column!r}; its columns are {shown(names)}"
                f"{did_you_mean(column, names)}"
            )
        if names.count(column) > 1:
            raise InputError(f"{place} has more than one column {column!r}")


def check_id_name(place: str, names: list[str], column: str, what: str) -> None:
    """Refuses a table of ``what``, items or users, whose column ``names`` lack that of their ids.

    Raises:
        InputError: naming ``place`` and the column.
    """
    if column not in names:
        raise InputError(
            f"{place} has no column {column!r}, the ids of the {what} as the log names them; it has"
            f" {shown(names)}{did_you_mean(column, names)}"
        )


def check_same_names(path: Path, names: list[str], first: Path, columns: list[str]) -> None:
    """Refuses a part of a table with other columns than the ``columns`` of the ``first``, in
    whichever order.

    Raises:
        InputError: naming both files and the column.
    """
    for one, other, lacking in ((path, first, columns), (first, path, names)):
        missing = [name for name in lacking if name not in (names if one is path else columns)]
        if missing:
            raise InputError(
                f"{path} and {first.name} are read as one table, but {one.name} has no column"
                f" {missing[0]!r}, which {other.name} has"
            )


def frame_of(place: str, table: pa.Table, columns: list[str]) -> pl.DataFrame:
    """The named columns of an Arrow table, which must have each once.

    Raises:
        InputError: naming ``place`` and the column, if it holds what no log can use.
    """
    return pl.DataFrame([_to_series(place, name, table[name]) for name in columns])


def _to_series(place: str, name: str, column: pa.ChunkedArray) -> pl.Series:
    kind = column.type
    if pa.types.is_dictionary(kind):  # the words themselves, as other files may hold them
        kind = kind.value_type
        column = column.cast(kind)
    elif isinstance(kind, pa.BaseExtensionType):  # such as Parquet's JSON, which is text
        kind = kind.storage_type
        column = column.cast(kind)
    # Names of list elements are left out: polars panics where they are damaged.
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        column = column.cast(pa.large_list(kind.value_type))
        kind = kind.value_type
    elif pa.types.is_fixed_size_list(kind):
        kind = kind.value_type
    # Whether run ends are nested types depends on Arrow's version.
    none = (pa.types.is_nested, pa.types.is_run_end_encoded, pa.types.is_decimal256)
    if any(is_such(kind) for is_such in none):
        raise InputError(
            f"{place}, column {name!r} holds {shown(str(column.type))}, which no log can use"
        )
    return pl.Series(name, column)
