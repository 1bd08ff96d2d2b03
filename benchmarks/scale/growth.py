"""How do time and memory grow with the log? From 10,000 to a million items.

    python -m benchmarks.scale.growth
    python -m benchmarks.scale.growth --items 10000 100000 --threads 1
    python -m benchmarks.scale.growth --epoch

Each size is a synthetic log (long-tailed, clustered; 20 behaviours an item and a user) in a Parquet
file, and a fresh process that reads it, splits it, builds the graph of the training part and its
spectral features, and takes training steps with ``gcn``. The resident memory's peak is measured
stage by stage (Linux only). At the end one process takes the steps of all sizes in alternation, on
the same batch: its items, as many as the smallest log has, are spread over the vocabulary. An
epoch's time is extrapolated from the median step; ``--epoch`` adds a whole epoch by ``fit``, with
its evaluations, at the largest size.

Stages land in ``<out>/growth.json`` as they end; a size that is complete is not run again.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

import resemb_gnn as rg
from benchmarks import timing
from benchmarks.runs import FIRST_FIT, command
from benchmarks.scale.growth_figures import draw, markdown
from benchmarks.speed.ours import BATCH_SIZE, CENTERS, DIM, make_din, make_optimizer
from benchmarks.synthetic_log import synthetic_log
from benchmarks.timing import Contender, alternate, machine
from resemb_gnn.io.atomic import write_atomically
from resemb_gnn.io.json_text import read_json, write_json
from resemb_gnn.pipeline.facts import versions
from resemb_gnn.training import training_step

SIZES = (10_000, 32_000, 100_000, 320_000, 1_000_000)  # items
BEHAVIORS_PER_ITEM = 20
MAX_HISTORY = 50  # as in fit
TURN_STEPS = 10  # of the comparison on the same batch
Result = TypeVar("Result")


class Stages:
    """Runs stages, and prints for each its seconds, by the clock and of the processor's work, and
    its peak of resident memory.
    """

    def __init__(self) -> None:
        self.report("start", 0.0, 0.0)

    def run(self, name: str, job: Callable[[], Result]) -> Result:
        # Sets the peak (VmHWM) back to what is resident now (proc(5)).
        Path("/proc/self/clear_refs").write_text("5")
        wall, cpu = time.perf_counter(), time.process_time()
        result = job()
        self.report(name, time.perf_counter() - wall, time.process_time() - cpu)
        return result

    @staticmethod
    def report(stage: str, seconds: float, cpu: float, **more: object) -> None:
        status = Path("/proc/self/status").read_text()
        peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        values = {"stage": stage, "seconds": seconds, "cpu": cpu}
        print(json.dumps(values | {"peak_bytes": 1024 * int(peak.split()[1])} | more), flush=True)


def one_size(options: argparse.Namespace, items: int) -> None:
    stages = Stages()
    path = str(options.folder / f"log-{items}.parquet")
    log = stages.run("read", lambda: rg.BehaviorLog.from_frame(path, "user", "item", "time"))
    split = stages.run("split", lambda: log.split(by="last"))
    model, edges = gcn_model(stages, split)
    # Not its state dict, which would have to be loaded into a model of the same, large graph.
    torch.save(model, options.folder / f"model-{items}.pt")
    order = torch.randperm(len(split.train), generator=torch.Generator().manual_seed(0))
    rows = list(order[: (options.steps + 1) * BATCH_SIZE].split(BATCH_SIZE))

    def steps() -> list[tuple[float, float]]:
        optimizer = make_optimizer(model)
        seconds = []
        for index in rows:
            wall, cpu = time.perf_counter(), time.process_time()
            training_step(model, split.train.batch(index, MAX_HISTORY), optimizer)
            seconds.append((time.perf_counter() - wall, time.process_time() - cpu))
        return seconds[1:]  # the first one sets the moments up

    each = np.array(stages.run("steps", steps))
    stages.report("step", *np.median(each, axis=0).tolist(), steps=each.tolist())
    stages.report("done", 0.0, 0.0, edges=edges, examples=len(split.train))
    if options.epoch:
        fitted = stages.run(
            "epoch", lambda: rg.fit(model, split, epochs=1, progress=False, **FIRST_FIT)
        )
        stages.report("training epoch", fitted.seconds_per_epoch, 0.0, test_auc=fitted.test.auc)


def gcn_model(stages: Stages, split: rg.Split) -> tuple[rg.DIN, int]:
    """DIN with the ``gcn`` embedding, and the number of edges; the graph itself is given up."""
    bare = stages.run("graph", lambda: rg.covisit_graph(split.history))
    graph = stages.run("features", lambda: rg.SpectralFeatures(DIM)(bare))
    model = stages.run(
        "model", lambda: make_din(rg.ResEmbedding(graph, DIM, CENTERS, "gcn")).train()
    )
    return model, graph.num_edges


def same_batch(options: argparse.Namespace) -> None:
    """Steps of all sizes in alternation, on one batch whose items are spread over each vocabulary.

    The batch is of a log of the smallest size, so that it has as many distinct items at all sizes.
    """
    least = min(options.items)
    frame = synthetic_log(least, least, BEHAVIORS_PER_ITEM * least)
    train = rg.BehaviorLog.from_frame(frame, "user", "item", "time").split(by="last").train
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
    batch = train.batch(order[:BATCH_SIZE], MAX_HISTORY)

    def contender(size: int) -> Contender:
        path = options.folder / f"model-{size}.pt"
        model = torch.load(path, weights_only=False)  # written above
        optimizer = make_optimizer(model)
        generator = torch.Generator().manual_seed(size)
        place = torch.randperm(size, generator=generator)[:least]
        spread = rg.Batch(
            place[batch.history], batch.ptr, place[batch.target], batch.label, batch.user
        )

        def steps(number: int) -> Callable[[], object]:
            training_step(model, spread, optimizer)  # warms the caches
            return lambda: [training_step(model, spread, optimizer) for _ in range(TURN_STEPS)]

        return Contender(str(size), steps)

    for turn in alternate([contender(size) for size in options.items], options.rounds):
        values = {"items": int(turn.contender.name), "wall": turn.wall / TURN_STEPS}
        print(json.dumps(values | {"cpu": turn.cpu / TURN_STEPS}), flush=True)


def run_worker(options: argparse.Namespace, *worker: object) -> tuple[list[dict[str, Any]], int]:
    """What a worker printed, and how it ended; each line is shown as it comes."""
    words = ["--folder", options.folder, "--steps", options.steps, "--rounds", options.rounds]
    words += ["--worker", *worker]
    lines = []
    with timing.start(options.threads, "benchmarks.scale.growth", *words) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(*worker, line, end="", flush=True)
            lines.append(json.loads(line))
    return lines, process.returncode


def measure_size(options: argparse.Namespace, items: int, epoch: bool) -> dict[str, Any]:
    path = options.folder / f"log-{items}.parquet"
    behaviors = BEHAVIORS_PER_ITEM * items
    if not path.exists():
        part = path.with_suffix(".part")
        synthetic_log(items, items, behaviors).write_parquet(part)
        part.rename(path)
    lines, code = run_worker(options, items, *(["--epoch"] if epoch else []))
    last = "training epoch" if epoch else "done"
    return {
        "items": items,
        "behaviors": behaviors,
        "complete": bool(lines) and lines[-1]["stage"] == last,
        "exit_code": code,
        "epoch": epoch,
        "stages": lines,
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--steps", type=int, default=60, help="of each size's own log")
    parser.add_argument("--rounds", type=int, default=15, help="of steps on the same batch")
    parser.add_argument("--epoch", action="store_true", help="an epoch at the largest size")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(tempfile.gettempdir()) / "resemb-gnn-scale",
        help="logs and models; may be deleted afterwards",
    )
    parser.add_argument("--out", type=Path, default=Path("benchmarks/scale/results/growth"))
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.worker == "same-batch":
        same_batch(options)
    elif options.worker is not None:
        one_size(options, int(options.worker))
    else:
        settings = {
            "threads": options.threads,
            "batch_size": BATCH_SIZE,
            "max_history": MAX_HISTORY,
            "machine": machine(),
            "versions": versions(),
        }
        path = options.out / "growth.json"
        results: dict[str, Any] = read_json(path) if path.exists() else {"sizes": []}
        if results["sizes"] and results["settings"] != settings:
            parser.error(f"{path} was measured with other settings, packages or machine: move it")
        results |= {"settings": settings, "command": command("benchmarks.scale.growth", argv)}
        measure(options, results, path)
        table = markdown(results)
        write_atomically(options.out / "README.md", table)
        draw(results, options.out)
        print(table)


def measure(options: argparse.Namespace, results: dict[str, Any], path: Path) -> None:
    """Adds to the results, and to their file, what is not there yet."""
    options.folder.mkdir(parents=True, exist_ok=True)
    sizes = sorted(options.items)
    for items in sizes:
        epoch = options.epoch and items == sizes[-1]
        known = [size for size in results["sizes"] if size["items"] == items]
        if any(size["complete"] and size["epoch"] >= epoch for size in known):
            continue
        results["sizes"] = [size for size in results["sizes"] if size["items"] != items]
        results["sizes"].append(measure_size(options, items, epoch))
        results["sizes"].sort(key=lambda size: size["items"])
        results.pop("same_batch", None)
        write_json(path, results)
    complete = [size["items"] for size in results["sizes"] if size["complete"]]
    if "same_batch" in results or not complete:
        return
    if not all((options.folder / f"model-{items}.pt").exists() for items in complete):
        raise SystemExit(f"models are missing in {options.folder}: delete {path} to measure anew")
    turns, code = run_worker(options, "same-batch", "--items", *complete)
    if code == 0:
        results["same_batch"] = turns
        write_json(path, results)


if __name__ == "__main__":
    main()
