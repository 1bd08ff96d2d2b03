"""Parquet files, and folders of them that hold one table in parts."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from resemb_gnn.errors import InputError, brief, shown
from resemb_gnn.io.arrow import ARROW_ERRORS, POLARS_ERRORS, check_names, frame_of

ENDINGS = (".parquet", ".pq")


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


def read_names(path: Path) -> list[str]:
    """The names of a Parquet file's columns.

    Raises:
        InputError: if the file is missing or damaged.
    """
    try:
        with _open(path) as file:
            names: list[str] = file.schema_arrow.names
            return names
    except ARROW_ERRORS as error:
        raise InputError(f"{path} cannot be read: {brief(error)}") from error


def read_parts(folder: Path, columns: list[str] | None) -> pl.DataFrame:
    """The named columns, or all of the first part's, of a table in parts, which follow each other
    as :func:`find_parts` says.

    Raises:
        InputError: as :func:`find_parts`, :func:`check_parts` and :func:`read_parquet`.
    """
    files = find_parts(folder)
    if columns is None:
        columns = read_names(files[0])
    check_parts(files, columns)
    # Relaxed, for a column that is missing throughout in some of the files and has no type there.
    return pl.concat([read_parquet(file, columns) for file in files], how="vertical_relaxed")


def find_parts(path: Path) -> list[Path]:
    """The Parquet file at ``path``, or those of a folder by their names.

    What begins with ``.``, and files that begin with ``_``, are notes of the program that wrote
    the folder, such as ``_SUCCESS``; anything else must be a Parquet file.

    Raises:
        InputError: if there is none, or the folder holds something else.
    """
    if not path.is_dir():
        if not path.is_file():
            raise InputError(f"no such Parquet file or folder: {path}")
        return [path]
    try:
        inside = sorted(path.iterdir())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    files = []
    for file in inside:
        if file.name.startswith(".") or (file.name.startswith("_") and not file.is_dir()):
            continue
        if file.is_dir() or file.suffix.lower() not in ENDINGS:
            what = "folder" if file.is_dir() else "file"
            raise InputError(
                f"{path} is read as the Parquet files of one table, but holds the {what}"
                f" {shown(file.name)}; polars.scan_parquet reads other layouts"
            )
        files.append(file)
    if not files:
        raise InputError(f"no such Parquet file: the folder {path} holds none")
    return files


def check_parts(files: Sequence[Path], columns: list[str]) -> None:
    """Refuses parts of which one lacks a column, or holds another type in it than the others: put
    together, ids or times would change.

    Raises:
        InputError: naming the file and the column; also if a file is damaged.
    """
    first: dict[str, tuple[pa.DataType, Path]] = {}
    for path in files:
        try:
            with _open(path) as file:
                schema = file.schema_arrow
        except ARROW_ERRORS as error:
            raise InputError(f"{path} cannot be read: {brief(error)}") from error
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
