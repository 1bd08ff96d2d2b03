"""Click probabilities of pairs of user and candidate item, known to a model or not."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from resemb_gnn.data import BehaviorLog, Examples, Features, FeatureTable
from resemb_gnn.data.feature_rows import joined_rows, missing_rows
from resemb_gnn.data.log_features import read_table_of
from resemb_gnn.errors import InputError, check_lengths, shown
from resemb_gnn.io.frame import Frame, naming, read_columns
from resemb_gnn.io.ids import find_ids, id_column, parse_ids
from resemb_gnn.io.times import parse_times
from resemb_gnn.models import CTRModel
from resemb_gnn.saved.extended import knowing, with_new_items
from resemb_gnn.saved.ids import number_ids, of_known_items
from resemb_gnn.training import predict

if TYPE_CHECKING:
    from resemb_gnn.saved.trained_model import TrainedModel


def predict_pairs(
    trained: "TrainedModel",
    users: pl.Series | list[Any],
    items: pl.Series | list[Any],
    *,
    context: "Frame | None",
    history: BehaviorLog | None,
    times: pl.Series | list[Any] | None,
    item_features: "Frame | None",
    user_features: "Frame | None",
    unknown: str,
    progress: bool,
) -> pl.Series:
    """The score of each pair; arguments and errors as :meth:`~resemb_gnn.TrainedModel.predict` has
    them.
    """
    users, items = id_column(users, "user"), id_column(items, "item")
    check_lengths(users=users, items=items)
    moments = None
    if times is not None:
        moments = parse_times(pl.Series("time", times) if isinstance(times, list) else times)
        check_lengths(users=users, times=moments)
    histories = trained.histories
    if history is not None:
        known = of_known_items(trained.item_ids, history)
        histories, _ = histories.continued(replace(known, features=None))
    # Whoever has done nothing since training is not in the history, and has done nothing.
    begins = history is not None or unknown == "score"
    of_history = number_ids(users, histories.user_ids, "skip" if begins else unknown)
    user, new_users = _numbered(users, trained.histories.user_ids)
    number_ids(items, trained.item_ids, unknown)
    item, new_items = _numbered(items, trained.item_ids)
    rows = context_of(trained, context, len(users))
    place = np.arange(len(users))
    if unknown == "skip":
        there = torch.from_numpy((begins | of_history.is_not_null()).to_numpy())
        place = place[(there & (item < len(trained.item_ids))).numpy()]
    at = torch.from_numpy(place)
    time = None if moments is None else moments.to_torch()[at]
    number = torch.from_numpy(of_history.fill_null(-1).to_numpy().copy())[at]
    windows = histories.examples(number.clamp(min=0), item[at], time)
    start, end = (torch.where(number < 0, 0, one) for one in (windows.start, windows.end))
    examples = replace(windows, start=start, end=end, user=user[at])
    if rows is not None:
        examples = replace(examples, row=at, context=rows)
    new_users = new_users if begins else new_users.clear()
    new_items = new_items if unknown == "score" else new_items.clear()
    model = _model_of(trained, new_users, user_features, new_items, item_features)
    return _scores(trained, model, examples, place, len(users), progress)


def _scores(
    trained: "TrainedModel",
    model: CTRModel,
    examples: Examples,
    place: "np.ndarray",
    size: int,
    progress: bool,
) -> pl.Series:
    """The scores of examples at their places among ``size`` pairs, null elsewhere."""
    score = np.full(size, np.nan, dtype=np.float32)
    max_history = trained.settings.max_history
    examples = examples.to(trained.device)
    logit = predict(model, examples, max_history=max_history, progress=progress)
    score[place] = logit.sigmoid().cpu().numpy()
    return pl.Series("score", score, nan_to_null=True)


def _numbered(ids: pl.Series, known: pl.Series) -> tuple[Tensor, pl.Series]:
    """The number of each id, int64 ``[len(ids)]``, and the ids that are not known, each once: their
    numbers follow those of the known ones.
    """
    number = find_ids(ids, known)
    new = parse_ids(ids.filter(number.is_null())).unique(maintain_order=True)
    if len(new):
        number = number.fill_null(find_ids(ids, new) + len(known))
    return number.to_torch(), new.alias(ids.name)


def _model_of(
    trained: "TrainedModel",
    new_users: pl.Series,
    user_features: "Frame | None",
    new_items: pl.Series,
    item_features: "Frame | None",
) -> CTRModel:
    """The model over its own users and items and new ones behind them.

    Raises:
        InputError: if there are new items, but no features of theirs, or the model knows none.
    """
    own = trained.features or Features()
    users, items = own.users, own.items
    if users is not None and len(new_users):
        more = missing_rows(users, len(new_users))
        if user_features is not None:
            more = _read(trained, users, user_features, new_users, "users")
        users = joined_rows([users, more])
    if not len(new_items):
        return trained.model if users is own.users else _with(trained, replace(own, users=users))
    wanted = items if items is not None else trained.graph_features
    if wanted is None or item_features is None:
        lacking = "knows no features of items" if wanted is None else "needs their features"
        hint = "" if wanted is None else ": give a table of them (item_features, --items)"
        raise InputError(
            f"column {new_items.name!r}: {shown(new_items[0])} is unknown to the model"
            f" ({len(new_items)} such items), which {lacking}{hint}; unknown 'skip' leaves their"
            " score empty"
        )
    table = _read(trained, wanted, item_features, new_items, "items")
    if items is not None:
        items = joined_rows([items, table])
    over = replace(trained, model=with_new_items(trained, table, items))
    return _with(over, replace(own, items=None, users=users))  # those of items it has


def _with(trained: "TrainedModel", features: Features) -> CTRModel:
    return knowing(trained, features).model


def _read(
    trained: "TrainedModel", like: FeatureTable, frame: "Frame", ids: pl.Series, what: str
) -> FeatureTable:
    """The features of ids from a table of theirs, encoded as the model does."""
    separator = trained.settings.list_separator
    return read_table_of(frame, ids.name, ids, what, list_separator=separator, like=like)


def context_of(trained: "TrainedModel", frame: "Frame | None", size: int) -> FeatureTable | None:
    """The values of context features that a frame holds, of so many rows, as the model numbers
    them; ``None`` if it knows none.
    """
    if trained.features is None or trained.features.context is None:
        return None
    table = trained.features.context
    names = trained.context_names
    if frame is None:
        raise InputError(f"the model was trained with context: give a frame with {shown(names)}")
    found = read_columns(frame, names)
    check_lengths(users=range(size), context=found)
    with naming("the context"):
        return table.encode(found, trained.settings.list_separator)
