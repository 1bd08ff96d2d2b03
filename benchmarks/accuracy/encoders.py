"""Which graph layer makes the best centre encoder? Eight of PyG's, with the same budget.

    python -m benchmarks.accuracy.encoders --data Beauty.txt

Each layer is handed to ResEmbedding as `encoder=`, with the settings of `resemb-gnn compare`; a
plain table and the toolkit's own encoders stand beside them. The layers encode the whole graph at
every step: large batches (`--batch-size`, `--lr`) and a pruned graph (`--top-k`) make a full run
affordable. It goes on where results.json in the folder ends.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn
from torch_geometric.data import Data
from torch_geometric.nn import (
    APPNP,
    GATConv,
    GATv2Conv,
    GCNConv,
    GINConv,
    SAGEConv,
    Sequential,
    SGConv,
    TransformerConv,
)

from benchmarks.runs import FIRST, RunFile, command
from resemb_gnn.experiment import CompareSettings
from resemb_gnn.experiment.comparison import new_results
from resemb_gnn.experiment.report.text import markdown
from resemb_gnn.experiment.results import read_results
from resemb_gnn.experiment.run import run_record
from resemb_gnn.io.atomic import write_atomically
from resemb_gnn.nn import ResEmbedding
from resemb_gnn.pipeline.embeddings import make_embedding, make_model, residual_arguments
from resemb_gnn.pipeline.task import fit_with, read_task


def appnp(in_channels: int, out_channels: int) -> nn.Module:
    """APPNP propagates logits, so a linear layer goes before it (Gasteiger et al., ICLR 2019).

    Three steps instead of its ten: each costs as much as a whole GCNConv.
    """
    return Sequential(
        "x, edge_index, edge_weight",
        [
            (nn.Linear(in_channels, out_channels), "x -> x"),
            (APPNP(K=3, alpha=0.1), "x, edge_index, edge_weight -> x"),
        ],
    )


def gin(in_channels: int, out_channels: int) -> nn.Module:
    """GIN with the perceptron of one hidden layer of its paper (Xu et al., ICLR 2019)."""
    hidden = nn.Linear(in_channels, out_channels)
    return GINConv(nn.Sequential(hidden, nn.ReLU(), nn.Linear(out_channels, out_channels)))


LAYERS: dict[str, Callable[[int, int], nn.Module]] = {
    "GCNConv": GCNConv,
    "GATConv": GATConv,
    "GATv2Conv": GATv2Conv,
    "SAGEConv": SAGEConv,
    "GINConv": gin,
    "APPNP": appnp,
    "SGConv": lambda in_channels, out_channels: SGConv(in_channels, out_channels, K=2),
    "TransformerConv": TransformerConv,
}
OWN = ("plain", "gcn", "gat")
NAMES = (*OWN, *LAYERS)


def embedding(name: str, graph: Data, settings: CompareSettings) -> nn.Module:
    """One of the toolkit's own, or a Res-embedding with one of ``LAYERS`` as its encoder."""
    if name in OWN:
        return make_embedding(name, graph, settings)
    layer = LAYERS[name](graph.x.size(1), settings.num_centers)
    options = residual_arguments("held", settings)
    return ResEmbedding(graph, settings.embedding_dim, settings.num_centers, layer, **options)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="sequence file, such as Amazon Beauty")
    parser.add_argument("--layers", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=1024)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--num-centers", type=int, default=64)
    parser.add_argument("--top-k", type=int, help="keep each item's so many heaviest edges")
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--out", default="benchmarks/accuracy/results/encoders")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    arguments = vars(parser.parse_args(argv))
    layers = arguments.pop("layers")
    settings = CompareSettings(use_features=False, **FIRST | arguments)
    task = read_task(settings, OWN)
    head = new_results(task, settings)
    head["command"] = command("benchmarks.accuracy.encoders", argv, settings.data)
    results = RunFile(Path(settings.out) / "results.json", head)
    for seed in range(settings.seeds):
        for name in layers:
            if results.holds(embedding=name, seed=seed):
                continue
            torch.manual_seed(seed)
            model = make_model(settings.model, embedding(name, task.graph, settings), None)
            result = fit_with(settings, model, task.split, seed=seed)
            results.add(run_record(name, settings.model, seed, {}, result))
            print(f"{name}, seed {seed}: test AUC {result.test.auc:.4f}", file=sys.stderr)
    write_atomically(Path(settings.out) / "results.md", markdown(read_results(results.path)))


if __name__ == "__main__":
    main()
