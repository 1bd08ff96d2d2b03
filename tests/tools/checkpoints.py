"""What checkpoints cost: seconds and bytes each, and the share of a run that goes into them.

    python -m tests.tools.checkpoints      # writes results/checkpoints.json and .md

DIN with `gcn` on synthetic logs, dense Adam, one thread, two epochs, with ``fit``'s own settings: a
checkpoint after each epoch and every 60 seconds. The time of every save is taken within the run.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from benchmarks.synthetic_log import synthetic_log
from benchmarks.tables import table
from benchmarks.timing import machine
from resemb_gnn import DIN, BehaviorLog, ResEmbedding, covisit_graph, fit
from resemb_gnn.io.atomic import write_atomically
from resemb_gnn.io.json_text import write_json
from resemb_gnn.pipeline.facts import versions
from resemb_gnn.training.checkpoint import CheckpointFolder

DEFAULT_OUT = Path(__file__).parent / "results"
SIZES = {"as Beauty": (22_363, 12_101, 198_502), "wide": (50_000, 300_000, 600_000)}


def measure(name: str, users: int, items: int, behaviors: int) -> dict[str, Any]:
    """A run of two epochs, and what its checkpoints took of it."""
    seconds: list[float] = []
    sizes: list[int] = []
    save = CheckpointFolder.save

    def timed(folder: CheckpointFolder, contents: dict[str, Any]) -> Path:
        started = time.perf_counter()
        path = save(folder, contents)
        seconds.append(time.perf_counter() - started)
        sizes.append(path.stat().st_size)
        return path

    frame = synthetic_log(users, items, behaviors)
    split = BehaviorLog.from_frame(frame, "user", "item", "time").split()
    torch.manual_seed(0)
    model = DIN(ResEmbedding(covisit_graph(split.history)))
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(CheckpointFolder, "save", timed),
    ):
        started = time.perf_counter()
        result = fit(model, split, epochs=2, sparse_rows=None, progress=False, checkpoints=folder)
        whole = time.perf_counter() - started
    return {
        "name": name,
        "items": items,
        "parameters": result.num_parameters,
        "megabytes": sizes[-1] / 1e6,
        "saves": len(seconds),
        "seconds": statistics.median(seconds),
        "longest": max(seconds),
        "epoch": result.seconds_per_epoch,
        "share": sum(seconds) / whole,
    }


def markdown(results: dict[str, Any]) -> str:
    rows = [
        [
            f"{row['name']}, {row['items']:,} items",
            f"{row['parameters']:,}",
            f"{row['megabytes']:.0f} MB",
            row["saves"],
            f"{row['seconds']:.2f}, {row['longest']:.2f}",
            f"{row['epoch']:.1f}",
            f"{row['share']:.1%}",
        ]
        for row in results["rows"]
    ]
    titles = ["log", "parameters", "file", "saves", "seconds a save (median, longest)"]
    lines = [
        "# What checkpoints cost",
        "",
        f"`python -m tests.tools.checkpoints` (torch {results['torch']}, one thread,"
        f" {results['machine']['cores']} cores with other work beside it): DIN with `gcn`, dense"
        " Adam, two epochs; a checkpoint after each and every 60 seconds. A checkpoint holds"
        " weights, both moments and the best weights so far: four times the model.",
        "",
        *table([*titles, "seconds an epoch", "share of the run"], rows),
    ]
    return "\n".join([*lines, ""])


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    rows = [measure(name, *size) for name, size in SIZES.items()]
    results = {"rows": rows, "machine": machine(), "torch": versions()["torch"]}
    write_json(options.out / "checkpoints.json", results)
    write_atomically(options.out / "checkpoints.md", markdown(results))
    print(markdown(results))


if __name__ == "__main__":
    main()
