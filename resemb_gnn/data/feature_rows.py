"""Rows of feature tables, put together, told apart and kept."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import torch
from torch import Tensor
from torch_geometric.utils import cumsum

from resemb_gnn.data.features import MISSING, Feature, FeatureTable
from resemb_gnn.errors import InputError
from resemb_gnn.io.digests import tensor_digest
from resemb_gnn.io.ids import find_ids, id_texts
from resemb_gnn.io.saved_table import whole_numbers


def rows_of(
    table: FeatureTable,
    own_ids: pl.Series,
    ids: pl.Series,
    other: FeatureTable | None = None,
    other_ids: pl.Series | None = None,
) -> FeatureTable:
    """The features of ids: what another table says of them, else what the own one does, else that
    every value is missing.

    Args:
        table: the own table, by whose vocabularies all is numbered.
        own_ids: the id of each of its rows.
        ids: the ids that are asked for.
        other: a table with the same features, numbered in any way.
        other_ids: the id of each of its rows.

    Raises:
        InputError: if the other table lacks a feature, or has it of another kind.
    """
    place = find_ids(ids, own_ids).fill_null(len(table)).to_torch()
    parts = [table, missing_rows(table)]
    if other is not None and other_ids is not None:
        parts.append(table.encode(other.decode()))
        at = find_ids(ids, other_ids)
        there = torch.from_numpy(at.is_not_null().to_numpy().copy())
        place = torch.where(there, len(table) + 1 + at.fill_null(0).to_torch(), place)
    return _joined(parts)[place]


def missing_rows(table: FeatureTable, size: int = 1) -> FeatureTable:
    """Rows with the features of a table that have no value of any."""
    return FeatureTable({one.name: _missing(one, size) for one in table})


def _missing(feature: Feature, size: int) -> Feature:
    if feature.ptr is not None:
        return replace(feature, values=feature.values[:0], ptr=feature.ptr.new_zeros(size + 1))
    empty = MISSING if feature.vocabulary is not None else float("nan")
    return replace(
        feature, values=feature.values.new_full((size, *feature.values.shape[1:]), empty)
    )


def _joined(tables: list[FeatureTable]) -> FeatureTable:
    """The rows of tables with the same features and vocabularies, one after the other."""
    found = {}
    for name, first in tables[0].features.items():
        parts = [table.features[name] for table in tables]
        ptr = None
        if first.ptr is not None:
            ptr = cumsum(torch.cat([part.ptr.diff() for part in parts if part.ptr is not None]))
        found[name] = replace(first, values=torch.cat([part.values for part in parts]), ptr=ptr)
    return FeatureTable(found)


def table_digest(table: FeatureTable) -> str:
    """A digest of names, kinds, vocabularies and values, 16 hexadecimal digits."""
    words = [
        [one.name, one.kind, None if one.vocabulary is None else id_texts(one.vocabulary).to_list()]
        for one in table
    ]
    text = torch.from_numpy(np.frombuffer(json.dumps(words).encode(), dtype=np.uint8).copy())
    return tensor_digest(text, *(part for one in table for part in (one.values, one.ptr)))


def vocabulary_table(tables: list[FeatureTable]) -> pl.DataFrame:
    """The vocabularies of the tables' features for a reader: ``feature``, ``value`` as text, and
    ``code``.
    """
    parts = [
        pl.DataFrame({"value": id_texts(one.vocabulary)}).select(
            pl.lit(one.name).alias("feature"), "value", code=pl.int_range(2, pl.len() + 2)
        )
        for table in tables
        for one in table
        if one.vocabulary is not None
    ]
    schema = {"feature": pl.String, "value": pl.String, "code": pl.Int64}
    return pl.concat([pl.DataFrame(schema=schema), *parts])


def vocabulary_lists(tables: list[FeatureTable]) -> pl.DataFrame:
    """The vocabularies of the tables' features as they are: a row, a list a feature."""
    known = [one.vocabulary for table in tables for one in table]
    lists = [words.implode() for words in known if words is not None]
    return pl.DataFrame(lists)


def code_table(table: FeatureTable) -> pl.DataFrame:
    """The features as columns: codes, lists of codes, numbers or arrays of numbers."""
    return pl.DataFrame([_codes(one) for one in table])


def _codes(feature: Feature) -> pl.Series:
    values = feature.values.cpu().numpy()
    if feature.values.dim() == 2:
        return pl.Series(feature.name, values, dtype=pl.Array(pl.Float32, values.shape[1]))
    codes = pl.Series(feature.name, values)
    if feature.ptr is None:
        return codes
    rows = torch.arange(len(feature)).repeat_interleave(feature.ptr.cpu().diff())
    lists = pl.DataFrame({"row": rows.numpy(), "codes": codes})
    lists = lists.group_by("row", maintain_order=True).agg("codes")
    every = pl.DataFrame({"row": pl.int_range(len(feature), eager=True)})
    found = every.join(lists, on="row", how="left", maintain_order="left")["codes"]
    return found.fill_null([]).cast(pl.List(pl.Int64)).alias(feature.name)


def read_codes(frame: pl.DataFrame, vocabularies: pl.DataFrame) -> FeatureTable:
    """The table that :func:`code_table` and :func:`vocabulary_lists` wrote.

    Raises:
        InputError: naming the column, if it holds anything else, or its vocabulary is missing.
    """
    return FeatureTable({column.name: _read(column, vocabularies) for column in frame})


def _read(column: pl.Series, vocabularies: pl.DataFrame) -> Feature:
    name, dtype = column.name, column.dtype
    if column.null_count():
        raise InputError(f"column {name!r} has missing values")
    if dtype in (pl.Float32, pl.Array(pl.Float32, getattr(dtype, "size", 0))):
        return Feature(name, torch.from_numpy(column.to_numpy().copy()))
    if dtype not in (pl.Int64, pl.List(pl.Int64)):
        raise InputError(f"column {name!r} holds {dtype}, which is no feature")
    if name not in vocabularies.columns or not isinstance(vocabularies[name].dtype, pl.List):
        raise InputError(f"the feature {name!r} has no vocabulary")
    words = vocabularies[name].explode(empty_as_null=False)
    if words.null_count() or words.is_duplicated().any():
        raise InputError(f"the vocabulary of {name!r} holds a value twice or a missing one")
    if dtype == pl.Int64:
        return Feature(name, whole_numbers(column), words).check()
    ptr: Tensor = cumsum(column.list.len().cast(pl.Int64).to_torch())
    codes = whole_numbers(column.explode(empty_as_null=False))
    return Feature(name, codes, words, ptr).check()
