"""Parquet files, and what several of them must share that hold one table in parts."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from resemb_gnn.errors import InputError, brief
from resemb_gnn.io.arrow import ARROW_ERRORS, POLARS_ERRORS, check_names, check_same_names, frame_of


def read_parquet(path: Path, columns: list[str] | None = None) -> pl.DataFrame:
    """The named columns of a Parquet file, or all. Checksums are verified where it has them.

    Raises:
        InputError: if the file is missing or damaged, or a column is missing or there twice.
    """
    try:
        # By Arrow: on damaged files polars panics, or ends the process asking for exabytes.
        with _open(path) as file:
            names = file.schema_arrow.names
            columns = columns if columns is not None else names
            check_names(str(path), names, columns)
            table = file.read(columns)
        table.validate(full=True)
        return frame_of(str(path), table, columns)
    except InputError:
        raise
    except (*ARROW_ERRORS, *POLARS_ERRORS) as error:
        raise InputError(f"{path} cannot be read: {brief(error)}") from error


def column_names(path: Path) -> list[str]:
    """The names of a Parquet file's columns.

    Raises:
        InputError: if the file is damaged.
    """
    return _schema(path).names


def num_rows(path: Path) -> int:
    """Number of rows of a Parquet file."""
    with _open(path) as file:
        return int(file.metadata.num_rows)


def check_parts(files: Sequence[Path], columns: list[str] | None) -> None:
    """Refuses parts of which one lacks a column, or holds another type in it than the others: put
    together, ids or times would change.

    Args:
        files: the parts.
        columns: the columns that are read; ``None`` for all, which must then be the same.

    Raises:
        InputError: naming the file and the column; also if a file is damaged.
    """
    first: dict[str, tuple[pa.DataType, Path]] = {}
    every: list[str] | None = None
    for path in files:
        schema = _schema(path)
        if columns is None:
            columns = every = schema.names
        if every is not None:
            check_same_names(path, schema.names, files[0], every)
        check_names(str(path), schema.names, columns)
        for name in columns:
            kind = _kind(schema.field(name).type)
            if pa.types.is_null(kind):  # every value is missing
                continue
            known, where = first.setdefault(name, (kind, path))
            if kind != known:
                raise InputError(
                    f"{path}: column {name!r} holds {kind}, but {known} in {where.name}"
                )


def _schema(path: Path) -> pa.Schema:
    try:
        with _open(path) as file:
            return file.schema_arrow
    except ARROW_ERRORS as error:
        raise InputError(f"{path} cannot be read: {brief(error)}") from error


def _kind(kind: pa.DataType) -> pa.DataType:
    """What the values are, however they are stored."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.string() if str(kind) in ("large_string", "string_view") else kind


def _open(path: Path) -> pq.ParquetFile:
    # Arrow's default for 96-bit timestamps wraps around after the year 2262.
    return pq.ParquetFile(
        str(path), page_checksum_verification=True, coerce_int96_timestamp_unit="us"
    )
