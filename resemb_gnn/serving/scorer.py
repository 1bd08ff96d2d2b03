"""A trained click model as one file that scores without this package."""

import copy
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import torch
from torch import Tensor, nn

from resemb_gnn.data import Batch, Features
from resemb_gnn.data.feature_rows import code_table, missing_rows
from resemb_gnn.data.features import Feature, FeatureTable
from resemb_gnn.errors import InputError
from resemb_gnn.io.outputs import shared_folder
from resemb_gnn.io.saved_table import write_saved
from resemb_gnn.models import DIEN, CTRModel
from resemb_gnn.models.known_features import KnownFeatures
from resemb_gnn.optional import require
from resemb_gnn.serving.known_rows import KnownCodes, known_vectors, unchecked_table

PROGRAM, ONNX, CARD = "scorer.pt2", "scorer.onnx", "scorer.json"
USERS, VOCABULARIES = "users.parquet", "vocabularies.parquet"
FILES = (PROGRAM, ONNX, f"{ONNX}.data", CARD, USERS, VOCABULARIES)


class Scorer(nn.Module):
    """A click model in evaluation mode over a table of its items' features.

    The embedding, the category and all features of items are computed once, for all items, and so
    are those of users; the rest is the model's own ``score``, so its outputs are the model's. Takes
    the parts of a jagged batch, of any sizes; the batch may be a single example and histories may
    be empty.

    Args:
        model: a trained model; it stays as it is.
        context: a table, also without rows, of the context features that the model knows; ``None``
            if it knows none.

    Shapes:
        - **input:** history int64 ``[num_behaviors]``, its offsets ptr int64 ``[batch_size + 1]``,
          target int64 ``[batch_size]``; of a model that knows users, user int64 ``[batch_size]``,
          where :attr:`num_users` stands for one that is unknown; of one that knows a context, the
          values of :class:`~resemb_gnn.data.Feature` by the feature's name, and the offsets of a
          list by its name and ``.ptr``
        - **output:** logits of the click probability, ``[batch_size]``

    Raises:
        InputError: if the model is not one of this package, its embedding does not tell its
            number of items, it is a DIEN, or it knows a context that is not given.
    """

    def __init__(self, model: CTRModel, context: FeatureTable | None = None) -> None:
        super().__init__()
        if not isinstance(model, CTRModel):
            raise InputError(f"{type(model).__name__} is not a click model of resemb_gnn")
        if isinstance(model, DIEN):
            raise InputError("DIEN takes as many steps as a batch's longest history: no export")
        size = model.items.num_embeddings
        if size is None:
            raise InputError(f"{type(model.embedding).__name__} has no num_embeddings")
        self.table = nn.Embedding.from_pretrained(_features(model, size))
        self.users: nn.Embedding | None = None
        if model.known_users is not None:
            self.users = known_vectors(copy.deepcopy(model.known_users).cpu().eval())
        self.model = copy.deepcopy(_without_tables(model)).cpu().float()  # as the table is
        names = () if model.context is None else model.context.names
        if names != (() if context is None else tuple(context.features)):
            raise InputError(f"the model knows the context {list(names)}: give a table with these")
        self._context = () if context is None else tuple(context)
        self.eval().requires_grad_(False)

    @property
    def num_users(self) -> int:
        """Number of users whose features are known; also the number of one that is unknown."""
        return 0 if self.users is None else self.users.num_embeddings - 1

    def forward(
        self,
        history: Tensor,
        ptr: Tensor,
        target: Tensor,
        user: Tensor | None = None,
        context: dict[str, Tensor] | None = None,
    ) -> Tensor:
        num_behaviors, batch_size = history.numel(), target.numel()
        ptr = _sized(ptr, batch_size)
        items = self.table(torch.cat([history, target]))
        place = torch.arange(num_behaviors + batch_size, device=target.device)
        table = self._table(context or {}, batch_size)
        side = [] if self.users is None else [self.users(user)]
        if self.model.context is not None:
            side.append(self.model.context(table, target))
        # A score needs no label, and no user if it knows none.
        who = target if user is None else user
        batch = Batch(history, ptr, target, target, who, context=table)
        past, candidate = place.split([num_behaviors, batch_size])
        logits: Tensor = self.model.score(
            items, past, candidate, batch, torch.cat(side, dim=1) if side else None
        )
        return logits

    def _table(self, context: dict[str, Tensor], batch_size: int) -> FeatureTable | None:
        """The context's features from the inputs."""
        found = {}
        for one in self._context:
            ptr = None if one.ptr is None else _sized(context[f"{one.name}.ptr"], batch_size)
            found[one.name] = replace(one, values=context[one.name], ptr=ptr)
        return unchecked_table(found) if found else None


