"""A model meets a log."""

import copy
from dataclasses import replace

import torch
from torch_geometric.utils import cumsum

from resemb_gnn.data import BehaviorLog, Features
from resemb_gnn.data.feature_rows import rows_of
from resemb_gnn.datasets import DataSource
from resemb_gnn.errors import InputError, shown
from resemb_gnn.io.ids import find_ids
from resemb_gnn.pipeline.facts import feature_fingerprints, fingerprint
from resemb_gnn.saved.trained_model import TrainedModel


def is_training_data(trained: TrainedModel, log: BehaviorLog) -> bool:
    """Whether the model was trained on this very log: its items, behaviours and times, and what is
    read of features.
    """
    data, found = trained.facts["data"], feature_fingerprints(log)
    return (
        log.item_ids.equals(trained.item_ids)
        and fingerprint(log) == data["fingerprint"]
        and (bool(trained.context_names) <= ("context" in found))
        and found.items() <= data.get("feature_fingerprints", {}).items()
    )


def renumbered(trained: TrainedModel, source: DataSource) -> tuple[TrainedModel, DataSource, int]:
    """The model over a source's users, the source with the items and features numbered as the model
    numbers them, and how many behaviours were left out since the model does not know their item.

    Categories are the model's own. Features of items and users are the source's where it has a
    table of them, else the model's own; a user of whom neither knows anything has no values.

    Raises:
        InputError: if no behaviour is left, the source comes with its own examples, or it lacks a
            feature of the model or has it of another kind.
    """
    if source.published is not None:
        raise InputError(f"{source.name} comes with examples over item numbers of its own")
    number = find_ids(source.log.item_ids, trained.item_ids).fill_null(-1)
    items = torch.from_numpy(number.to_numpy().copy())[source.log.items]
    known = source.log.select(items >= 0)
    if not known.num_behaviors:
        raise InputError(f"{source.name} holds no item that the model knows")
    counts = known.ptr.diff()
    kept = counts > 0
    log = BehaviorLog(
        items=items[items >= 0],
        ptr=cumsum(counts[kept]),
        times=known.times,
        user_ids=known.user_ids.filter(kept.numpy()),
        item_ids=trained.item_ids,
        labels=known.labels,
        rows=known.rows,
    )
    own = trained.features
    if own is not None:
        theirs = known.features or Features()
        item_ids, user_ids = source.log.item_ids, source.log.user_ids
        found = {
            "items": (trained.item_ids, log.item_ids, theirs.items, item_ids),
            "users": (trained.histories.user_ids, log.user_ids, theirs.users, user_ids),
        }
        tables = {
            place: rows_of(table, *found[place])
            for place, table in own.tables()
            if place != "context"
        }
        if own.context is not None:
            if theirs.context is None:
                raise InputError(
                    f"{source.name} lacks the context {shown(trained.context_names)} that the model"
                    " was trained with"
                )
            tables["context"] = own.context.encode(theirs.context.decode())
        log = replace(log, features=Features(**tables))
        trained = _knowing(trained, Features(**tables))
    return trained, replace(source, log=log), source.log.num_behaviors - log.num_behaviors


def _knowing(trained: TrainedModel, features: Features) -> TrainedModel:
    """The model with other values of the features of items and users, embedded as before."""
    model = copy.copy(trained.model)
    model._modules = dict(model._modules)
    for name, table in (("known_items", features.items), ("known_users", features.users)):
        before = getattr(model, name)
        if table is not None:
            setattr(model, name, before.over(table).to(trained.device))
    return replace(trained, model=model, features=features)
