"""The exported scorer of a model with features against the model, over unknown and missing values
and unknown users.
"""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import torch
from torch import Tensor, nn

from resemb_gnn import DIN, InputError
from resemb_gnn.data import Batch, Features
from resemb_gnn.data.features import Feature, FeatureTable
from resemb_gnn.models import PNN, CTRModel
from resemb_gnn.serving import Scorer, export_scorer

NUM_ITEMS, NUM_USERS = 12, 9
WORDS = pl.Series(["a", "b", "c"])
NUMBERS = pl.Series([10, 20])


def every_kind(rows: int, prefix: str, seed: int = 0) -> FeatureTable:
    """A feature of each kind with missing values and, but for items and users, unknown ones; names
    that are in no order and hold what names may hold.
    """
    draw = torch.Generator().manual_seed(seed)
    lengths = torch.randint(4, (rows,), generator=draw)
    lengths[0] = 0
    number = torch.randn(rows, generator=draw)
    vector = torch.randn(rows, 3, generator=draw)
    number[::3] = vector[::4] = float("nan")
    ptr = nn.functional.pad(lengths.cumsum(0), (1, 0))
    tags = torch.randint(1, 5, (int(ptr[-1]),), generator=draw)
    features = [
        Feature(f"{prefix} tags|ü", tags, WORDS, ptr),
        Feature(f"{prefix}.b", torch.randint(5, (rows,), generator=draw), WORDS),
        Feature(f"{prefix}.number", number),
        Feature(f"{prefix}.a", torch.randint(4, (rows,), generator=draw), NUMBERS),
        Feature(f"{prefix}.vector", vector),
    ]
    return FeatureTable({one.name: one for one in features})


def make_features(items: bool = True, users: bool = True, context: bool = True) -> Features:
    return Features(
        every_kind(NUM_ITEMS, "item") if items else None,
        every_kind(NUM_USERS, "user") if users else None,
        every_kind(40, "row") if context else None,
    )


def make_model(kind: Callable[..., CTRModel], features: Features) -> CTRModel:
    torch.manual_seed(0)
    model = kind(nn.Embedding(NUM_ITEMS, 4), features=features, hidden=(8, 5))
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model.eval()


def make_batch(lengths: list[int], features: Features, seed: int) -> Batch:
    draw = torch.Generator().manual_seed(seed)
    size = len(lengths)
    context = None if features.context is None else every_kind(size, "row", seed)
    return Batch(
        history=torch.randint(NUM_ITEMS, (sum(lengths),), generator=draw),
        ptr=nn.functional.pad(torch.tensor(lengths).cumsum(0), (1, 0)),
        target=torch.randint(NUM_ITEMS, (size,), generator=draw),
        label=torch.zeros(size),
        user=torch.randint(NUM_USERS, (size,), generator=draw),
        row=torch.arange(size),
        context=context,
    )


BATCHES = [[3, 1, 4], [2, 0], [5], [0, 0, 0], [7, 0, 11, 1, 0, 3, 2] * 5]


def inputs_of(batch: Batch) -> dict[str, Tensor]:
    """The scorer's context by name."""
    found = {}
    for one in batch.context or ():
        found[one.name] = one.values
        if one.ptr is not None:
            found[f"{one.name}.ptr"] = one.ptr
    return found


