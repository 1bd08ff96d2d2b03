"""Centre encoders side by side, PyG's own layers among them: test AUC by encoder.

python examples/compare_encoders.py [--data Beauty.txt --epochs 8 --seeds 3]
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch_geometric.data import Data
from torch_geometric.nn import GraphConv

import resemb_gnn as rg
from resemb_gnn.datasets import read_sequence_file
from resemb_gnn.experiment.summary import describe

DIM, CENTERS = 16, 16


class TwoHops(nn.Module):
    """Any module that is called ``(x, edge_index, edge_weight)`` can say the centres' logits."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.near = GraphConv(num_features, 32, aggr="mean")
        self.far = GraphConv(32, CENTERS, aggr="mean")

    def forward(
        self, x: torch.Tensor, edge_index: torch.Tensor, edge_weight: torch.Tensor
    ) -> torch.Tensor:
        return self.far(self.near(x, edge_index, edge_weight).relu(), edge_index, edge_weight)


def embeddings(graph: Data) -> dict[str, Callable[[], nn.Module]]:
    """What is compared, each made anew for a seed."""

    def res(encoder: str | nn.Module) -> nn.Module:
        return rg.ResEmbedding(graph, DIM, num_centers=CENTERS, encoder=encoder)

    return {
        "nn.Embedding": lambda: nn.Embedding(graph.num_nodes, DIM),
        "average": lambda: res("average"),
        "gcn": lambda: res("gcn"),
        "gat": lambda: res("gat"),
        "two GraphConv of PyG": lambda: res(TwoHops(graph.x.size(1))),
    }


def main(arguments: list[str] | None = None) -> dict[str, list[float]]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="sequence file; a synthetic log if not given")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args(arguments)
    if options.data is None:
        log = rg.InterestDelayModel(num_users=200, num_items=100, num_interests=5).sample()
        split = log.split(by="time")
    else:
        split = read_sequence_file(options.data).split(by="last")
    graph = rg.covisit_graph(split.history, window=5, folds=2)
    graph = rg.CountFeature()(rg.SpectralFeatures(16)(graph))

    found: dict[str, list[float]] = {}
    for name, make in embeddings(graph).items():
        for seed in range(options.seeds):
            torch.manual_seed(seed)
            model = rg.DIN(make())
            result = rg.fit(model, split, epochs=options.epochs, seed=seed, progress=False)
            found.setdefault(name, []).append(result.test.auc)
        stat = describe(found[name])
        spread = f" ± {stat.std:.3f}" if options.seeds > 1 else ""
        print(f"{name}: test AUC {stat.mean:.3f}{spread}", flush=True)
    return found


if __name__ == "__main__":
    main()
