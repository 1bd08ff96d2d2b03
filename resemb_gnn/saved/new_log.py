"""A model meets a log."""

from dataclasses import replace

import torch
from torch_geometric.utils import cumsum

from resemb_gnn.data import BehaviorLog
from resemb_gnn.datasets import DataSource
from resemb_gnn.errors import InputError
from resemb_gnn.io.ids import find_ids
from resemb_gnn.pipeline.facts import fingerprint
from resemb_gnn.saved.trained_model import TrainedModel


def is_training_data(trained: TrainedModel, log: BehaviorLog) -> bool:
    """Whether the model was trained on this very log: its items, behaviours and times."""
    return log.item_ids.equals(trained.item_ids) and (
        fingerprint(log) == trained.facts["data"]["fingerprint"]
    )


def renumbered(trained: TrainedModel, source: DataSource) -> tuple[DataSource, int]:
    """A source with the items numbered as the model numbers them, and how many behaviours were
    left out since the model does not know their item. Categories are the model's own.

    Raises:
        InputError: if no behaviour is left, or the source comes with its own examples.
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
    )
    return replace(source, log=log), source.log.num_behaviors - log.num_behaviors
