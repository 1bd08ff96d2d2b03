"""DIN of FuxiCTR, DeepCTR-Torch and torch-rechub, trained by their own loops and loaders.

Each contender gets the same examples in the same order, with ids moved up by one because the
libraries keep 0 for padding. ``end to end`` starts from arrays in memory and includes the library's
own data loader, in the training process (``num_workers=0``); ``model only`` runs the same training
loop over batches made beforehand.
"""

import atexit
import contextlib
import os
import shutil
import sys
import tempfile
import types
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import pandas as pd
import torch
from speed_ours import (
    ATTENTION,
    BATCH_SIZE,
    DIM,
    HIDDEN,
    LEARNING_RATE,
    MAX_HISTORY,
    Task,
    contender,
    plain,
)
from speed_tables import COMPILED, OURS
from timing import Contender
from torch import Tensor, nn

# Importing DeepCTR-Torch would start a thread that asks PyPI for its newest version.
_no_check = types.ModuleType("deepctr_torch.utils")
_no_check.check_version = lambda version: None  # type: ignore[attr-defined]
sys.modules.setdefault("deepctr_torch.utils", _no_check)

from deepctr_torch.inputs import SparseFeat, VarLenSparseFeat  # noqa: E402
from deepctr_torch.layers import DNN  # noqa: E402
from deepctr_torch.models import DIN as DeepCTRDIN  # noqa: E402
from fuxictr.features import FeatureMap  # noqa: E402
from fuxictr.pytorch.dataloaders.npz_dataloader import NpzDataLoader  # noqa: E402
from model_zoo.LongCTR.DIN import DIN as FuxiDIN  # noqa: E402
from model_zoo.LongCTR.longctr_dataloader import LongCTRDataLoader  # noqa: E402
from torch_rechub.basic.features import SequenceFeature, SparseFeature  # noqa: E402
from torch_rechub.models.ranking import DIN as RechubDIN  # noqa: E402
from torch_rechub.trainers import CTRTrainer  # noqa: E402
from torch_rechub.utils.data import DataGenerator  # noqa: E402

Prepare = Callable[[int], Callable[[], object]]


class Rows(NamedTuple):
    """Examples as the libraries take them; 0 pads histories, at the end."""

    history: "np.ndarray"  # int64 [num_rows, MAX_HISTORY]
    length: "np.ndarray"  # int64 [num_rows]
    target: "np.ndarray"  # int64 [num_rows]
    label: "np.ndarray"  # int64 [num_rows]

    def split(self) -> Iterator["Rows"]:
        for start in range(0, len(self.label), BATCH_SIZE):
            yield Rows(*(part[start : start + BATCH_SIZE] for part in self))