def export_scorer(
    model: CTRModel,
    folder: str | Path,
    *,
    onnx: bool = True,
    features: Features | None = None,
    user_ids: pl.Series | None = None,
) -> Scorer:
    """Writes a trained click model as programs that need neither this package nor its graph.

    ``scorer.pt2`` is a ``torch.export`` program (``torch.export.load(path).module()``, or compiled
    ahead by AOTInductor); ``scorer.onnx``, with its weights in ``scorer.onnx.data``, an ONNX model
    for ONNX Runtime and others; ``scorer.json`` names their inputs. All take ``history``, ``ptr``
    and ``target`` (int64, item numbers), of a model with features also ``user`` and a ``context``,
    and return ``logit`` as :class:`Scorer` does. The ONNX model's inputs of the context are named
    ``context.NAME``. ``vocabularies.parquet`` holds the codes of the context's values, and
    ``users.parquet`` the ids of the users whose features are known, in the order of their numbers.

    Args:
        model: a trained model.
        folder: where to; made if it is not there.
        onnx: write the ONNX model too.
        features: what the model was made with; needed for its context alone.
        user_ids: the users' own ids, to be written if the model knows users.

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
    scorer = Scorer(model, None if features is None else features.context)
    named = {} if scorer.users is None else {"user": _NUMBERS}
    named |= {
        f"context.{name}": text for one in scorer._context for name, text in _meaning(one).items()
    }
    program = _program(scorer)
    folder.mkdir(parents=True, exist_ok=True)
    torch.export.save(program, folder / PROGRAM)
    if scorer.users is not None and user_ids is not None:
        write_saved(pl.DataFrame({"user_id": user_ids}), folder / USERS)
    if scorer._context:
        write_saved(code_table(scorer._context), folder / VOCABULARIES)
    if onnx:
        with _without_notes():
            torch.onnx.export(
                program,
                (),
                folder / ONNX,
                dynamo=True,
                input_names=["history", "ptr", "target", *named],
                output_names=["logit"],
                external_data=True,
                verbose=False,
            )
    card = {
        "model": type(model).__name__,
        "num_items": scorer.table.num_embeddings,
        **({} if scorer.users is None else {"num_users": scorer.num_users}),
        "inputs": {
            "history": "int64 [num_behaviors], item numbers of all histories, oldest first",
            "ptr": "int64 [batch_size + 1], history b is history[ptr[b]:ptr[b + 1]]",
            "target": "int64 [batch_size], item number of each candidate",
            **named,
        },
        "output": {"logit": "float32 [batch_size], of the click probability"},
    }
    (folder / CARD).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    return scorer


_NUMBERS = f"int64 [batch_size], row in {USERS}; num_users for a user who is unknown"
_CODES = f"the code in {VOCABULARIES}; 1 for a value that is not there, 0 for a missing one"


def _meaning(feature: Feature) -> dict[str, str]:
    """The inputs of a feature, and what they hold."""
    if feature.kind == "list":
        return {
            feature.name: f"int64 [any], of each value of each example {_CODES.partition(',')[0]}",
            f"{feature.name}.ptr": "int64 [batch_size + 1], where the values of each example begin",
        }
    if feature.kind == "category":
        return {feature.name: f"int64 [batch_size], {_CODES}"}
    width = "" if feature.kind == "numeric" else f", {feature.values.size(1)}"
    return {feature.name: f"float32 [batch_size{width}], NaN where it is missing"}


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
    sizes: dict[str, Any] = {
        "history": {0: num_behaviors},
        "ptr": {0: batch_size + 1},
        "target": {0: batch_size},
    }
    further: dict[str, Any] = {}
    if scorer.users is not None:
        further["user"], sizes["user"] = example[2].clone(), {0: batch_size}
    if scorer._context:
        further["context"], sizes["context"] = {}, {}
    for number, feature in enumerate(scorer._context):
        name, values, length = feature.name, _example(feature), batch_size
        if feature.ptr is not None:
            length = torch.export.Dim(f"num_values_{number}")
        further["context"][name], sizes["context"][name] = values, {0: length}
        if feature.ptr is not None:
            further["context"][f"{name}.ptr"] = example[1].clone()
            sizes["context"][f"{name}.ptr"] = {0: batch_size + 1}
    return torch.export.export(scorer, example, further, dynamic_shapes=sizes, strict=False)


def _example(feature: Feature) -> Tensor:
    """Values of a feature of three examples, seven of a list."""
    if feature.ptr is not None:
        return torch.ones(7, dtype=torch.long)
    return missing_rows(FeatureTable({feature.name: feature}), 3).features[feature.name].values


def _sized(ptr: Tensor, batch_size: int) -> Tensor:
    """Offsets whose number is told by the batch: otherwise the export is bound to two examples."""
    return nn.functional.pad(ptr.narrow(0, 1, batch_size), (1, 0))


def _without_tables(model: CTRModel) -> CTRModel:
    """The model without what the tables stand for; modules and parameters are shared. A score may
    ask for the items' categories and for codes of features: these stay.
    """
    rest = copy.copy(model)
    rest._modules = model._modules | {"embedding": None}
    for name in ("known_items", "known_users"):
        known = rest._modules.get(name)
        if isinstance(known, KnownFeatures):
            rest._modules[name] = KnownCodes(known)
    return rest


@torch.no_grad()
def _features(model: CTRModel, size: int) -> Tensor:
    ids = torch.arange(size, device=next(model.parameters()).device)
    return torch.cat([model.item_features(part) for part in ids.split(8192)]).float().cpu()
