"""Columns of lists, and the same as values one after the other with the offsets of the lists."""

import polars as pl
import pyarrow as pa
from torch import Tensor
from torch_geometric.utils import cumsum


def to_lists(values: pl.Series, ptr: Tensor) -> pl.Series:
    """The column whose list ``i`` is ``values[ptr[i]:ptr[i + 1]]``, with the name of the values.

    Args:
        values: of any type, ``[m]``.
        ptr: int64 ``[n + 1]``.
    """
    offsets = pa.array(ptr.cpu().numpy())
    return pl.Series(values.name, pa.LargeListArray.from_arrays(offsets, values.to_arrow()))


def from_lists(column: pl.Series) -> tuple[pl.Series, Tensor]:
    """The values, ``[m]``, and offsets, int64 ``[n + 1]``, of a column without missing lists."""
    length = column.list.len().cast(pl.Int64).to_torch()
    return column.explode(empty_as_null=False), cumsum(length)
