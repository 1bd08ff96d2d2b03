"""A trained click model as one file that scores without this package."""

import copy
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from resemb_gnn.data import Batch
from resemb_gnn.errors import InputError
from resemb_gnn.io.outputs import shared_folder
from resemb_gnn.models import DIEN, CTRModel
from resemb_gnn.optional import require

PROGRAM, ONNX, CARD = "scorer.pt2", "scorer.onnx", "scorer.json"
FILES = (PROGRAM, ONNX, f"{ONNX}.data", CARD)


class Scorer(nn.Module):
    """A click model in evaluation mode over a table of its items' features.

    The embedding and the category features are computed once, for all items; the rest is the
    model's own ``score``, so its outputs are the model's. Takes the parts of a jagged batch, of any
    sizes; the batch may be a single example and histories may be empty.

    Args:
        model: a trained model; it stays as it is.

    Shapes:
        - **input:** history int64 ``[num_behaviors]``, its offsets ptr int64 ``[batch_size + 1]``,
          target int64 ``[batch_size]``
        - **output:** logits of the click probability, ``[batch_size]``

    Raises:
        InputError: if the model is not one of this package, its embedding does not tell its
            number of items, or it is a DIEN.
    """

    def __init__(self, model: CTRModel) -> None:
        super().__init__()
        if not isinstance(model, CTRModel):
            raise InputError(f"{type(model).__name__} is not a click model of resemb_gnn")
        if isinstance(model, DIEN):
            raise InputError("DIEN takes as many steps as a batch's longest history: no export")
        size = model.items.num_embeddings
        if size is None:
            raise InputError(f"{type(model.embedding).__name__} has no num_embeddings")
        self.table = nn.Embedding.from_pretrained(_features(model, size))
        self.model = copy.deepcopy(_without_embedding(model)).cpu().float()  # as the table is
        self.eval().requires_grad_(False)

    def forward(self, history: Tensor, ptr: Tensor, target: Tensor) -> Tensor:
        num_behaviors, batch_size = history.numel(), target.numel()
        # A ptr whose size is told by the batch: otherwise the export is bound to two examples.
        ptr = nn.functional.pad(ptr.narrow(0, 1, batch_size), (1, 0))
        items = self.table(torch.cat([history, target]))
        place = torch.arange(num_behaviors + batch_size, device=target.device)
        batch = Batch(history, ptr, target, target, target)  # a score needs no label and no user
        past, candidate = place.split([num_behaviors, batch_size])
        logits: Tensor = self.model.score(items, past, candidate, batch)
        return logits


def export_scorer(model: CTRModel, folder: str | Path, *, onnx: bool = True) -> Scorer:
    """Writes a trained click model as programs that need neither this package nor its graph.

    ``scorer.pt2`` is a ``torch.export`` program (``torch.export.load(path).module()``, or compiled
    ahead by AOTInductor); ``scorer.onnx``, with its weights in ``scorer.onnx.data``, an ONNX model
    for ONNX Runtime and others; ``scorer.json`` names their inputs. All take ``history``, ``ptr``
    and ``target`` (int64, item numbers) and return ``logit`` as :class:`Scorer` does.

    Args:
        model: a trained model.
        folder: where to; made if it is not there.
        onnx: write the ONNX model too.

    Returns:
        The module that was exported.

    Raises:
        InputError: if the model cannot be exported in this way, or nothing can be written to the
            folder.
        ImportError: if ``onnxscript`` is not installed and ``onnx`` is not ``False``; nothing is
            written.
    """
    if onnx:
        require("onnxscript", "onnx=True", "serve")
    folder = shared_folder(folder)
    scorer = Scorer(model)
    program = _program(scorer)
    folder.mkdir(parents=True, exist_ok=True)
    torch.export.save(program, folder / PROGRAM)
    if onnx:
        with _without_notes():
            torch.onnx.export(
                program,
                (),
                folder / ONNX,
                dynamo=True,
                input_names=["history", "ptr", "target"],
                output_names=["logit"],
                external_data=True,
                verbose=False,
            )
    card = {
        "model": type(model).__name__,
        "num_items": scorer.table.num_embeddings,
        "inputs": {
            "history": "int64 [num_behaviors], item numbers of all histories, oldest first",
            "ptr": "int64 [batch_size + 1], history b is history[ptr[b]:ptr[b + 1]]",
            "target": "int64 [batch_size], item number of each candidate",
        },
        "output": {"logit": "float32 [batch_size], of the click probability"},
    }
    (folder / CARD).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    return scorer


@contextmanager
def _without_notes() -> Iterator[None]:
    """Keeps the exporter's notes off standard error: on what it did not optimise, on torchvision,
    which no scorer needs, and on its own use of what PyTorch has deprecated.
    """
    names = ("onnx_ir", "onnxscript", "torch.onnx._internal.exporter._registration")
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r".*treespec, LeafSpec", FutureWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _program(scorer: Scorer) -> torch.export.ExportedProgram:
    num_behaviors, batch_size = torch.export.Dim("num_behaviors"), torch.export.Dim("batch_size")
    example = (
        torch.zeros(7, dtype=torch.long),
        torch.tensor([0, 3, 3, 7]),
        torch.zeros(3, dtype=torch.long),
    )
    sizes = ({0: num_behaviors}, {0: batch_size + 1}, {0: batch_size})
    return torch.export.export(scorer, example, dynamic_shapes=sizes, strict=False)


def _without_embedding(model: CTRModel) -> CTRModel:
    """The model without what the table stands for; modules and parameters are shared. A score may
    ask for the items' categories: these stay.
    """
    rest = copy.copy(model)
    rest._modules = model._modules | {"embedding": None}
    return rest


@torch.no_grad()
def _features(model: CTRModel, size: int) -> Tensor:
    ids = torch.arange(size, device=next(model.parameters()).device)
    return torch.cat([model.item_features(part) for part in ids.split(8192)]).float().cpu()
