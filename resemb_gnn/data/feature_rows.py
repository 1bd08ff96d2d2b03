"""Rows of feature tables, put together and told apart."""

import json
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import polars as pl
import torch
from torch_geometric.utils import cumsum

from resemb_gnn.data.features import FIRST, MISSING, Feature, FeatureTable
from resemb_gnn.errors import RowError, shown
from resemb_gnn.io.digests import tensor_digest
from resemb_gnn.io.ids import find_ids, id_texts


def rows_of(
    table: FeatureTable,
    own_ids: pl.Series,
    ids: pl.Series,
    other: FeatureTable | None = None,
    other_ids: pl.Series | None = None,
    grow: bool = False,
) -> FeatureTable:
    """The features of ids: what another table says of them, else what the own one does, else that
    every value is missing.

    Args:
        table: the own table, by whose vocabularies all is numbered.
        own_ids: the id of each of its rows.
        ids: the ids that are asked for.
        other: a table with the same features, numbered in any way.
        other_ids: the id of each of its rows.
        grow: number values that the own table does not have behind those that it has.

    Raises:
        InputError: if the other table lacks a feature, or has it of another kind; of a value, it
            names the id.
    """
    place = find_ids(ids, own_ids).fill_null(len(table)).to_torch()
    parts = [table, missing_rows(table)]
    if other is not None and other_ids is not None:
        try:
            parts.append(table.recode(other, grow=grow))
        except RowError as error:  # the file's rows are not known any more
            raise error.at(f"of {shown(other_ids[error.row])}") from None
        at = find_ids(ids, other_ids)
        there = torch.from_numpy(at.is_not_null().to_numpy().copy())
        place = torch.where(there, len(table) + 1 + at.fill_null(0).to_torch(), place)
    return joined_rows(parts)[place]


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


def joined_rows(tables: list[FeatureTable]) -> FeatureTable:
    """The rows of tables with the same features, one after the other. Of their vocabularies, the
    longest begins with the others.
    """
    found = {}
    for name in tables[0].features:
        parts = [table.features[name] for table in tables]
        longest = max(parts, key=lambda part: part.num_codes)
        ptr = None
        if longest.ptr is not None:
            ptr = cumsum(torch.cat([part.ptr.diff() for part in parts if part.ptr is not None]))
        found[name] = replace(longest, values=torch.cat([part.values for part in parts]), ptr=ptr)
    return FeatureTable(found)


def table_digest(table: FeatureTable) -> str:
    """A digest of names, kinds, vocabularies and values, 16 hexadecimal digits."""
    words = [
        [one.name, one.kind, None if one.vocabulary is None else id_texts(one.vocabulary).to_list()]
        for one in table
    ]
    text = torch.from_numpy(np.frombuffer(json.dumps(words).encode(), dtype=np.uint8).copy())
    return tensor_digest(text, *(part for one in table for part in (one.values, one.ptr)))


def code_table(features: Iterable[Feature]) -> pl.DataFrame:
    """The codes of features' values for a reader: ``feature``, ``value`` as text, and ``code``."""
    parts = [
        pl.DataFrame({"value": id_texts(one.vocabulary)}).select(
            pl.lit(one.name).alias("feature"), "value", code=pl.int_range(FIRST, FIRST + pl.len())
        )
        for one in features
        if one.vocabulary is not None
    ]
    schema = {"feature": pl.String, "value": pl.String, "code": pl.Int64}
    return pl.concat([pl.DataFrame(schema=schema), *parts])
