"""A trained click model as files that score without this package."""

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import torch

from resemb_gnn.data import Features
from resemb_gnn.data.feature_rows import code_table
from resemb_gnn.data.features import Feature
from resemb_gnn.io.atomic import whole_files
from resemb_gnn.io.outputs import shared_folder
from resemb_gnn.io.saved_table import write_saved
from resemb_gnn.models import CTRModel
from resemb_gnn.optional import require
from resemb_gnn.serving.candidates import candidate_program
from resemb_gnn.serving.scorer import Scorer, scorer_program

PROGRAM, ONNX, CARD = "scorer.pt2", "scorer.onnx", "scorer.json"
CANDIDATES, CANDIDATES_ONNX = "candidates.pt2", "candidates.onnx"
USERS, VOCABULARIES = "users.parquet", "vocabularies.parquet"
FILES = (
    *(PROGRAM, ONNX, f"{ONNX}.data", CARD, USERS, VOCABULARIES),
    *(CANDIDATES, CANDIDATES_ONNX, f"{CANDIDATES_ONNX}.data"),
)


def export_scorer(
    model: CTRModel,
    folder: str | Path,
    *,
    onnx: bool = True,
    features: Features | None = None,
    user_ids: pl.Series | None = None,
    candidates: bool = False,
) -> Scorer:
    """Writes a trained click model as programs that need neither this package nor its graph.

    ``scorer.pt2`` is a ``torch.export`` program (``torch.export.load(path).module()``, or compiled
    ahead by AOTInductor); ``scorer.onnx``, with its weights in ``scorer.onnx.data``, an ONNX model
    for ONNX Runtime and others; ``scorer.json`` names their inputs. All take ``history``, ``ptr``
    and ``target`` (int64, item numbers), of a model with features also ``user`` and a ``context``,
    and return ``logit`` as :class:`Scorer` does. The ONNX model's inputs of the context are named
    ``context.NAME``. With ``candidates``, ``candidates.pt2`` and ``candidates.onnx`` score many
    candidates of one history, as :class:`CandidateScorer` does. ``vocabularies.parquet`` holds the
    codes of the context's values, and ``users.parquet`` the ids of the users whose features are
    known, in the order of their numbers. All take the place of what was exported to the folder
    before when they are written, also of forms that are not asked for now; if that fails, it stays.

    Args:
        model: a trained model.
        folder: where to; made if it is not there.
        onnx: write the ONNX model too.
        features: what the model was made with; needed for its context alone.
        user_ids: the users' own ids, to be written if the model knows users.
        candidates: write the form of one history and many candidates, too.

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
        f"context.{name}": text for one in scorer.features for name, text in _meaning(one).items()
    }
    card: dict[str, Any] = {
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
    if candidates:
        card["candidates"] = _one_history(named)
    with whole_files(folder, FILES) as new:
        words = ["history", "ptr", "target", *named]
        _write(scorer_program(scorer), new / PROGRAM, new / ONNX if onnx else None, words)
        if candidates:
            program, words = candidate_program(scorer), ["history", "target", *named]
            _write(program, new / CANDIDATES, new / CANDIDATES_ONNX if onnx else None, words)
        if scorer.users is not None and user_ids is not None:
            write_saved(pl.DataFrame({"user_id": user_ids}), new / USERS)
        if scorer.features:
            write_saved(code_table(scorer.features), new / VOCABULARIES)
        (new / CARD).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    return scorer


def _write(
    program: torch.export.ExportedProgram, path: Path, onnx: Path | None, inputs: list[str]
) -> None:
    torch.export.save(program, path)
    if onnx is None:
        return
    with _without_notes():
        torch.onnx.export(
            program,
            (),
            onnx,
            dynamo=True,
            input_names=inputs,
            output_names=["logit"],
            external_data=True,
            verbose=False,
        )


def _one_history(named: dict[str, str]) -> dict[str, Any]:
    """Inputs and output of the form of one history and many candidates; of user and context
    (``named``, as the scorer takes them), it takes those of one example.
    """
    one = {
        name: text.replace("[batch_size + 1]", "[2]").replace("[batch_size", "[1")
        for name, text in named.items()
    }
    return {
        "inputs": {
            "history": "int64 [num_behaviors], item numbers of the history, oldest first",
            "target": "int64 [num_candidates], item number of each candidate",
            **one,
        },
        "output": {"logit": "float32 [num_candidates], of the click probability"},
    }


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
