"""Embeddings and click models of one's own in a comparison, and another baseline than plain."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GCNConv

import resemb_gnn as rg
from resemb_gnn import InputError
from resemb_gnn.experiment.report.text import summary, text_table
from resemb_gnn.nn import PlainEmbedding
from resemb_gnn.pipeline.task import NUM_FEATURES
from resemb_gnn.settings import CompareSettings
from resemb_gnn.settings.embedding import SHARED
from resemb_gnn.settings.names import MODELS

SMALL: dict[str, Any] = {"epochs": 1, "embedding_dim": 4, "folds": 2, "quiet": True}


def table(graph: Data, settings: CompareSettings) -> nn.Module:
    """What the package calls plain."""
    return PlainEmbedding(int(graph.num_nodes or 0), settings.embedding_dim, std=settings.table_std)


class Encoder(nn.Module):
    """PyG's layer, as a stranger has it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = GCNConv(NUM_FEATURES, 8)

    def reset_parameters(self) -> None:
        self.layer.reset_parameters()

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        found: Tensor = self.layer(x, edge_index, edge_weight)
        return found


def test_a_table_of_ones_own_has_the_figures_of_the_package_s(
    log: rg.BehaviorLog, tmp_path: Path
) -> None:
    encoder = Encoder()
    before = encoder.layer.lin.weight.clone()
    results = rg.compare(
        log,
        {"gcn": None, "mine": table, "plain": None, "layer": encoder},
        out=tmp_path / "out",
        seeds=1,
        baseline="mine",
        num_centers=8,
        save_predictions=True,
        override=("mine.lr=0.004",),
        **SMALL,
    )
    runs = {run["embedding"]: run for run in results["runs"]}
    own, plain = runs["mine"], runs["plain"]
    assert own["test"] == plain["test"]
    assert own["curve"][0]["train_loss"] == plain["curve"][0]["train_loss"]
    assert torch.equal(encoder.layer.lin.weight, before)
    assert results["over_users"].keys() == {"gcn", "plain", "layer"}
    assert results["over_users"]["plain"]["auc"]["high"] == 0
    rows = {row.embedding: row for row in summary(results)}
    expected = runs["gcn"]["test"]["auc"] - own["test"]["auc"]
    assert rows["gcn"].difference.mean == pytest.approx(expected)
    assert rows["mine"].difference is None
    for text in (
        text_table(results),
        (tmp_path / "out" / "results.md").read_text(),
        (tmp_path / "out" / "report.html").read_text(),
    ):
        assert "Difference to mine" in text
        assert "Difference to plain" not in text
    assert "mine" not in SHARED


class DotProduct(nn.Module):
    """Candidates by their product with the sum of the history, as a stranger has it."""

    def __init__(self, embedding: nn.Module) -> None:
        super().__init__()
        self.table = embedding

    def forward(self, batch: rg.Batch) -> Tensor:
        example = torch.arange(len(batch)).repeat_interleave(batch.ptr.diff())
        past = torch.zeros(len(batch), 4).index_add(0, example, self.table(batch.history))
        return (past * self.table(batch.target)).sum(dim=1)


def product(embedding: nn.Module, item_category: Any, features: Any) -> nn.Module:
    assert len(item_category) == 40
    assert features is None
    return DotProduct(embedding)


def test_click_models_of_ones_own_beside_those_of_the_package(
    log: rg.BehaviorLog, tmp_path: Path
) -> None:
    models = {"din": None, "copy": rg.DIN, "product": product}
    options = {"seeds": 1, "save_predictions": True} | SMALL
    out = tmp_path / "out"
    results = rg.compare(log, {"plain": None, "mine": table}, models=models, out=out, **options)
    names = [f"{one} in {model}" for model in models for one in ("plain", "mine")]
    runs = {run["embedding"]: run for run in results["runs"]}
    assert list(runs) == names
    assert [run["model"] for run in runs.values()] == [name for name in models for _ in "12"]
    for name in names[:4]:  # a DIN each, around one and the same table
        assert runs[name]["test"] == runs[names[0]]["test"]
    assert runs["plain in product"]["num_parameters"] == 40 * 4
    assert runs["plain in product"]["test"] != runs[names[0]]["test"]
    assert results["over_users"].keys() == set(names[1:])
    rows = {row.embedding: row for row in summary(results)}
    assert rows["plain in din"].difference is None
    assert rows["plain in copy"].difference.mean == 0
    for text in (text_table(results), (out / "results.md").read_text()):
        assert "Difference to plain in din" in text
        assert "mine in product" in text
    assert MODELS.keys().isdisjoint(["copy", "product"])
    # One click model alone leaves the embeddings their names.
    alone = CompareSettings(embeddings=("plain",), models=("pnn",))
    assert alone.arms == {"plain": ("plain", "pnn")}
    assert alone.baseline_arm == "plain"


