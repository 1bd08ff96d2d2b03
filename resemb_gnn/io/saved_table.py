"""Tables of the package's own, written with checksums, read back and checked."""

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from torch import Tensor

from resemb_gnn.errors import InputError
from resemb_gnn.io.arrow import check_names
from resemb_gnn.io.frame import naming
from resemb_gnn.io.ids import parse_ids
from resemb_gnn.io.parquet import read_parquet


def write_saved(table: pl.DataFrame, path: Path) -> None:
    """Writes a Parquet file with a checksum of each page, so that damaged values do not pass."""
    options = {"compression": "zstd", "use_dictionary": False}  # few values come twice
    pq.write_table(table.to_arrow(), str(path), write_page_checksum=True, **options)


def refuse_other_table(path: Path, columns: set[str], prefix: str | None = None) -> None:
    """Refuses to write over a Parquet file with other columns: logs, saved models and exported
    vectors all have an ``items.parquet``, and none may take another's place. Columns whose names
    begin with ``prefix`` are no others.

    Raises:
        InputError: naming the file, if it is there and cannot be read or has another column.
    """
    if not path.exists():
        return
    try:
        ours = all(
            name in columns or (prefix is not None and name.startswith(prefix))
            for name in pq.read_schema(path).names
        )
    except (pa.ArrowException, OSError, ValueError):
        ours = False
    if not ours:
        raise InputError(f"{path} belongs to something else, or is damaged: choose another place")


def read_saved(path: Path, *columns: str) -> pl.DataFrame:
    """All of a Parquet file, which must have the ``columns``.

    Raises:
        InputError: naming the file, if it is missing or damaged or lacks a column.
    """
    table = read_parquet(path)
    check_names(str(path), table.columns, list(columns))
    return table


def whole_numbers(column: pl.Series, size: int | None = None) -> Tensor:
    """A column of whole numbers, none missing and with ``size`` all in ``0..size - 1``, as int64.

    Raises:
        InputError: naming the column, if there is anything else in it.
    """
    # Also as floats: DuckDB writes its 128-bit sums so.
    whole = column.cast(pl.Int64, strict=False) if column.dtype.is_numeric() else column
    if whole.dtype != pl.Int64 or whole.null_count() or not (whole == column).all():
        raise InputError(f"column {column.name!r} does not hold whole numbers of 64 bits alone")
    if size is not None and not whole.is_between(0, size - 1).all():
        raise InputError(f"column {column.name!r} must lie in 0..{size - 1}")
    return whole.to_torch()


def distinct_ids(path: Path, column: pl.Series, nullable: bool = False) -> pl.Series:
    """A column of ids, none of which comes twice.

    Raises:
        InputError: naming the file and the column, if one does, or is missing or no id.
    """
    with naming(str(path)):
        ids = parse_ids(column, nullable)
        if ids.n_unique() < len(ids):
            raise InputError(f"column {ids.name!r} holds an id twice")
    return ids


def float_vectors(path: Path, column: pl.Series) -> "np.ndarray":
    """A column of vectors of one width, float32 ``[len(column), width]``.

    Raises:
        InputError: naming the file and the column, if it holds anything else, or a value is missing
            or not finite.
    """
    kind = column.dtype
    if not isinstance(kind, pl.Array) or kind.inner != pl.Float32:
        raise InputError(f"{path}: column {column.name!r} holds {kind}, not vectors of float32")
    if column.null_count() or not column.explode().is_finite().fill_null(False).all():
        raise InputError(f"{path}: column {column.name!r} holds a value that is not finite")
    return column.to_numpy()
