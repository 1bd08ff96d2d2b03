"""What checkpoints cost: seconds and bytes each, and the share of a run that goes into them.

    python benchmarks/checkpoints.py      # writes results/checkpoints

DIN with `gcn` on synthetic logs, dense Adam, one thread, two epochs, with ``fit``'s own settings: a
checkpoint after each epoch and every 60 seconds. The time of every save is taken within the run.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from synthetic_log import synthetic_log
from timing import machine

from resemb_gnn import DIN, BehaviorLog, ResEmbedding, covisit_graph, fit
from resemb_gnn.experiment.results import versions
from resemb_gnn.io.atomic import write_atomically
from resemb_gnn.training.checkpoint import CheckpointFolder

DEFAULT_OUT = Path(__file__).parent / "results" / "checkpoints"
SIZES = {"as Beauty": (22_363, 12_101, 198_502), "wide": (50_000, 300_000, 600_000)}


class Timed(CheckpointFolder):
    """Takes the time of each save."""

    seconds: list[float] = []  # noqa: RUF012 - of all folders, since fit makes its own

    def save(self, contents: dict[str, Any]) -> Path:
        started = time.perf_counter()
        path = super().save(contents)
        Timed.seconds.append(time.perf_counter() - started)
        Timed.size = path.stat().st_size
        return path


def measure(name: str, users: int, items: int, behaviors: int) -> dict[str, Any]:
    """A run of two epochs, and what its checkpoints took of it."""
    import resemb_gnn.training.saver as saver

    saver.CheckpointFolder = Timed
    Timed.seconds.clear()
    frame = synthetic_log(users, items, behaviors)
    split = BehaviorLog.from_frame(frame, "user", "item", "time").split()
    torch.manual_seed(0)
    model = DIN(ResEmbedding(covisit_graph(split.history)))
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        result = fit(model, split, epochs=2, sparse_rows=None, progress=False, checkpoints=folder)
        whole = time.perf_counter() - started
    return {
        "name": name,
        "items": items,
        "parameters": result.num_parameters,
        "megabytes": Timed.size / 1e6,
        "saves": len(Timed.seconds),
        "seconds": statistics.median(Timed.seconds),
        "longest": max(Timed.seconds),
        "epoch": result.seconds_per_epoch,
        "share": sum(Timed.seconds) / whole,
    }


def markdown(results: dict[str, Any]) -> str:
    head = [
        "# What checkpoints cost",
        "",
        f"`python benchmarks/checkpoints.py` (torch {results['torch']}, one thread,"
        f" {results['machine']['cores']} cores with other work beside it): DIN with `gcn`, dense"
        " Adam, two epochs; a checkpoint after each and every 60 seconds. A checkpoint holds"
        " weights, both moments and the best weights so far: four times the model.",
        "",
        "| log | parameters | file | saves | seconds a save (median, longest) | seconds an epoch"
        " | share of the run |",
        "|---|---|---|---|---|---|---|",
    ]
    rows = [
        f"| {row['name']}, {row['items']:,} items | {row['parameters']:,} |"
        f" {row['megabytes']:.0f} MB | {row['saves']} | {row['seconds']:.2f}, {row['longest']:.2f}"
        f" | {row['epoch']:.1f} | {row['share']:.1%} |"
        for row in results["rows"]
    ]
    return "\n".join([*head, *rows, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [measure(name, *size) for name, size in SIZES.items()]
    results = {"rows": rows, "machine": machine(), "torch": versions()["torch"]}
    write_atomically(options.out / "checkpoints.json", json.dumps(results, indent=1) + "\n")
    write_atomically(options.out / "checkpoints.md", markdown(results))
    print(markdown(results))


if __name__ == "__main__":
    main()
