"""DIN of FuxiCTR, trained by its own loop and loaders (see peers.py)."""

import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.dataloaders.npz_dataloader import NpzDataLoader
from model_zoo.LongCTR.DIN import DIN
from model_zoo.LongCTR.longctr_dataloader import LongCTRDataLoader
from torch import Tensor

from benchmarks.speed.ours import (
    ATTENTION,
    BATCH_SIZE,
    DIM,
    HIDDEN,
    LEARNING_RATE,
    MAX_HISTORY,
    Task,
)
from benchmarks.speed.padded import Rows, padded

Prepare = Callable[[int], Callable[[], object]]


def make_model(num_items: int, folder: Path) -> Any:
    """The DIN that FuxiCTR's wheel brings (``model_zoo.LongCTR.DIN``), ready to train."""
    model = DIN(
        _feature_map(
            {
                "user_index": {"type": "meta"},
                "item_index": {"type": "meta"},
                "seq_len": {"type": "meta"},
                "item": {
                    "type": "categorical",
                    "source": "item",
                    "vocab_size": num_items + 1,
                    "padding_idx": 0,
                },
            }
        ),
        dnn_hidden_units=list(HIDDEN),
        dnn_activations="Dice",
        attention_hidden_units=[ATTENTION],
        attention_hidden_activations="Dice",
        learning_rate=LEARNING_RATE,
        embedding_dim=DIM,
        optimizer="adam",
        loss="binary_crossentropy",
        metrics=["AUC"],
        model_root=str(folder),
        verbose=0,
    )
    # What BaseModel.fit sets before its first epoch; an evaluation never falls due.
    model._max_gradient_norm, model._eval_steps = 10.0, sys.maxsize
    model._total_steps, model._stop_training = 0, False
    return model


def fuxictr(
    task: Task, steps: int, prepared: bool, folder: Path, pad_to: int | None
) -> tuple[Any, Prepare]:
    """FuxiCTR's DIN and that model's own loader, which pads to the longest of the batch; padded to
    a fixed length, the library's common ``npz`` loader.
    """
    model = make_model(task.num_items, folder)
    if pad_to is None and not prepared:
        _write_tables(task, folder)

    def batches(rows: list[Tensor]) -> Iterable[Any]:
        if prepared:
            return [batch_of(padded(task.train, index), pad_to) for index in rows]
        if pad_to is None:
            return _long_loader(task, torch.cat(rows), folder, model.feature_map)
        loader = _npz_loader(padded(task.train, torch.cat(rows)), folder)
        return map(_from_npz, loader)

    def prepare(number: int) -> Callable[[], object]:
        rows = task.rows(number, steps)
        model.train_epoch([batch_of(padded(task.train, rows[0]), pad_to)])  # warms the caches
        data = batches(rows)
        return lambda: model.train_epoch(data)

    return model, prepare


def _feature_map(features: dict[str, dict[str, Any]]) -> FeatureMap:
    feature_map = FeatureMap("speed", "")
    feature_map.features = OrderedDict(features)
    feature_map.labels = ["label"]
    feature_map.default_emb_dim = DIM
    return feature_map


def batch_of(rows: Rows, pad_to: int | None) -> tuple[Any, ...]:
    width = pad_to or max(int(rows.length.max()), 1)
    return _from_npz(
        {
            "history": torch.from_numpy(rows.history[:, :width]),
            "item": torch.from_numpy(rows.target),
            "label": torch.from_numpy(rows.label),
        }
    )


def _from_npz(batch: dict[str, Tensor]) -> tuple[Any, ...]:
    """A batch of the ``npz`` loader as LongCTR's DIN takes it."""
    items = torch.cat([batch["history"], batch["item"][:, None]], dim=1).flatten()
    return {"label": batch["label"]}, {"item": items}, (batch["history"] > 0).float()


def _npz_loader(rows: Rows, folder: Path) -> NpzDataLoader:
    path = folder / "rows.npz"
    np.savez(path, history=rows.history, item=rows.target, label=rows.label)
    sequence = {"type": "sequence", "max_len": MAX_HISTORY}
    features = _feature_map({"history": sequence, "item": {"type": "categorical"}})
    return NpzDataLoader(features, str(path), batch_size=BATCH_SIZE, num_workers=0)


def _write_tables(task: Task, folder: Path) -> None:
    """Each user's sequence, of which a row's history is the start, and the items' features."""
    train = task.train
    start = torch.zeros(int(train.user.max()) + 1, dtype=torch.long)
    end = torch.zeros_like(start)
    start[train.user] = train.start  # the same for all examples of a user
    end.scatter_reduce_(0, train.user, train.end, "amax")
    bounds = zip(start.tolist(), end.tolist(), strict=True)
    sequences = [train.items[low:high].add(1).tolist() for low, high in bounds]
    pd.DataFrame({"full_item_seq": sequences}).to_parquet(folder / "users.parquet")
    every = np.arange(task.num_items + 1)  # 0 is the padding
    pd.DataFrame({"item_index": every, "item": every}).to_parquet(folder / "items.parquet")


def _long_loader(
    task: Task, rows: Tensor, folder: Path, feature_map: FeatureMap
) -> LongCTRDataLoader:
    examples = task.train[rows]
    columns = {
        "user_index": examples.user,
        "item_index": examples.target + 1,
        "seq_len": examples.end - examples.start,
        "label": examples.label.long(),
    }
    frame = pd.DataFrame({name: part.numpy() for name, part in columns.items()})
    frame.to_parquet(folder / "rows.parquet")
    return LongCTRDataLoader(
        feature_map,
        str(folder / "rows.parquet"),
        user_info=str(folder / "users.parquet"),
        item_info=str(folder / "items.parquet"),
        batch_size=BATCH_SIZE,
        num_workers=0,
        max_len=MAX_HISTORY,
    )
