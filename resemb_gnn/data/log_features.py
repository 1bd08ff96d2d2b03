"""The features of a log as they are read: tables of items and users, columns of the log's own."""

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from torch import Tensor

from resemb_gnn.data.features import Feature, Features, FeatureTable, read_features
from resemb_gnn.errors import InputError, did_you_mean, shown
from resemb_gnn.io.frame import Frame, naming, place_of, read_columns
from resemb_gnn.io.ids import find_ids, parse_ids

_EVIDENCE = 10  # rows a value, below which its click rate tells of chance
_TELLING = 0.99  # AUC of a feature alone, from which it is the label in disguise


def read_table_of(
    frame: Frame,
    id_column: str,
    ids: pl.Series,
    what: str,
    *,
    chosen: Sequence[str] | None = None,
    kinds: Mapping[str, str] | None = None,
    list_separator: str | None = None,
) -> FeatureTable:
    """A table of items or users as features, a row for each of the log's in their order.

    Args:
        frame: a row an item or user; others than the log's are left out.
        id_column: the column of their ids; every other one is a feature.
        ids: the log's own ids, in the order of their numbers.
        what: ``"items"`` or ``"users"``, for messages.
        chosen: the features to take; all by default.
        kinds: kinds of some of them by name.
        list_separator: what stands between the values of a list in a text column; a text column
            in which it occurs is a list.

    Raises:
        InputError: if an id of the log has no row, or one comes twice, or a column is missing or
            cannot be a feature.
    """
    columns = None if chosen is None else [id_column, *chosen]
    table = read_columns(frame, columns)
    if id_column not in table.columns:
        near = did_you_mean(id_column, table.columns)
        raise InputError(
            f"the table of {what}, {place_of(frame)}, has no column {id_column!r}, the ids of the"
            f" {what} as the log names them; it has {shown(table.columns)}{near}"
        )
    with naming(f"the table of {what}, {place_of(frame)}"):
        own = parse_ids(table[id_column])
        if own.is_duplicated().any():
            row = own.is_duplicated().arg_true()[0]
            raise InputError(
                f"column {id_column!r}, row {row} (from 0): {shown(own[row])} comes twice; an id"
                " has one row"
            )
        place = find_ids(ids, own)
        if place.null_count():
            first = ids.filter(place.is_null())[0]
            raise InputError(
                f"column {id_column!r} lacks {shown(first)}, which the log has"
                f" ({place.null_count()} of {len(ids)} such {what}); add their rows, empty where"
                " nothing is known"
            )
        rows = split_lists(table.drop(id_column)[place], list_separator, kinds or {})
        return read_features(rows, rows.columns, kinds)


def split_lists(
    table: pl.DataFrame, separator: str | None, kinds: Mapping[str, str]
) -> pl.DataFrame:
    """The table with the text columns in which the separator occurs, or whose kind is a list, as
    lists; an empty text is an empty list.
    """
    if separator is None:
        return table
    lists = [
        column.name
        for column in table
        if column.dtype == pl.String
        and (
            kinds.get(column.name) == "list"
            or (column.name not in kinds and column.str.contains(separator, literal=True).any())
        )
    ]
    words = pl.col(lists).str.split(separator)
    return table.with_columns(words.list.eval(pl.element().filter(pl.element() != "")))


def warn_of_disguised_labels(
    features: Features, labels: Tensor, users: Tensor, items: Tensor
) -> None:
    """Warns of features that tell the label by themselves: what is known only afterwards."""
    rows = {"items": items, "users": users, "context": None}
    for place, table in features.tables():
        row = rows[place]
        for feature in table:
            if _auc_alone(feature, row, labels.numpy()) >= _TELLING:
                warnings.warn(
                    f"the feature {feature.name!r} tells the label almost by itself (AUC of"
                    f" {_TELLING} or more): is it known before the click?",
                    stacklevel=3,
                )


def _auc_alone(feature: Feature, row: Tensor | None, label: "np.ndarray") -> float:
    """How well the feature alone sorts clicks from the rest; 0.5 where that cannot be told."""
    if feature.kind not in ("category", "numeric") or not 0 < label.mean() < 1:
        return 0.5
    values = (feature.values if row is None else feature.values[row]).numpy()
    if feature.kind == "category":
        count = np.bincount(values)
        if len(label) < _EVIDENCE * np.count_nonzero(count):
            return 0.5
        rate = np.bincount(values, weights=label) / np.maximum(count, 1)
        values = rate[values]
    there = ~np.isnan(values)
    ranks = pl.Series(values[there]).rank("average").to_numpy()
    clicked = label[there] > 0
    positives, negatives = int(clicked.sum()), int((~clicked).sum())
    if not positives or not negatives:
        return 0.5
    area = (ranks[clicked].sum() - positives * (positives + 1) / 2) / (positives * negatives)
    return float(max(area, 1 - area))


def warn_of_varying_category(items: pl.Series, codes: pl.Series, name: str) -> None:
    """Warns of a category that differs within an item, of which its most frequent one is taken."""
    kinds = (
        pl.DataFrame({"item": items, "category": codes})
        .group_by("item")
        .agg(pl.col("category").n_unique())["category"]
    )
    share = (kinds > 1).sum() / max(len(kinds), 1)
    if share > 0:
        warnings.warn(
            f"the category {name!r} differs within {share:.1%} of the items, and each gets its most"
            f" frequent one: if it tells of the row, such as a position, name it as context"
            f" (context=[{name!r}], --context {name})",
            stacklevel=3,
        )
