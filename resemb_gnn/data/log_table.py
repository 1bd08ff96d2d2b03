"""Reading a behaviour log from tables: its own, one of items and one of users."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from torch import Tensor
from torch_geometric.utils import cumsum

from resemb_gnn.data.feature_values import split_lists
from resemb_gnn.data.features import Features, FeatureTable, read_features
from resemb_gnn.data.log_features import check_kinds, read_table_of
from resemb_gnn.data.log_warnings import warn_of_disguised_labels, warn_of_varying_category
from resemb_gnn.data.tie_order import break_ties
from resemb_gnn.data.time_features import (
    KIND_OF_TIME,
    check_time_features,
    first_times,
    previous_times,
    time_columns,
)
from resemb_gnn.errors import InputError
from resemb_gnn.io.frame import Frame, naming, parse_labels, place_of, read_columns
from resemb_gnn.io.ids import parse_ids
from resemb_gnn.io.parts import Paths
from resemb_gnn.io.times import are_dates, read_times


def read_log_table(
    frame: Frame,
    columns: tuple[str, str, str, str | None, str | None],
    *,
    files: "Paths | None" = None,
    items: "Frame | None" = None,
    users: "Frame | None" = None,
    context: Sequence[str] = (),
    item_features: Sequence[str] | None = None,
    user_features: Sequence[str] | None = None,
    time_features: Sequence[str] = (),
    kinds: Mapping[str, str] | None = None,
    list_separator: str | None = None,
) -> dict[str, Any]:
    """The parts of a log by name; warnings, errors and arguments as
    :meth:`~resemb_gnn.BehaviorLog.from_frame` has them, with ``columns`` those of users, items,
    times, categories and labels, and ``files`` those that the frame was read from, for messages.
    """
    kinds = kinds or {}
    named_by = frame if files is None else files
    user, item, time, category, label = columns
    named = [name for name in columns if name is not None]
    _check_context([*context, *time_features], named)
    table = read_columns(frame, [*named, *context])
    item_category = category_ids = None
    with naming(place_of(named_by), named_by):
        user_codes, user_ids = _encode(parse_ids(table[user]))
        item_codes, item_ids = _encode(parse_ids(table[item]))
        times = read_times(table[time])
        parts = {"user": user_codes, "item": item_codes, "time": times.numbers}
        if times.finer is not None:
            parts["finer"] = times.finer
        if label is not None:
            parts["label"] = parse_labels(table[label])
        if category is not None:
            codes, category_ids = _encode(parse_ids(table[category], nullable=True))
            warn_of_varying_category(item_codes, codes, category)
            item_category = _most_frequent(item_codes, codes)
        dates = are_dates(table[time])
        check_time_features(time_features, dates)
        own = read_features(
            split_lists(table.select(context), list_separator, kinds), context, kinds
        )
    by = [name for name in ("user", "time", "finer") if name in parts]
    rows = pl.DataFrame(parts).with_row_index("row").sort(by, maintain_order=True)
    rows = break_ties(rows, by, user_ids, item_ids)
    order = rows["row"].cast(pl.Int64).to_torch()
    of_user, of_item, numbers = (rows[name].to_torch() for name in ("user", "item", "time"))
    context_table = own[order]
    if time_features:
        first = first_times(of_item, numbers, len(item_ids))[of_item]
        previous = previous_times(of_user, numbers)
        timed = time_columns(time_features, numbers, dates, first, previous)
        more = read_features(timed, timed.columns, KIND_OF_TIME)
        context_table = FeatureTable(context_table.features | more.features)
    options: dict[str, Any] = {"kinds": kinds, "list_separator": list_separator}
    features = Features(
        _table_of(items, item, item_ids, "items", item_features, options),
        _table_of(users, user, user_ids, "users", user_features, options),
        context_table or None,
    )
    check_kinds(kinds, features)
    labels = rows["label"].to_torch() if label is not None else None
    if labels is not None:
        warn_of_disguised_labels(features, labels, of_user, of_item)
    return {
        "items": of_item,
        "ptr": cumsum(of_user.bincount(minlength=len(user_ids))),
        "times": numbers,
        "user_ids": user_ids,
        "item_ids": item_ids,
        "labels": labels,
        "item_category": item_category,
        "category_ids": category_ids,
        "features": features or None,
        "rows": order,
    }


def _check_context(context: Sequence[str], columns: list[str]) -> None:
    for place, name in enumerate(context):
        if name in columns:
            raise InputError(f"{name!r} is named as context and for something else as well")
        if name in context[:place]:
            raise InputError(f"{name!r} is named twice among context and time features")


def _table_of(
    frame: "Frame | None",
    id_column: str,
    ids: pl.Series,
    what: str,
    chosen: Sequence[str] | None,
    options: dict[str, Any],
) -> FeatureTable | None:
    if frame is not None:
        return read_table_of(frame, id_column, ids, what, chosen=chosen, **options) or None
    if chosen:
        raise InputError(f"features of {what} are chosen, but there is no table of {what}")
    return None


def _encode(column: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Numbers of the values in sorted order (a null comes first), and the values."""
    vocabulary = column.unique().sort()
    codes = column.rank("dense").cast(pl.Int64) - 1
    if column.null_count():
        codes = (codes + 1).fill_null(0)
    return codes, vocabulary


def _most_frequent(items: pl.Series, categories: pl.Series) -> Tensor:
    """Most frequent category of each item (the smallest of equally frequent ones)."""
    pairs = pl.DataFrame({"item": items, "category": categories})
    counted = pairs.group_by("item", "category").len()
    best = counted.sort(["item", "len", "category"], descending=[False, True, False])
    return best.unique("item", keep="first", maintain_order=True)["category"].to_torch()