def padded(task: Task, index: Tensor) -> Rows:
    batch = task.batch(index)
    length = batch.ptr.diff()
    row = torch.arange(len(batch)).repeat_interleave(length)
    history = torch.zeros(len(batch), MAX_HISTORY, dtype=torch.long)
    history[row, torch.arange(row.numel()) - batch.ptr[row]] = batch.history + 1
    parts = (history, length, batch.target + 1, batch.label.long())
    return Rows(*(part.numpy() for part in parts))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    with (
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield


def peers(task: Task, steps: int, prepared: bool) -> list[Contender]:
    """Our DIN with a plain table and the others', model only or end to end."""
    folder = Path(tempfile.mkdtemp(prefix="speed-peers-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    made = {
        f"FuxiCTR, padded to {MAX_HISTORY}": fuxictr(task, steps, prepared, folder, MAX_HISTORY),
        "FuxiCTR, padded to the batch's longest": fuxictr(task, steps, prepared, folder, None),
        f"DeepCTR-Torch, padded to {MAX_HISTORY}": deepctr(task, steps, prepared),
        f"torch-rechub, padded to {MAX_HISTORY}": rechub(task, steps, prepared),
    }
    ours = [
        contender(name, task, plain(task), steps, prepared, compiled=compiled)
        for name, compiled in ((OURS, False), (COMPILED, True))
    ]
    return ours + [
        Contender(name, prepare, steps * BATCH_SIZE, sum(p.numel() for p in model.parameters()))
        for name, (model, prepare) in made.items()
    ]


def fuxictr_model(num_items: int, folder: Path) -> nn.Module:
    """The DIN that FuxiCTR's wheel brings (``model_zoo.LongCTR.DIN``), ready to train."""
    model = FuxiDIN(
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
) -> tuple[nn.Module, Prepare]:
    """FuxiCTR's DIN and that model's own loader, which pads to the longest of the batch; padded to
    a fixed length, the library's common ``npz`` loader.
    """
    model = fuxictr_model(task.num_items, folder)
    if pad_to is None and not prepared:
        _write_fuxi_tables(task, folder)

    def batches(rows: list[Tensor]) -> Iterable[Any]:
        if prepared:
            return [fuxi_batch(padded(task, index), pad_to) for index in rows]
        if pad_to is None:
            return _fuxi_long_loader(task, torch.cat(rows), folder, model.feature_map)
        loader = _fuxi_npz_loader(padded(task, torch.cat(rows)), folder)
        return map(_from_npz, loader)

    def prepare(number: int) -> Callable[[], object]:
        rows = task.rows(number, steps)
        model.train_epoch([fuxi_batch(padded(task, rows[0]), pad_to)])  # warms the caches
        data = batches(rows)
        return lambda: model.train_epoch(data)

    return model, prepare


def _feature_map(features: dict[str, dict[str, Any]]) -> FeatureMap:
    feature_map = FeatureMap("speed", "")
    feature_map.features = OrderedDict(features)
    feature_map.labels = ["label"]
    feature_map.default_emb_dim = DIM
    return feature_map


def fuxi_batch(rows: Rows, pad_to: int | None) -> tuple[Any, ...]:
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


def _fuxi_npz_loader(rows: Rows, folder: Path) -> NpzDataLoader:
    path = folder / "rows.npz"
    np.savez(path, history=rows.history, item=rows.target, label=rows.label)
    sequence = {"type": "sequence", "max_len": MAX_HISTORY}
    features = _feature_map({"history": sequence, "item": {"type": "categorical"}})
    return NpzDataLoader(features, str(path), batch_size=BATCH_SIZE, num_workers=0)


def _write_fuxi_tables(task: Task, folder: Path) -> None:
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


def _fuxi_long_loader(
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


def deepctr(task: Task, steps: int, prepared: bool) -> tuple[nn.Module, Prepare]:
    item = SparseFeat("item", task.num_items + 1, embedding_dim=DIM)
    past = SparseFeat("hist_item", task.num_items + 1, embedding_dim=DIM, embedding_name="item")
    model = DeepCTRDIN(
        [item, VarLenSparseFeat(past, maxlen=MAX_HISTORY, length_name="seq_length")],
        ["item"],
        dnn_hidden_units=HIDDEN,
        att_hidden_size=(ATTENTION,),
        att_activation="Dice",
        l2_reg_embedding=0,
    )
    # Its DIN cannot be given Dice for the MLP (it would be built for 3-D input); its DNN can.
    model.dnn = DNN(2 * DIM, HIDDEN, activation="dice", dice_dim=2)
    model.compile("adam", "binary_crossentropy")

    def fit(rows: Rows) -> object:
        inputs = {"item": rows.target, "hist_item": rows.history, "seq_length": rows.length}
        return model.fit(inputs, rows.label, BATCH_SIZE, epochs=1, verbose=0, shuffle=False)

    def fit_prepared(rows: Rows) -> Callable[[], object]:
        batches = [
            (
                torch.from_numpy(np.column_stack([part.target, part.history, part.length])),
                torch.from_numpy(part.label),
            )
            for part in rows.split()
        ]
        first = next(rows.split())

        def job() -> object:
            with mock.patch("deepctr_torch.models.basemodel.DataLoader", return_value=batches):
                return fit(first)

        return job

    def prepare(number: int) -> Callable[[], object]:
        index = task.rows(number, steps)
        rows = padded(task, torch.cat(index))
        with quiet():
            fit(padded(task, index[0]))  # warms the caches
        return silenced(fit_prepared(rows) if prepared else lambda: fit(rows))

    return model, prepare


def rechub(task: Task, steps: int, prepared: bool) -> tuple[nn.Module, Prepare]:
    """Its DIN asks for a feature besides history and candidate; it gets the candidate again, which
    makes its MLP as wide as ours.
    """
    size, shared = task.num_items + 1, {"embed_dim": DIM, "padding_idx": 0}
    target = SparseFeature("item", size, **shared)
    again = SparseFeature("item_again", size, shared_with="item", **shared)
    past = SequenceFeature("history", size, pooling="concat", shared_with="item", **shared)
    model = RechubDIN(
        features=[again],
        history_features=[past],
        target_features=[target],
        mlp_params={"dims": list(HIDDEN)},
        attention_mlp_params={"dims": [ATTENTION], "activation": "dice"},
    )
    trainer = CTRTrainer(model, optimizer_params={"lr": LEARNING_RATE})

    def loader(rows: Rows) -> Any:
        x = {"item": rows.target, "item_again": rows.target, "history": rows.history}
        part, y = {name: column[:1] for name, column in x.items()}, rows.label
        generator = DataGenerator(x, y)
        return generator.generate_dataloader(part, y[:1], part, y[:1], batch_size=BATCH_SIZE)[0]

    def prepare(number: int) -> Callable[[], object]:
        index = task.rows(number, steps)
        data = loader(padded(task, torch.cat(index)))
        if prepared:
            data = list(data)
        with quiet():
            trainer.train_one_epoch(list(loader(padded(task, index[0]))))  # warms the caches
        return silenced(lambda: trainer.train_one_epoch(data))

    return model, prepare


def silenced(job: Callable[[], object]) -> Callable[[], object]:
    def run() -> object:
        with quiet():
            return job()

    return run
