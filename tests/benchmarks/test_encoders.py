"""benchmarks/accuracy/encoders.py on a small log: every layer trains, runs resume."""

from pathlib import Path
from typing import Any

import pytest
import torch
from resemb_gnn.pipeline.steps import fit_with
from torch import nn
from torch_geometric.data import Data
from torch_geometric.nn import Sequential

from benchmarks.accuracy import encoders
from resemb_gnn import BehaviorLog, InputError, ResEmbedding, covisit_graph
from resemb_gnn.experiment.results import read_results
from resemb_gnn.graph import NodeFeatures
from resemb_gnn.nn import FullGraphEncoder

LAYERS = [
    "GCNConv", "GATConv", "GATv2Conv", "SAGEConv", "GINConv", "APPNP", "SGConv", "TransformerConv",
]  # fmt: skip
WEIGHTED = {"GCNConv", "APPNP", "SGConv"}  # of those, the ones that look at edge weights


@pytest.fixture(scope="module")
def graph(log: BehaviorLog) -> Data:
    return NodeFeatures(8)(covisit_graph(log, folds=2))


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_gives_the_logits_of_the_whole_graph(name: str, graph: Data) -> None:
    torch.manual_seed(0)
    layer = encoders.LAYERS[name](8, 6)
    emb = ResEmbedding(graph, 4, 6, encoder=layer, temperature=0.5, center_std=1.0)
    assert isinstance(emb.encoder, FullGraphEncoder)
    ids = torch.tensor([3, 0, 3, 21])
    arguments = [graph.x, graph.edge_index]
    if name in WEIGHTED:
        arguments.append(graph.edge_weight)
    expected = (layer(*arguments) / 0.5).softmax(dim=1)[ids]
    torch.testing.assert_close(emb.center_weights(ids), expected)
    part = graph.fold_graphs[1]
    other = [part.x, part.edge_index, part.edge_weight][: len(arguments)]
    in_fold = (layer(*other) / 0.5).softmax(dim=1)[ids]
    torch.testing.assert_close(emb.encoder(ids, fold=1), in_fold)
    assert not torch.allclose(in_fold, expected)

    emb(ids).square().sum().backward()
    parameters = list(layer.parameters())
    assert parameters
    assert all(parameter.grad is not None for parameter in parameters)
    assert any(bool(parameter.grad.abs().sum() > 0) for parameter in parameters)


def test_a_sequential_without_edge_weights_is_called_without_them(graph: Data) -> None:
    layers = [(nn.Linear(8, 6), "x -> x")]
    without = ResEmbedding(graph, 4, 6, encoder=Sequential("x, edge_index", layers))
    whole = ResEmbedding(graph, 4, 6, encoder=Sequential("x, edge_index, edge_weight", layers))
    ids = torch.arange(5)
    assert torch.equal(without.center_weights(ids), whole.center_weights(ids))


def test_runs_of_all_layers(sequences: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    few = [
        "--data",
        str(sequences),
        "--epochs",
        "1",
        "--num-centers",
        "6",
        "--folds",
        "1",
        "--quiet",
    ]
    few += ["--out", str(out), "--seeds", "1"]
    encoders.main([*few, "--layers", "plain", "SAGEConv"])
    first = read_results(out / "results.json")["runs"]
    assert [run["embedding"] for run in first] == ["plain", "SAGEConv"]
    encoders.main(few)
    runs = read_results(out / "results.json")["runs"]
    assert runs[:2] == first  # not made again
    assert sorted(run["embedding"] for run in runs) == sorted(["plain", "gcn", "gat", *LAYERS])
    assert len({run["test"]["auc"] for run in runs}) > 7
    text = (out / "results.md").read_text()
    assert all(name in text for name in LAYERS)
    with pytest.raises(InputError, match="num_centers was 6 and is 7"):
        encoders.main([*few, "--num-centers", "7"])


def test_runs_of_another_process_are_kept(
    sequences: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [
        "--data",
        str(sequences),
        "--epochs",
        "1",
        "--num-centers",
        "6",
        "--folds",
        "1",
        "--quiet",
    ]
    words += ["--out", str(tmp_path), "--seeds", "1"]
    true_fit = fit_with

    def meanwhile(*args: Any, **options: Any) -> Any:
        monkeypatch.setattr(encoders, "fit_with", true_fit)
        encoders.main([*words, "--layers", "SGConv"])
        return true_fit(*args, **options)

    monkeypatch.setattr(encoders, "fit_with", meanwhile)
    encoders.main([*words, "--layers", "plain"])
    runs = read_results(tmp_path / "results.json")["runs"]
    assert [run["embedding"] for run in runs] == ["SGConv", "plain"]
