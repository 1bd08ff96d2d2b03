"""What the defaults take: minutes before training, minutes an epoch and memory, by rows of the log.

    python -m benchmarks.scale.defaults

Each size is a synthetic log (long-tailed, clustered; 20 behaviours an item and a user) in a Parquet
file, and a fresh process on one thread that reads it, splits it, builds the co-visit graph with ten
folds and its node features, and takes training steps of DIN with ``gcn`` and with ``plain``, of
1,024 examples. An epoch's time is the median step times their number. The resident memory's peak
is of all stages (Linux only). Seconds are of the processor's work on the process, and by the clock.

Stages land in ``<out>`` as they end; a size that is complete is not run again.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import resemb_gnn as rg
from benchmarks import timing
from benchmarks.runs import command
from benchmarks.scale.growth import BEHAVIORS_PER_ITEM, MAX_HISTORY, Stages
from benchmarks.scale.growth_figures import GIB
from benchmarks.speed.ours import BATCH_SIZE, CENTERS, DIM, make_din, make_optimizer
from benchmarks.synthetic_log import synthetic_log
from benchmarks.tables import table
from benchmarks.timing import machine
from resemb_gnn.graph import NodeFeatures
from resemb_gnn.io.json_text import read_json, write_json
from resemb_gnn.nn import PlainEmbedding
from resemb_gnn.pipeline.facts import versions
from resemb_gnn.pipeline.task import NUM_FEATURES
from resemb_gnn.settings import FitSettings
from resemb_gnn.training import training_step

ROWS = (100_000, 1_000_000, 10_000_000, 20_000_000)
PREPARATION = ("read", "split", "graph", "features", "encoder")
MODELS = ("gcn", "plain")


def one_size(path: Path, steps: int) -> None:
    stages = Stages()
    log = stages.run("read", lambda: rg.BehaviorLog.from_frame(path, "user", "item", "time"))
    split = stages.run("split", lambda: log.split(by="last"))
    bare = stages.run("graph", lambda: rg.covisit_graph(split.history, folds=FitSettings.folds))
    graph = stages.run("features", lambda: NodeFeatures(NUM_FEATURES)(bare))
    gcn = stages.run("encoder", lambda: rg.ResEmbedding(graph, DIM, CENTERS, "gcn"))
    generator = torch.Generator().manual_seed(0)
    embeddings = {"gcn": gcn, "plain": PlainEmbedding(log.num_items, DIM)}
    for name in MODELS:
        model = make_din(embeddings[name]).train()
        plan = split.train.plan(BATCH_SIZE, generator, embeddings[name].user_fold)
        optimizer = make_optimizer(model)
        each = []
        for index, fold in plan[: steps + 1]:
            wall, cpu = time.perf_counter(), time.process_time()
            training_step(model, split.train.batch(index, MAX_HISTORY, fold), optimizer)
            each.append((time.perf_counter() - wall, time.process_time() - cpu))
        seconds = np.median(each[1:], axis=0) * len(plan)  # the first sets the moments up
        stages.report(name, *seconds.tolist(), steps=len(each) - 1)
    stages.report("done", 0.0, 0.0, edges=graph.num_edges, examples=len(split.train))


def measure_size(options: argparse.Namespace, rows: int) -> dict[str, Any]:
    """What a process of its own reports of one size."""
    options.folder.mkdir(parents=True, exist_ok=True)
    path = options.folder / f"log-{rows // BEHAVIORS_PER_ITEM}.parquet"
    if not path.exists():
        part = path.with_suffix(".part")
        items = rows // BEHAVIORS_PER_ITEM
        synthetic_log(items, items, rows).write_parquet(part)
        part.rename(path)
    lines = []
    words = ("--steps", options.steps, "--worker", path)
    with timing.start(1, "benchmarks.scale.defaults", *words) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(f"{rows:,}", line, end="", flush=True)
            lines.append(json.loads(line))
    complete = bool(lines) and lines[-1]["stage"] == "done"
    return {"rows": rows, "complete": complete, "exit_code": process.returncode, "stages": lines}


def markdown(results: dict[str, Any]) -> str:
    """The table that docs/scale.md begins with."""
    rows = []
    for size in results["sizes"]:
        if size["complete"]:
            stages = {part["stage"]: part for part in size["stages"]}
            minutes = [sum(stages[name]["cpu"] for name in PREPARATION) / 60]
            minutes += [stages[name]["cpu"] / 60 for name in reversed(MODELS)]
            peak = max(part["peak_bytes"] for part in size["stages"]) / GIB
            edges = stages["done"]["edges"]
            rows.append([f"{size['rows']:,}", f"{edges:,}", *map(_short, (*minutes, peak))])
    titles = ["rows", "edges (both ways)", "minutes before training"]
    titles += ["minutes an epoch, `plain`", "`gcn`", "peak memory, GiB"]
    return "\n".join(table(titles, rows))


def _short(value: float) -> str:
    return f"{value:.2g}" if value < 10 else f"{value:.0f}"


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=list(ROWS))
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(tempfile.gettempdir()) / "resemb-gnn-scale",
        help="logs; may be deleted afterwards",
    )
    parser.add_argument("--out", type=Path, default=Path("benchmarks/scale/results/defaults.json"))
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.worker is not None:
        one_size(options.worker, options.steps)
        return
    results: dict[str, Any] = {"sizes": []}
    if options.out.exists():
        results = read_json(options.out)
    results |= {
        "command": command("benchmarks.scale.defaults", argv, options.out),
        "machine": machine(),
        "versions": versions(),
    }
    for rows in sorted(options.rows):
        if any(size["rows"] == rows and size["complete"] for size in results["sizes"]):
            continue
        results["sizes"] = [size for size in results["sizes"] if size["rows"] != rows]
        results["sizes"].append(measure_size(options, rows))
        results["sizes"].sort(key=lambda size: size["rows"])
        options.out.parent.mkdir(parents=True, exist_ok=True)
        write_json(options.out, results)
    print(markdown(results))


if __name__ == "__main__":
    main()
