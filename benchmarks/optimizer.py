"""Does training only the batch's rows of a table (SparseAdam) cost AUC against dense Adam?

    python benchmarks/optimizer.py --data Beauty.txt

DIN on a sequence file, as `resemb-gnn compare` trains it, once with ``fit(sparse_rows=None)`` and
once with ``sparse_rows=1``, on the same examples, start and order of batches. Runs land in
results/optimizer/results.json as they end, and a run that stands there is not made again.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

import resemb_gnn as rg
from resemb_gnn.datasets import read_sequence_file
from resemb_gnn.experiment import CompareSettings
from resemb_gnn.experiment.results import fingerprint, versions, write_atomically
from resemb_gnn.experiment.summary import describe, difference, number, paired_differences
from resemb_gnn.graph import NodeFeatures
from resemb_gnn.pipeline.arms import EMBEDDINGS, make_embedding
from resemb_gnn.pipeline.steps import fit_with

SPARSE_ROWS = {"Adam": None, "SparseAdam": 1}  # names of the updates
SETTINGS = (
    "negatives",
    "window",
    "folds",
    "embedding_dim",
    "num_centers",
    "shrinkage",
    "residual_penalty",
    "epochs",
    "batch_size",
    "lr",
    "patience",
    "max_history",
)


def train(
    name: str, optimizer: str, seed: int, split: rg.Split, graph: Any, settings: CompareSettings
) -> dict[str, Any]:
    torch.manual_seed(seed)
    model = rg.DIN(make_embedding(name, graph, settings))
    result = fit_with(settings, model, split, sparse_rows=SPARSE_ROWS[optimizer], seed=seed)
    return {
        "embedding": name,
        "optimizer": optimizer,
        "seed": seed,
        "test": asdict(result.test),
        "valid": asdict(result.valid),
        "gap": result.gap,
        "best_epoch": result.best_epoch,
        "epochs": len(result.curve),
        "seconds_per_epoch": result.seconds_per_epoch,
    }


def markdown(results: dict[str, Any], embeddings: list[str]) -> str:
    """Mean ± standard deviation over seeds, and the difference paired by seed."""
    lines = [
        f"`{results['command']}`, {results['settings']['threads']} thread(s); mean ± standard"
        " deviation over seeds, best epoch in brackets; differences paired by seed.",
        "",
        f"| embedding | {' | '.join(SPARSE_ROWS)} | difference in test AUC, 95 % interval |",
        "|---|---|---|---|",
    ]
    for name in embeddings:
        arms = {
            optimizer: [
                run
                for run in results["runs"]
                if (run["embedding"], run["optimizer"]) == (name, optimizer)
            ]
            for optimizer in SPARSE_ROWS
        }
        cells = []
        for runs in arms.values():
            stat = describe([number(run, "test", "auc") for run in runs])
            epochs = ", ".join(str(run["best_epoch"]) for run in runs)
            cells.append(f"{stat.mean:.4f} ± {stat.std:.4f} ({epochs})")
        pairs = paired_differences(arms["SparseAdam"], arms["Adam"], "test", "auc")
        gain = difference(pairs) if pairs else None
        shown = f"{gain.mean:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]" if gain else "–"
        lines.append(f"| {name} | {' | '.join(cells)} | {shown} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="sequence file, such as Amazon Beauty")
    parser.add_argument("--embeddings", nargs="+", choices=EMBEDDINGS, default=["plain", "gcn"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/optimizer"))
    args = parser.parse_args()
    settings = CompareSettings(data=args.data, split="last", quiet=True)
    log = read_sequence_file(args.data)
    split = log.split(by="last", negatives=settings.negatives)
    graph = NodeFeatures(dim=32)(
        rg.covisit_graph(split.history, window=settings.window, folds=settings.folds)
    )
    identity = {name: getattr(settings, name) for name in SETTINGS}
    identity |= {"threads": torch.get_num_threads(), "data_fingerprint": fingerprint(log)}
    path = args.out / "results.json"
    results: dict[str, Any] = {"settings": identity, "runs": []}
    if path.exists():
        results = json.loads(path.read_text())
        if results["settings"] != identity:
            parser.error(f"{path} was measured on other data or with other settings; move it away")
    words = ["benchmarks/optimizer.py", "--data", Path(args.data).name]
    words += ["--embeddings", *args.embeddings, "--seeds", str(args.seeds)]
    results |= {"command": " ".join(words), "versions": versions()}
    done = {(run["embedding"], run["optimizer"], run["seed"]) for run in results["runs"]}
    for seed in range(args.seeds):
        for name in args.embeddings:
            for optimizer in SPARSE_ROWS:
                if (name, optimizer, seed) in done:
                    continue
                run = train(name, optimizer, seed, split, graph, settings)
                results["runs"].append(run)
                write_atomically(path, json.dumps(results, indent=1) + "\n")
                print(name, optimizer, seed, f"test AUC {run['test']['auc']:.4f}", flush=True)
    write_atomically(path, json.dumps(results, indent=1) + "\n")
    text = markdown(results, args.embeddings)
    write_atomically(args.out / "README.md", text)
    print(text)


if __name__ == "__main__":
    main()
