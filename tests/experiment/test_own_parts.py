"""Embeddings of one's own in a comparison, and another baseline than plain."""

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
        override=("mine.lr=0.001",),
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


@pytest.mark.parametrize(
    ("embeddings", "options", "message"),
    [
        ({"gcn": table}, {}, "'gcn' is an embedding of the package"),
        ({"my table": table}, {}, "'my table' is no name of letters"),
        ({"mine": 3}, {}, "the embedding mine is 3, neither a function nor an encoder"),
        ({"mine": None}, {}, "the embedding 'mine' is unknown"),
        ({"mine": lambda graph, settings: 3}, {}, "what makes the embedding mine returned 3"),
        ({"mine": table}, {"jobs": 2}, "jobs=2: runs with embeddings of one's own"),
        ({"mine": table}, {"baseline": "gcn"}, "baseline=gcn is none of the embeddings, mine"),
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