@pytest.mark.parametrize(
    ("embeddings", "options", "message"),
    [
        ({"gcn": table}, {}, "'gcn' is an embedding of the package"),
        ({"my table": table}, {}, "'my table' is no name of letters"),
        ({"mine": 3}, {}, "the embedding mine is 3, neither a function nor an encoder"),
        ({"mine": None}, {}, "the embedding 'mine' is unknown"),
        ({"mine": lambda graph, settings: 3}, {}, "what makes the embedding mine returned 3"),
        ({"mine": table}, {"jobs": 2}, "jobs=2: runs with parts of one's own"),
        ({"mine": table}, {"baseline": "gcn"}, "baseline=gcn is none of the embeddings, mine"),
        ({"gcn": None}, {"models": {"din": rg.DIN}}, "'din' is a click model of the package"),
        ({"gcn": None}, {"models": {"mine": 3}}, "the click model mine is 3, neither a class nor"),
        ({"gcn": None}, {"models": {"mine": None}}, "models='mine' is unknown; choose from din"),
        ({"gcn": None}, {"models": {"mine": product}, "jobs": 2}, "jobs=2: runs with parts of"),
        ({"gcn": None}, {"models": {"mine": product}, "ranking": 9}, "mine is no CTRModel"),
        (
            {"plain": None},
            {"models": {"mine": lambda *_, **known: 3}},
            "what makes the click model mine returned 3",
        ),
        (
            {"plain": None},
            {"models": {"din": None, "pnn": None}, "baseline": "plain in dien"},
            "baseline=plain in dien is none of the embeddings, plain in din, plain in pnn",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(
    embeddings: dict[str, Any],
    options: dict[str, Any],
    message: str,
    log: rg.BehaviorLog,
    tmp_path: Path,
) -> None:
    with pytest.raises(InputError, match=message):
        rg.compare(log, embeddings, out=tmp_path / "out", **SMALL | options)
    assert "mine" not in SHARED


@pytest.mark.usefixtures("no_pictures")
def test_a_split_of_one_s_own_is_taken_as_it_is(log: rg.BehaviorLog, tmp_path: Path) -> None:
    split = log.split(by="last", num_negatives=3, seed=7)
    options = {"seeds": 1, "split": split, "name": "mine.csv"} | SMALL
    results = rg.compare(log, {"mine": table}, out=tmp_path / "out", baseline="mine", **options)
    assert results["data"]["test_examples"] == len(split.test)
    assert results["data"]["split"]["seed"] == 7
    assert results["data"]["name"] == "mine.csv"
    torch.manual_seed(0)
    model = rg.DIN(PlainEmbedding(log.num_items, 4), item_category=log.item_category)
    expected = rg.fit(model, split, epochs=1, progress=False)
    assert results["runs"][0]["test"]["auc"] == expected.test.auc


def test_names_whose_files_would_be_the_same_are_refused(
    log: rg.BehaviorLog, tmp_path: Path
) -> None:
    """Else the predictions of one would be taken for the other's, and its interval be wrong."""
    arms = {"plain": None, "gcn:none": None, "gcn-none": table}
    with pytest.raises(InputError, match="gcn:none and gcn-none would write the same files"):
        rg.compare(log, arms, out=tmp_path / "out", **SMALL)
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("no_pictures")
def test_a_run_leaves_its_model_where_it_is(
    log: rg.BehaviorLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU, what comes after the picture of the items would have half of it on the CPU."""

    def moved(module: nn.Module) -> None:
        raise AssertionError(f"{type(module).__name__} is moved")

    monkeypatch.setattr(nn.Module, "cpu", moved)
    out = tmp_path / "out"
    rg.compare(log, {"gcn": None}, out=out, seeds=1, baseline="gcn", num_centers=8, **SMALL)
    assert (out / "geometry" / "gcn.npz").is_file()
