"""Ids and logs in a model's numbers."""

from dataclasses import replace
from typing import Any

import polars as pl
import torch

from resemb_gnn.data import BehaviorLog
from resemb_gnn.errors import RowError, unknown_choice
from resemb_gnn.io.frame import shown_value, such_rows
from resemb_gnn.io.ids import find_ids
from resemb_gnn.settings.names import UNKNOWN


def number_ids(ids: pl.Series, vocabulary: pl.Series, unknown: str = "refuse") -> pl.Series:
    """The number of each id, Int64 ``[len(ids)]``, null where the id is unknown.

    Two ids are the same as :mod:`resemb_gnn.io.ids` says: 7, 7.0 and ``"7"`` are, ``"007"`` is
    another.

    Args:
        ids: ids to look up.
        vocabulary: known ids in the order of their numbers.
        unknown: ``"refuse"`` ids that are not known, or have a null for them (``"skip"``,
            ``"score"``).

    Raises:
        InputError: if an id is missing, or is unknown and ``unknown="refuse"``, or ``unknown`` is
            none of these.
    """
    if unknown not in UNKNOWN:
        raise unknown_choice(f"unknown={unknown!r}", unknown, UNKNOWN)
    numbers = find_ids(ids, vocabulary)
    bad = numbers.is_null()
    if unknown == "refuse" and bad.any():
        row = bad.arg_true()[0]
        raise RowError(
            f"column {ids.name!r}",
            row,
            f"{shown_value(ids, row)} is unknown to the model ({such_rows(bad)}; with unknown"
            " 'skip' their score is left empty, with 'score' it is made without what is not known)",
        )
    return numbers


def of_known_items(item_ids: pl.Series, log: BehaviorLog) -> BehaviorLog:
    """The rows of a log whose item a model knows, with the items numbered as the model does, and
    without categories and features of items.
    """
    number = find_ids(log.item_ids, item_ids).fill_null(-1)
    items = torch.from_numpy(number.to_numpy().copy())[log.items]
    known = log.select(items >= 0)
    features = None if known.features is None else replace(known.features, items=None) or None
    return replace(
        known,
        items=items[items >= 0],
        item_ids=item_ids,
        item_category=None,
        category_ids=None,
        features=features,
    )


def num_not_later(facts: dict[str, Any], log: BehaviorLog) -> int:
    """Rows of a log that are not later than the last of the training's; 0 of a model that was saved
    when it did not tell that time.
    """
    until = facts["data"].get("log_until")
    return 0 if until is None else int((log.times.numpy() <= until).sum())
