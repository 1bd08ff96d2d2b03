"""What the folds cost before training: graph and node features of ten folds, and of one graph.

    python -m benchmarks.speed.preparation

Amazon's Beauty (--data names another sequence file), or with --items a synthetic log of 20
behaviours an item; one thread. A turn builds the co-visit graph of the training behaviours, with
folds or without, and its node features; the ratio is taken within a round.

Also how far the folds' features are from those that a decomposition of their own gives: the
largest principal angle and the mean square sine of all between the subspaces, and the relative
error of the features after rotation, beside those of the full graph's features in their place.

With --epochs, and decisive: the metrics of DIN with ``gcn``, trained so long with either features.

Every turn, fold and fit stands in preparation.json.
"""

import argparse
import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.linalg
import torch
from torch_geometric.data import Data

import resemb_gnn as rg
from benchmarks.runs import FIRST_FIT, command
from benchmarks.synthetic_log import synthetic_log
from benchmarks.timing import alternate, always, machine, spread
from resemb_gnn.datasets.sequence_file import read_sequence_file
from resemb_gnn.graph import NodeFeatures
from resemb_gnn.graph.fold_graphs import with_attribute
from resemb_gnn.io.json_text import write_json
from resemb_gnn.pipeline.facts import versions
from resemb_gnn.pipeline.task import NUM_FEATURES
from resemb_gnn.settings.embedding import EmbeddingSettings

FOLDS = 10
BEAUTY = Path("../shared/data/amazon/Beauty.txt")


def prepared(log: rg.BehaviorLog, folds: int | None) -> Data:
    graph: Data = NodeFeatures(NUM_FEATURES)(rg.covisit_graph(log, folds=folds))
    return graph


def fits(split: rg.Split, epochs: int, seeds: int) -> list[dict[str, Any]]:
    """Trained on the folds' features and on those of a decomposition of their own."""
    ours = prepared(split.history, FOLDS)
    exact = copy.copy(ours)
    parts = []
    for part in ours.fold_graphs:
        x = prepared_alone(part)
        turn, _ = scipy.linalg.orthogonal_procrustes(x, ours.x[:, :-1].numpy())
        parts.append(torch.cat([torch.from_numpy(x @ turn), part.x[:, -1:]], dim=1))
    exact.fold_graphs = with_attribute(ours.fold_graphs, "x", parts)
    found: list[dict[str, Any]] = []
    for seed in range(seeds):
        for name, graph in (("ours", ours), ("exact", exact)):
            torch.manual_seed(seed)
            model = rg.DIN(
                rg.ResEmbedding(graph, EmbeddingSettings.embedding_dim, encoder="gcn"),
                attention_normalization="none",
            )
            fitted = rg.fit(model, split, epochs=epochs, seed=seed, progress=False, **FIRST_FIT)
            figures = {
                "valid": fitted.valid.auc,
                "test": fitted.test.auc,
                "train": fitted.train.auc,
            }
            found.append({"features": name, "seed": seed} | figures)
            print(found[-1], flush=True)
    return found


def errors(log: rg.BehaviorLog) -> list[dict[str, float]]:
    """Of each fold's features: against those of its graph alone, and of the full ones likewise."""
    graph = prepared(log, FOLDS)
    found = []
    for fold, part in enumerate(graph.fold_graphs):
        exact = prepared_alone(part)
        cheap, full = part.x[:, :-1].numpy(), graph.x[:, :-1].numpy()
        row: dict[str, float] = {"fold": fold}
        for name, x in (("ours", cheap), ("full", full)):
            cosines = np.linalg.svd(scipy.linalg.orth(x).T @ scipy.linalg.orth(exact))[1].clip(0, 1)
            turn, _ = scipy.linalg.orthogonal_procrustes(x, exact)
            row |= {
                f"{name}_largest_angle": float(np.degrees(np.arccos(cosines.min()))),
                f"{name}_mean_square_sine": float(1 - np.square(cosines).mean()),
                f"{name}_error": float(np.linalg.norm(x @ turn - exact) / np.linalg.norm(exact)),
            }
        found.append(row)
    return found


def prepared_alone(part: Data) -> "np.ndarray":
    """The spectral features of a fold's graph, decomposed by itself."""
    bare = Data(**{name: part[name] for name in ("edge_index", "edge_weight", "num_nodes")})
    features: np.ndarray = rg.SpectralFeatures(NUM_FEATURES - 1)(bare).x.numpy()
    return features


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=BEAUTY, help="sequence file")
    parser.add_argument("--items", type=int, help="items of a synthetic log in its place")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--epochs", type=int, help="train, at most so long")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument(
        "--out", type=Path, default=Path("benchmarks/speed/results/preparation.json")
    )
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    if options.items is None:
        log = read_sequence_file(options.data)
    else:
        frame = synthetic_log(options.items, options.items, 20 * options.items)
        log = rg.BehaviorLog.from_frame(frame, "user", "item", "time")
    split = log.split(by="last")
    history = split.history
    results: dict[str, Any] = {
        "command": command("benchmarks.speed.preparation", argv, options.out),
        "machine": machine(),
        "versions": versions(),
        "behaviors": history.num_behaviors,
        "edges": rg.covisit_graph(history).num_edges,
        "errors": errors(history),
        "fits": [] if options.epochs is None else fits(split, options.epochs, options.seeds),
        "turns": [],
    }
    names = {f"{FOLDS} folds": FOLDS, "one graph": None}
    jobs = [
        always(name, lambda folds=folds: prepared(history, folds))  # type: ignore[misc]
        for name, folds in names.items()
    ]
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number, one, wall, cpu in alternate(jobs, options.rounds):
        seconds[one.name].append(cpu)
        results["turns"].append({"name": one.name, "round": number, "wall": wall, "cpu": cpu})
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_json(options.out, results)
    with_folds, alone = (np.array(values) for values in seconds.values())
    middle, low, high = spread((with_folds / alone).tolist())
    print(
        f"{FOLDS} folds: {np.median(with_folds):.3g} s of processor work, one graph:"
        f" {np.median(alone):.3g} s; ratio: {middle:.2f} ({low:.2f} to {high:.2f})"
    )
    for name in ("ours", "full"):
        mean = np.mean([row[f"{name}_error"] for row in results["errors"]])
        angle = max(row[f"{name}_largest_angle"] for row in results["errors"])
        print(f"features of a fold, {name}: error {mean:.3f}, largest angle {angle:.0f} degrees")


if __name__ == "__main__":
    main()
