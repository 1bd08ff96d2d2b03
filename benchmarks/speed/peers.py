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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import nn

from benchmarks.speed.fuxictr import Prepare, fuxictr
from benchmarks.speed.ours import (
    ATTENTION,
    BATCH_SIZE,
    DIM,
    HIDDEN,
    LEARNING_RATE,
    MAX_HISTORY,
    Task,
    contender,
    din,
)
from benchmarks.speed.padded import Rows, padded
from benchmarks.speed.tables import COMPILED, OURS
from benchmarks.timing import Contender

# Importing DeepCTR-Torch would start a thread that asks PyPI for its newest version.
_no_check = types.ModuleType("deepctr_torch.utils")
_no_check.check_version = lambda version: None  # type: ignore[attr-defined]
sys.modules.setdefault("deepctr_torch.utils", _no_check)

from deepctr_torch.inputs import SparseFeat, VarLenSparseFeat  # noqa: E402
from deepctr_torch.layers import DNN  # noqa: E402
from deepctr_torch.models import DIN as DeepCTRDIN  # noqa: E402
from torch_rechub.basic.features import SequenceFeature, SparseFeature  # noqa: E402
from torch_rechub.models.ranking import DIN as RechubDIN  # noqa: E402
from torch_rechub.trainers import CTRTrainer  # noqa: E402
from torch_rechub.utils.data import DataGenerator  # noqa: E402


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
        contender(name, task, din(task), steps, prepared, compiled=compiled)
        for name, compiled in ((OURS, False), (COMPILED, True))
    ]
    return ours + [
        Contender(name, prepare, steps * BATCH_SIZE, sum(p.numel() for p in model.parameters()))
        for name, (model, prepare) in made.items()
    ]


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
        rows = padded(task.train, torch.cat(index))
        with quiet():
            fit(padded(task.train, index[0]))  # warms the caches
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
        data = loader(padded(task.train, torch.cat(index)))
        if prepared:
            data = list(data)
        with quiet():
            trainer.train_one_epoch(list(loader(padded(task.train, index[0]))))  # warms the caches
        return silenced(lambda: trainer.train_one_epoch(data))

    return model, prepare


def silenced(job: Callable[[], object]) -> Callable[[], object]:
    def run() -> object:
        with quiet():
            return job()

    return run
