"""A model over items and users that it was not trained on, known by their features."""

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import polars as pl
import torch
from torch import nn

from resemb_gnn.data import BehaviorLog, Features, FeatureTable
from resemb_gnn.data.feature_rows import joined_rows, missing_rows, rows_of
from resemb_gnn.errors import InputError, RowError, shown
from resemb_gnn.io.frame import naming
from resemb_gnn.io.ids import parse_ids
from resemb_gnn.models import CTRModel
from resemb_gnn.models.replace_embedding import replace_features
from resemb_gnn.nn import ResEmbedding, as_item_embedding
from resemb_gnn.saved.ids import of_known_items

if TYPE_CHECKING:
    from resemb_gnn.saved.trained_model import TrainedModel

Module = TypeVar("Module", bound=nn.Module)


def knowing(trained: "TrainedModel", features: Features | None) -> "TrainedModel":
    """The model with other values of the features of items and users, embedded as before; a table
    that it has is not encoded anew.
    """
    if features is None:
        return trained
    own, model = trained.features or Features(), shallow(trained.model)
    other = {name: part for name, part in features.tables() if part is not getattr(own, name)}
    replace_features(model, Features(**other))
    return replace(trained, model=model, features=features)


def with_history(
    trained: "TrainedModel", history: BehaviorLog, users: pl.Series | None = None
) -> "TrainedModel":
    """The model over its users and behind them those of a later log and others that are asked for:
    the log's positive behaviours on items that it knows follow in the histories. New users have no
    values of features.

    Args:
        trained: the model.
        history: the log, in numbers of its own.
        users: own ids of users, who have no history if nothing is known of them.

    Raises:
        InputError: if an id is missing, or they are of another type than the model's.
    """
    known = of_known_items(trained.item_ids, history)
    histories, _ = trained.histories.continued(replace(known, features=None))
    if users is not None:
        parse_ids(users)
        histories = histories.with_users(users)
    own = trained.features
    if own is not None and own.users is not None:
        more = len(histories.user_ids) - len(trained.histories.user_ids)
        every = joined_rows([own.users, missing_rows(own.users, more)])
        trained = knowing(trained, replace(own, users=every))
    return replace(trained, histories=histories)


def features_over(
    trained: "TrainedModel",
    log: BehaviorLog,
    item_ids: pl.Series,
    user_ids: pl.Series,
    asked: BehaviorLog,
    name: str,
    grow: bool = False,
) -> Features | None:
    """What is known of items and users, by a log where it tells and else by the model, and of rows
    of the log, numbered as the model numbers values; ``None`` if the model knows no features.

    Args:
        trained: the model.
        log: the log, in numbers of its own.
        item_ids: the items that are asked for.
        user_ids: the users that are asked for.
        asked: the rows of the log whose context is asked for.
        name: how messages name the log.
        grow: number values that the model does not have behind those that it has, in place of
            taking them for unknown ones.

    Raises:
        InputError: if there is no context where the model knows some, or the log has a feature of
            another kind.
    """
    own, theirs = trained.features, log.features or Features()
    if own is None:
        return None
    tables: dict[str, FeatureTable] = {}
    if own.items is not None:
        with naming("the table of items"):
            known = trained.item_ids
            tables["items"] = rows_of(own.items, known, item_ids, theirs.items, log.item_ids, grow)
    if own.users is not None:
        with naming("the table of users"):
            known = trained.histories.user_ids
            tables["users"] = rows_of(own.users, known, user_ids, theirs.users, log.user_ids, grow)
    if own.context is not None:
        context = None if asked.features is None else asked.features.context
        if context is None:
            raise InputError(
                f"{name} lacks the context {shown(trained.context_names)} that the model was"
                " trained with"
            )
        try:
            tables["context"] = own.context.recode(context, grow=grow)
        except RowError as error:  # of the table that the log was read from
            row = error.row if asked.rows is None else int(asked.rows[error.row])
            raise RowError(f"{name}, {error.where}", row, error.what) from None
    return Features(**tables)


def without_rows(features: Features | None) -> Features | None:
    """The features without those of the log's rows, of which the kinds and vocabularies stay."""
    if features is None or features.context is None:
        return features
    return replace(features, context=features.context[torch.zeros(0, dtype=torch.long)])


@torch.no_grad()
def with_new_items(
    trained: "TrainedModel", table: FeatureTable, items: FeatureTable | None = None
) -> CTRModel:
    """The model with further items behind its own, of which only features are known.

    Where the co-visit graph holds features of items, the embedding of a new one is what its
    features alone make of the centres (:meth:`~resemb_gnn.ResEmbedding.embed_new`); elsewhere it
    is the mean of all items', and so is that of its category.

    Args:
        trained: the model.
        table: a row a new item, with the features that the graph holds if it holds some.
        items: a row an item, its own ones and the new ones, if the model knows features of items.
    """
    model = shallow(trained.model)
    known = as_item_embedding(trained.embedding).materialize().weight
    if trained.graph_features is not None and isinstance(trained.embedding, ResEmbedding):
        new = trained.embedding.embed_new(features=table)
    else:
        new = known.mean(0, keepdim=True).expand(len(table), -1)
    category = None
    if model.category is not None:  # those of the new items are one that training did not have
        own = model.category.item_category
        unknown = own.new_full((len(table),), len(model.category.embedding.weight))
        category = torch.cat([own, unknown])
    every = nn.Embedding.from_pretrained(torch.cat([known, new.to(known)]))
    model.replace_embedding(every, category, items)
    return model


def shallow(module: Module) -> Module:
    """The module with the same parts, which may be replaced without a change of the other."""
    found = copy.copy(module)
    for name in ("_modules", "_parameters", "_buffers"):
        setattr(found, name, dict(getattr(module, name)))
    return found
