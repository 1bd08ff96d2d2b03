"""The scorer for one history and many candidates against the model, with a copy of the history for
each: as it is, in torch.export's and in ONNX Runtime's hands.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from resemb_gnn import DIN
from resemb_gnn.data import Batch
from resemb_gnn.models import CTRModel, PooledMLP, WideDeep
from resemb_gnn.serving import CandidateScorer, Scorer, export, export_scorer
from resemb_gnn.serving.candidates import candidate_program
from tests.serving.test_scorer_features import (
    NUM_ITEMS,
    assert_programs_equal,
    every_kind,
    inputs_of,
    make_features,
    make_model,
)


class OwnHistories(DIN):
    """Does not say that it shares histories, as models of one's own do not."""

    shares_history = False


SIZES = [(4, 3), (0, 2), (1, 1), (11, 40), (3, 1)]  # behaviours and candidates


def one_history(behaviors: int, candidates: int, users: bool, context: bool) -> Batch:
    """A batch of candidates that share history, user and row."""
    draw = torch.Generator().manual_seed(behaviors)
    zeros = torch.zeros(candidates, dtype=torch.long)
    return Batch(
        history=torch.randint(NUM_ITEMS, (behaviors,), generator=draw),
        ptr=torch.tensor([0, behaviors]),
        target=torch.randint(NUM_ITEMS, (candidates,), generator=draw),
        label=torch.zeros(candidates),
        user=zeros + 3 if users else zeros,
        row=zeros,
        context=every_kind(5, "row", behaviors)[zeros + 2] if context else None,
        candidates=candidates,
    )


def parts(batch: Batch, users: bool) -> tuple[tuple[Tensor, Tensor], dict[str, Any]]:
    """Inputs of the scorer: those that the candidates share, once."""
    more: dict[str, Any] = {"user": batch.user[:1]} if users else {}
    if batch.context is not None:
        first = replace(batch, context=batch.context[torch.zeros(1, dtype=torch.long)])
        more["context"] = inputs_of(first)
    return (batch.history, batch.target), more


def by_name(batch: Batch, users: bool) -> dict[str, Tensor]:
    """The same, as the ONNX model takes them."""
    first, more = parts(batch, users)
    named = dict(zip(("history", "target"), first, strict=True))
    context = {f"context.{name}": value for name, value in more.pop("context", {}).items()}
    return named | more | context


def assert_same_scores(
    model: CTRModel, scorer: CandidateScorer, folder: Path, users: bool, context: bool
) -> None:
    """The scorer, and the programs made of it, against the model."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra serve")
    program = torch.export.load(folder / "candidates.pt2").module()
    session = onnxruntime.InferenceSession(folder / "candidates.onnx")
    for behaviors, candidates in SIZES:
        batch = one_history(behaviors, candidates, users, context)
        with torch.no_grad():
            expected = model(batch.expanded())
        first, more = parts(batch, users)
        named = {name: value.numpy() for name, value in by_name(batch, users).items()}
        (onnx,) = session.run(None, named)
        for found in (scorer(*first, **more), program(*first, **more), torch.from_numpy(onnx)):
            torch.testing.assert_close(
                found, expected, atol=1e-5, rtol=1e-5, msg=f"{behaviors}, {candidates}"
            )


def test_both_forms_of_one_export(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra serve")
    pytest.importorskip("onnxscript", reason="needs the extra serve")
    features = make_features()
    model = make_model(DIN, features)
    scorer = export_scorer(model, tmp_path, features=features, candidates=True)
    assert_programs_equal(model, scorer, features, tmp_path)
    session = onnxruntime.InferenceSession(tmp_path / "candidates.onnx")
    card = json.loads((tmp_path / "scorer.json").read_text())["candidates"]
    assert list(card["inputs"]) == [value.name for value in session.get_inputs()]
    assert [value.name for value in session.get_outputs()] == list(card["output"])
    assert_same_scores(model, CandidateScorer(scorer), tmp_path, users=True, context=True)


@pytest.mark.parametrize(
    ("kind", "users", "context"),
    [(WideDeep, True, True), (OwnHistories, False, True), (PooledMLP, False, False)],
)
def test_one_history_for_all_candidates(
    kind: type[CTRModel], users: bool, context: bool, tmp_path: Path
) -> None:
    """This form alone: each program takes seconds to export."""
    pytest.importorskip("onnxscript", reason="needs the extra serve")
    features = make_features(users=users, context=context)
    model = make_model(kind, features)
    scorer = Scorer(model, features.context)
    words = list(by_name(one_history(1, 1, users, context), users))
    places = tmp_path / "candidates.pt2", tmp_path / "candidates.onnx"
    export._write(candidate_program(scorer), *places, words)
    assert_same_scores(model, CandidateScorer(scorer), tmp_path, users, context)


def test_it_is_written_where_it_is_asked_for(tmp_path: Path) -> None:
    model = make_model(DIN, make_features(False, False, False))
    export_scorer(model, tmp_path, onnx=False)
    assert {path.name for path in tmp_path.iterdir()} == {"scorer.pt2", "scorer.json"}
    assert "candidates" not in json.loads((tmp_path / "scorer.json").read_text())
    export_scorer(model, tmp_path, onnx=False, candidates=True)
    assert (tmp_path / "candidates.pt2").exists()
