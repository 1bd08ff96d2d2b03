"""The exported scorer against the model, in torch.export's and in ONNX Runtime's hands."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from resemb_gnn import DIN, BehaviorLog, InputError, ResEmbedding, covisit_graph
from resemb_gnn.data import Batch
from resemb_gnn.models import DIEN, PNN, CTRModel, SASRec, WideDeep
from resemb_gnn.nn import Dice
from resemb_gnn.serving import Scorer, export, export_scorer

Score = Callable[[Tensor, Tensor, Tensor], Tensor]


def trained_looking(model: CTRModel) -> CTRModel:
    """With moving averages, slopes and biases that are not those of the start."""
    torch.manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.2, 2)
        if isinstance(module, Dice):
            nn.init.normal_(module.alpha, std=0.5)
    if getattr(model, "item_bias", None) is not None:
        nn.init.normal_(model.item_bias.weight)
    return model


def make_model(log: BehaviorLog, name: str) -> CTRModel:
    torch.manual_seed(0)
    emb = ResEmbedding(covisit_graph(log), 6, 4, residual_std=0.5, center_std=1.0, shrinkage=3.0)
    category = log.item_category
    if name == "DIN":
        return trained_looking(DIN(emb))
    if name == "PNN":
        return trained_looking(PNN(emb, hidden=(20, 10)))
    if name == "SASRec":  # longer histories than it reads are among the batches
        model = SASRec(emb, item_category=category, num_blocks=1, max_length=9)
        nn.init.normal_(model.position)
        nn.init.normal_(model.empty)
        return model
    if name == "WideDeep":
        model = WideDeep(emb, item_category=category, hidden=(20, 10), cross_bits=8)
        nn.init.normal_(model.item_crosses.weight.weight)
        nn.init.normal_(model.category_crosses.weight.weight)
        return trained_looking(model)
    return trained_looking(
        DIN(
            emb,
            item_category=category,
            attention_normalization="softmax",
            attention_hidden=(8, 5),
            activation="prelu",
            item_bias=True,
        )
    )


def make_batch(lengths: list[int], num_items: int, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    size = len(lengths)
    return Batch(
        history=torch.randint(num_items, (sum(lengths),), generator=generator),
        ptr=nn.functional.pad(torch.tensor(lengths, dtype=torch.long).cumsum(0), (1, 0)),
        target=torch.randint(num_items, (size,), generator=generator),
        label=torch.zeros(size),
        user=torch.zeros(size, dtype=torch.long),
    )


BATCHES = [[3, 1, 4], [0, 2, 0, 0], [2, 0], [5], [1], [0], [0, 0, 0], [7, 0, 11, 1, 0, 3, 2] * 9]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("name", ["DIN", "WideDeep"])
def test_a_model_of_another_number_format(name: str, dtype: torch.dtype, log: BehaviorLog) -> None:
    model = make_model(log, name).to(dtype).eval()
    batch = make_batch(BATCHES[-1], log.num_items)
    logit = Scorer(model)(batch.history, batch.ptr, batch.target)
    assert logit.dtype == torch.float32
    tolerance = 1e-4 if dtype == torch.float64 else 0.1
    torch.testing.assert_close(logit, model(batch).float(), atol=tolerance, rtol=tolerance)
    assert next(model.parameters()).dtype == dtype  # it stays as it is


def assert_same_scores(score: Score, model: CTRModel) -> None:
    model.eval()
    for number, lengths in enumerate(BATCHES):
        batch = make_batch(lengths, model.embedding.num_embeddings, seed=number)
        with torch.no_grad():
            expected = model(batch)
        actual = score(batch.history, batch.ptr, batch.target)
        torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5, msg=str(lengths))


MODELS = ["DIN", "DIN with everything", "PNN", "SASRec", "WideDeep"]


# Plain DIN and PNN are exported with features, in test_candidates.py and test_scorer_features.py.
@pytest.fixture(scope="module", params=["DIN with everything", "WideDeep"])
def exported(
    request: pytest.FixtureRequest, log: BehaviorLog, tmp_path_factory: pytest.TempPathFactory
) -> tuple[CTRModel, Path]:
    pytest.importorskip("onnxscript", reason="needs the extra serve")
    model = make_model(log, request.param)
    folder = tmp_path_factory.mktemp("scorer")
    export_scorer(model.train(), folder)
    assert model.training
    return model, folder


@pytest.mark.parametrize("name", MODELS)
def test_scorer_equals_the_model(log: BehaviorLog, name: str) -> None:
    model = make_model(log, name)
    scorer = Scorer(model)
    assert_same_scores(scorer, model)
    # A copy without the graph: training goes on without it, and it holds no table but its own.
    before = scorer(*parts(make_batch([2, 3], log.num_items)))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 1
    assert torch.equal(scorer(*parts(make_batch([2, 3], log.num_items))), before)
    assert not any(isinstance(module, ResEmbedding) for module in scorer.modules())
    assert isinstance(model.embedding, ResEmbedding)


def parts(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    return batch.history, batch.ptr, batch.target


def test_torch_export(exported: tuple[CTRModel, Path]) -> None:
    model, folder = exported
    program = torch.export.load(folder / "scorer.pt2").module()
    assert_same_scores(lambda *inputs: program(*inputs), model)


def test_onnx_runtime(exported: tuple[CTRModel, Path]) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra serve")
    model, folder = exported
    session = onnxruntime.InferenceSession(folder / "scorer.onnx")
    names = ["history", "ptr", "target"]
    assert [value.name for value in session.get_inputs()] == names
    assert [value.name for value in session.get_outputs()] == ["logit"]

    def score(*inputs: Tensor) -> Tensor:
        feed = dict(zip(names, (value.numpy() for value in inputs), strict=True))
        (logit,) = session.run(None, feed)
        return torch.from_numpy(np.asarray(logit))

    assert_same_scores(score, model)


def test_card(exported: tuple[CTRModel, Path], log: BehaviorLog) -> None:
    card = json.loads((exported[1] / "scorer.json").read_text())
    assert card["model"] == type(exported[0]).__name__
    assert card["num_items"] == log.num_items
    assert list(card["inputs"]) == ["history", "ptr", "target"]


def test_not_a_click_model() -> None:
    with pytest.raises(InputError, match="Linear is not a click model"):
        Scorer(nn.Linear(2, 2))


def test_dien_is_refused(log: BehaviorLog) -> None:
    with pytest.raises(InputError, match="DIEN takes as many steps"):
        Scorer(DIEN(nn.Embedding(log.num_items, 4)))


class Endless(nn.Module):
    embedding_dim = 2


def test_unknown_number_of_items() -> None:
    with pytest.raises(InputError, match="Endless has no num_embeddings"):
        Scorer(DIN(Endless()))


def test_without_onnxscript(
    log: BehaviorLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ImportError, match=r"onnx=True needs onnxscript: pip install .*serve"):
        export_scorer(make_model(log, "DIN"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_export_takes_the_place_of_the_one_before_or_leaves_it(
    log: BehaviorLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("scorer.pt2", "scorer.onnx", "candidates.pt2", "other.txt"):
        (tmp_path / name).write_text("of another model")

    def full(program: Scorer, path: Path) -> None:
        path.write_text("half of it")
        raise OSError("No space left on device")

    def write(program: Scorer, path: Path) -> None:
        path.write_text("of this model")

    # What is exported, and how, takes seconds and is looked at elsewhere.
    monkeypatch.setattr(export, "scorer_program", lambda scorer: scorer)
    monkeypatch.setattr(torch.export, "save", full)
    with pytest.raises(OSError, match="No space left"):
        export_scorer(make_model(log, "WideDeep"), tmp_path, onnx=False)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["of another model"] * 4
    monkeypatch.setattr(torch.export, "save", write)
    export_scorer(make_model(log, "WideDeep"), tmp_path, onnx=False)
    assert {path.name for path in tmp_path.iterdir()} == {"scorer.pt2", "scorer.json", "other.txt"}
    assert (tmp_path / "scorer.pt2").read_text() == "of this model"
