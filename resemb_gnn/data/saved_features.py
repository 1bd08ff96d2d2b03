"""Features as columns of saved tables: codes and numbers beside ids, vocabularies in a table.

A column ``feature:NAME`` holds a feature's codes or numbers, and its type tells the kind. The
vocabularies stand in one row, a list each, so that each keeps its own type.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import torch

from resemb_gnn.data.feature import Feature
from resemb_gnn.data.features import Features, FeatureTable
from resemb_gnn.errors import InputError, shown
from resemb_gnn.io.lists import from_lists, to_lists
from resemb_gnn.io.saved_table import read_saved

PREFIX = "feature:"


def feature_columns(table: FeatureTable | None) -> list[pl.Series]:
    """A column ``feature:NAME`` of codes or numbers for each feature."""
    return [] if table is None else [_column(feature) for feature in table]


def vocabulary_table(features: Iterable[Feature]) -> pl.DataFrame:
    """The vocabularies by the features' names, one row of lists."""
    return pl.DataFrame(
        [
            feature.vocabulary.alias(feature.name).implode()
            for feature in features
            if feature.vocabulary is not None
        ]
    )


def read_feature_columns(saved: pl.DataFrame, path: Path) -> FeatureTable | None:
    """The features whose columns a saved table has, or ``None`` if it has none.

    Args:
        saved: the table.
        path: the file of the vocabularies, read if there is one to be had.

    Raises:
        InputError: if the file is missing or damaged, or the columns and it do not fit.
    """
    columns = {
        column.name.removeprefix(PREFIX): column
        for column in saved
        if column.name.startswith(PREFIX)
    }
    words = [name for name, column in columns.items() if _kind(column) in ("category", "list")]
    vocabularies = read_saved(path, *words) if words else pl.DataFrame()
    found = {}
    for name, column in columns.items():
        vocabulary = None
        if name in words:
            lists = vocabularies[name]
            if len(lists) != 1 or not isinstance(lists.dtype, pl.List) or lists.null_count():
                raise InputError(f"{path}: column {name!r} holds no vocabulary")
            vocabulary = lists.explode(empty_as_null=False)
            if vocabulary.null_count() or vocabulary.n_unique() < len(vocabulary):
                raise InputError(f"{path}: column {name!r} holds a value twice, or none")
        found[name] = _feature(name, column, vocabulary)
    return FeatureTable(found) if found else None


def with_num_fitted(features: Features | None, summaries: Any) -> Features | None:
    """The features, with the number of values that a model was fitted with where others have come
    since.

    Args:
        features: them.
        summaries: what :meth:`~resemb_gnn.data.FeatureTable.summary` says of them, as it was read.

    Raises:
        InputError: if the number is none, or not fewer than the values.
    """
    known = {}
    for one in summaries if isinstance(summaries, list) else []:
        if isinstance(one, dict) and "num_fitted" in one:
            known[str(one.get("name"))] = one["num_fitted"]
    if features is None or not known:
        return features
    tables = {}
    for place, table in features.tables():
        found = dict(table.features)
        for name in found.keys() & known.keys():
            words = found[name].vocabulary
            size = 0 if words is None else len(words)
            if type(known[name]) is not int or not 0 <= known[name] < size:
                raise InputError(
                    f"num_fitted of the feature {name!r} does not fit its {size} values:"
                    f" {shown(known[name])}"
                )
            found[name] = replace(found[name], num_fitted=known[name])
        tables[place] = FeatureTable(found)
    return Features(**tables)


def _column(feature: Feature) -> pl.Series:
    name, values = PREFIX + feature.name, feature.values.cpu().numpy()
    if feature.kind == "vector":
        return pl.Series(name, values, pl.Array(pl.Float32, values.shape[1]))
    if feature.ptr is None:
        return pl.Series(name, values)
    return to_lists(pl.Series(name, values), feature.ptr)


def _kind(column: pl.Series) -> str:
    """The kind of feature whose values a saved column holds."""
    kinds = {pl.Int64: "category", pl.List(pl.Int64): "list", pl.Float32: "numeric"}
    dtype = column.dtype
    if isinstance(dtype, pl.Array) and dtype.inner == pl.Float32:
        return "vector"
    if dtype not in kinds or column.null_count():
        raise InputError(f"column {column.name!r} holds no feature")
    return kinds[dtype]


def _feature(name: str, column: pl.Series, vocabulary: pl.Series | None) -> Feature:
    ptr = None
    if isinstance(column.dtype, pl.List):
        column, ptr = from_lists(column)
    if column.null_count():
        raise InputError(f"column {PREFIX + name!r} holds no feature")
    words = None if vocabulary is None else vocabulary.alias(name)
    return Feature(name, torch.from_numpy(column.to_numpy().copy()), words, ptr).check()