def assert_programs_equal(
    model: CTRModel, scorer: Scorer, features: Features, folder: Path
) -> None:
    """The scorer, and what ``export_scorer`` wrote of it, against the model."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra serve")
    program = torch.export.load(folder / "scorer.pt2").module()
    session = onnxruntime.InferenceSession(folder / "scorer.onnx")
    card = json.loads((folder / "scorer.json").read_text())
    assert list(card["inputs"]) == [value.name for value in session.get_inputs()]
    for seed, lengths in enumerate(BATCHES):
        batch = make_batch(lengths, features, seed)
        with torch.no_grad():
            expected = model(batch)
        first, context = (batch.history, batch.ptr, batch.target), inputs_of(batch)
        more = {"user": batch.user, "context": context}
        named = {f"context.{name}": value for name, value in context.items()}
        named |= dict(zip(("history", "ptr", "target"), first, strict=True), user=batch.user)
        (onnx,) = session.run(None, {name: value.numpy() for name, value in named.items()})
        for found in (scorer(*first, **more), program(*first, **more), torch.from_numpy(onnx)):
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5, msg=str(lengths))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[CTRModel, Scorer, Path]:
    """PNN; DIN's fields, which are as the others', are exported in test_candidates.py."""
    pytest.importorskip("onnxscript", reason="needs the extra serve")
    features, folder = make_features(), tmp_path_factory.mktemp("scorer")
    model = make_model(PNN, features)
    user_ids = pl.Series([f"u{n}" for n in range(NUM_USERS)])
    return model, export_scorer(model, folder, features=features, user_ids=user_ids), folder


def test_programs_equal_the_model(exported: tuple[CTRModel, Scorer, Path]) -> None:
    model, scorer, folder = exported
    assert_programs_equal(model, scorer, make_features(), folder)


def test_vocabularies_beside_the_scorer(exported: tuple[CTRModel, Scorer, Path]) -> None:
    found = pl.read_parquet(exported[2] / "vocabularies.parquet")
    assert found.filter(feature="row.a").rows() == [("row.a", "10", 2), ("row.a", "20", 3)]
    assert found["feature"].unique().sort().to_list() == ["row tags|ü", "row.a", "row.b"]


@pytest.mark.parametrize("parts", [{"users": False}, {"context": False}])
def test_without_some_tables(parts: dict[str, bool], tmp_path: Path) -> None:
    features = make_features(**parts)
    model = make_model(DIN, features)
    scorer = export_scorer(model, tmp_path, onnx=False, features=features)
    program = torch.export.load(tmp_path / "scorer.pt2").module()
    inputs = json.loads((tmp_path / "scorer.json").read_text())["inputs"]
    assert ("user" in inputs) == (features.users is not None)
    assert any(name.startswith("context.") for name in inputs) == (features.context is not None)
    batch = make_batch([3, 0, 2, 1], features, 1)
    more = {} if features.users is None else {"user": batch.user}
    more |= {} if features.context is None else {"context": inputs_of(batch)}
    with torch.no_grad():
        expected = model(batch)
    first = (batch.history, batch.ptr, batch.target)
    torch.testing.assert_close(scorer(*first, **more), expected)
    torch.testing.assert_close(program(*first, **more), expected)


def test_a_model_that_was_left_training_is_scored_as_it_is_in_evaluation() -> None:
    model = make_model(DIN, make_features(users=False, context=False))
    assert model.known_items is not None
    model.known_items.embedding.drop = 0.9  # of the values of features, in training
    expected = Scorer(model).table.weight
    before = copy.deepcopy(model.train().state_dict())
    assert torch.equal(Scorer(model).table.weight, expected)
    assert model.training
    assert all(torch.equal(part, before[name]) for name, part in model.state_dict().items())


def test_an_unknown_user_is_one_without_values() -> None:
    features = make_features(context=False)
    model = make_model(DIN, features)
    batch = make_batch([3, 2], features, 2)
    scorer = Scorer(model)
    nobody = torch.full((2,), scorer.num_users)
    actual = scorer(batch.history, batch.ptr, batch.target, nobody)
    # A model whose first user has no value of any feature.
    users = features.users
    empty = {}
    for one in users:
        if one.ptr is not None:
            empty[one.name] = replace(one, values=one.values[:0], ptr=torch.zeros_like(one.ptr))
        else:
            none = 0 if one.vocabulary is not None else float("nan")
            empty[one.name] = replace(one, values=torch.full_like(one.values, none))
    other = copy.deepcopy(model)
    other.known_users = model.known_users.over(FeatureTable(empty))
    with torch.no_grad():
        torch.testing.assert_close(actual, other(replace(batch, user=torch.zeros(2).long())))


def test_a_context_that_is_not_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the model knows the context"):
        export_scorer(make_model(DIN, make_features()), tmp_path / "out")
    assert not (tmp_path / "out").exists()
