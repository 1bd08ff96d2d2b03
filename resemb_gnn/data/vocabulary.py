"""Logs of different times under one numbering of the items."""

import polars as pl
import torch

from resemb_gnn.data.behavior_log import BehaviorLog
from resemb_gnn.errors import InputError


def extend_vocabulary(log: BehaviorLog, item_ids: pl.Series) -> BehaviorLog:
    """A log numbered so that known items keep their numbers, and new ones follow.

    Args:
        log: a log, of later behaviours for instance.
        item_ids: the known items' own ids in the order of their numbers (``item_ids`` of the log
            that a model was trained on).

    Returns:
        The log over the vocabulary of the known items and then its own new ones in their order.
        Categories are left out: the log cannot tell those of items that are not in it.

    Raises:
        InputError: if the ids are of another type than the log's, or one comes twice.
    """
    if item_ids.dtype != log.item_ids.dtype:
        raise InputError(
            f"the known item ids are {item_ids.dtype}, those of the log {log.item_ids.dtype}"
        )
    if item_ids.n_unique() < len(item_ids):
        raise InputError(f"item id {item_ids.filter(item_ids.is_duplicated())[0]!r} comes twice")
    new = log.item_ids.filter(~log.item_ids.is_in(item_ids.implode()))
    every = pl.concat([item_ids.alias("id"), new.alias("id")])
    numbers = pl.DataFrame(
        {"id": every, "number": range(len(every))}, schema_overrides={"number": pl.Int64}
    )
    own = pl.DataFrame({"id": log.item_ids}).join(
        numbers, on="id", how="left", maintain_order="left"
    )
    number = torch.from_numpy(own["number"].to_numpy().copy())
    return BehaviorLog(
        items=number[log.items],
        ptr=log.ptr,
        times=log.times,
        user_ids=log.user_ids,
        item_ids=every.alias(log.item_ids.name),
        labels=log.labels,
    )
