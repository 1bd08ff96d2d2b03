"""Logs of different times under one numbering of the items."""

from dataclasses import replace

import polars as pl
import torch
from torch import Tensor

from resemb_gnn.data.behavior_log import BehaviorLog
from resemb_gnn.errors import InputError
from resemb_gnn.io.ids import find_ids, id_texts, is_written, parse_ids


def extend_vocabulary(log: BehaviorLog, item_ids: pl.Series) -> BehaviorLog:
    """A log numbered so that known items keep their numbers, and new ones follow.

    Two ids are the same as :mod:`resemb_gnn.io.ids` says. Where one side holds numbers alone and
    the other texts among them, the vocabulary holds the numbers as texts.

    Args:
        log: a log, of later behaviours for instance.
        item_ids: the known items' own ids in the order of their numbers (``item_ids`` of the log
            that a model was trained on).

    Returns:
        The log over the vocabulary of the known items and then its own new ones in their order.
        Categories and features of items are left out: the log cannot tell those of items that are
        not in it. Features of users and of rows stay, since both stay as they are.

    Raises:
        InputError: if a known id is missing or comes twice, or the known ids are of another type
            than the log's and none is in both.
    """
    number, every = number_and_extend(log.item_ids, item_ids, "item")
    return BehaviorLog(
        items=number[log.items],
        ptr=log.ptr,
        times=log.times,
        user_ids=log.user_ids,
        item_ids=every,
        labels=log.labels,
        features=None if log.features is None else replace(log.features, items=None) or None,
        rows=log.rows,
    )


def number_and_extend(own: pl.Series, known: pl.Series, what: str) -> tuple[Tensor, pl.Series]:
    """The number of each id where known ones keep their numbers and new ones follow, int64
    ``[len(own)]``, and the ids in the order of their numbers.

    Args:
        own: the ids of a log, each once.
        known: the known ids in the order of their numbers.
        what: whose ids they are, for messages.

    Raises:
        InputError: as :func:`extend_vocabulary`.
    """
    name = own.name
    known, own = parse_ids(known), parse_ids(own)
    if known.n_unique() < len(known):
        raise InputError(f"{what} id {known.filter(known.is_duplicated())[0]!r} comes twice")
    found = find_ids(own, known)
    new = found.is_null()
    if known.dtype != own.dtype:
        if new.all() or not (is_written(known) and is_written(own)):
            raise InputError(
                f"the known {what} ids are {known.dtype}, those of the log {own.dtype}, and none is"
                " in both"
            )
        known, own = id_texts(known), id_texts(own)
    place = len(known) - 1 + new.cast(pl.Int64).cum_sum()
    number = torch.from_numpy(place.zip_with(new, found).to_numpy().copy())
    every = pl.concat([known.alias("id"), own.filter(new).alias("id")])
    return number, every.alias(name)
