"""How do time and memory grow with the log? From 10,000 to a million items.

    python benchmarks/scale.py
    python benchmarks/scale.py --items 10000 100000 --threads 1
    python benchmarks/scale.py --epoch

Each size is a synthetic log (long-tailed, clustered; 20 behaviours an item and a user) in a Parquet
file, and a fresh process that reads it, splits it, builds the graph of the training part and its
spectral features, and takes training steps with ``gcn``. The resident memory's peak is measured
stage by stage (Linux only). At the end one process takes the steps of all sizes in alternation, on
the same batch: its items are spread over the vocabulary. An epoch's time is extrapolated from the
median step; ``--epoch`` adds a whole epoch by ``fit``, with its evaluations, at the largest size.

Stages land in ``<out>/scale.json`` as they end; a size that is complete is not run again.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from scale_figures import draw, markdown
from speed_ours import BATCH_SIZE, CENTERS, DIM, make_din, make_optimizer
from synthetic_log import synthetic_log
from timing import Contender, alternate, machine, thread_environment

import resemb_gnn as rg
from resemb_gnn.experiment.results import versions, write_atomically
from resemb_gnn.training import training_step

SIZES = (10_000, 32_000, 100_000, 320_000, 1_000_000)  # items
BEHAVIORS_PER_ITEM = 20
MAX_HISTORY = 50  # as in fit
STEPS = 60  # of the size's own log
TURN_STEPS, ROUNDS = 10, 15  # of the comparison on the same batch
WORK_ITEMS = 10_000  # items that the batch of the comparison of steps may hold
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


def one_size(folder: Path, items: int, epoch: bool) -> None:
    stages = Stages()
    path = str(folder / f"log-{items}.parquet")
    log = stages.run("read", lambda: rg.BehaviorLog.from_frame(path, "user", "item", "time"))
    split = stages.run("split", lambda: log.split(by="last"))
    model, edges = gcn_model(stages, split)
    # Not its state dict, which would have to be loaded into a model of the same, large graph.
    torch.save(model, folder / f"model-{items}.pt")
    order = torch.randperm(len(split.train), generator=torch.Generator().manual_seed(0))
    rows = list(order[: (STEPS + 1) * BATCH_SIZE].split(BATCH_SIZE))

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
    if epoch:
        fitted = stages.run("epoch", lambda: rg.fit(model, split, epochs=1, progress=False))
        stages.report("training epoch", fitted.seconds_per_epoch, 0.0, test_auc=fitted.test.auc)


def gcn_model(stages: Stages, split: rg.Split) -> tuple[rg.DIN, int]:
    """DIN with the ``gcn`` embedding, and the number of edges; the graph itself is given up."""
    bare = stages.run("graph", lambda: rg.covisit_graph(split.history))
    graph = stages.run("features", lambda: rg.SpectralFeatures(DIM)(bare))
    model = stages.run("model", lambda: make_din(rg.ResEmbedding(graph, DIM, CENTERS)).train())
    return model, graph.num_edges


def same_batch(folder: Path, sizes: list[int]) -> None:
    """Steps of all sizes in alternation, on one batch whose items are spread over each vocabulary.

    The batch is of a log of the smallest size, so that it has as many distinct items at all sizes.
    """
    frame = synthetic_log(WORK_ITEMS, WORK_ITEMS, BEHAVIORS_PER_ITEM * WORK_ITEMS)
    train = rg.BehaviorLog.from_frame(frame, "user", "item", "time").split(by="last").train
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
    batch = train.batch(order[:BATCH_SIZE], MAX_HISTORY)

    def contender(size: int) -> Contender:
        model = torch.load(folder / f"model-{size}.pt", weights_only=False)  # written above
        optimizer = make_optimizer(model)
        generator = torch.Generator().manual_seed(size)
        place = torch.randperm(size, generator=generator)[:WORK_ITEMS]
        spread = rg.Batch(
            place[batch.history], batch.ptr, place[batch.target], batch.label, batch.user
        )

        def steps(number: int) -> Callable[[], object]:
            training_step(model, spread, optimizer)  # warms the caches
            return lambda: [training_step(model, spread, optimizer) for _ in range(TURN_STEPS)]

        return Contender(str(size), steps)

    for turn in alternate([contender(size) for size in sizes], ROUNDS):
        values = {"items": int(turn.contender.name), "wall": turn.wall / TURN_STEPS}
        print(json.dumps(values | {"cpu": turn.cpu / TURN_STEPS}), flush=True)


def run_worker(args: argparse.Namespace, *worker: str) -> "tuple[list[dict[str, Any]], int]":
    """What a worker printed, and how it ended; each line is shown as it comes."""
    command = [sys.executable, __file__, "--folder", str(args.folder), *worker]
    lines = []
    environment = thread_environment(args.threads)
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(" ".join(worker[1:]), line, end="", flush=True)
            lines.append(json.loads(line))
    return lines, process.returncode


def measure_size(args: argparse.Namespace, items: int, epoch: bool) -> dict[str, Any]:
    path = args.folder / f"log-{items}.parquet"
    behaviors = BEHAVIORS_PER_ITEM * items
    if not path.exists():
        part = path.with_suffix(".part")
        synthetic_log(items, items, behaviors).write_parquet(part)
        part.rename(path)
    lines, code = run_worker(args, "--worker", str(items), *(["--epoch"] if epoch else []))
    last = "training epoch" if epoch else "done"
    return {
        "items": items,
        "behaviors": behaviors,
        "complete": bool(lines) and lines[-1]["stage"] == last,
        "exit_code": code,
        "epoch": epoch,
        "stages": lines,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--epoch", action="store_true", help="an epoch at the largest size")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(tempfile.gettempdir()) / "resemb-gnn-scale",
        help="logs and models; may be deleted afterwards",
    )
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/scale"))
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker is not None:
        if args.worker == "same-batch":
            same_batch(args.folder, args.items)
        else:
            one_size(args.folder, int(args.worker), args.epoch)
        return
    if min(args.items) < WORK_ITEMS:
        parser.error(f"--items must be at least {WORK_ITEMS}, not {min(args.items)}")
    args.folder.mkdir(parents=True, exist_ok=True)
    path = args.out / "scale.json"
    results: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"sizes": []}
    settings = {
        "threads": args.threads,
        "batch_size": BATCH_SIZE,
        "max_history": MAX_HISTORY,
        "machine": machine(),
        "versions": versions(),
    }
    if results["sizes"] and results["settings"] != settings:
        parser.error(f"{path} was measured with other settings, packages or machine; move it away")
    results |= {"settings": settings, "command": shlex.join(sys.argv)}

    def save() -> None:
        write_atomically(path, json.dumps(results, indent=1) + "\n")

    sizes = sorted(args.items)
    for items in sizes:
        epoch = args.epoch and items == sizes[-1]
        known = [size for size in results["sizes"] if size["items"] == items]
        if any(size["complete"] and size["epoch"] >= epoch for size in known):
            continue
        results["sizes"] = [size for size in results["sizes"] if size["items"] != items]
        results["sizes"].append(measure_size(args, items, epoch))
        results["sizes"].sort(key=lambda size: size["items"])
        results.pop("same_batch", None)
        save()
    complete = [str(size["items"]) for size in results["sizes"] if size["complete"]]
    models = all((args.folder / f"model-{items}.pt").exists() for items in complete)
    if "same_batch" not in results and complete and not models:
        parser.error(f"models are missing in {args.folder}: delete {path} to measure all anew")
    if "same_batch" not in results and complete:
        turns, code = run_worker(args, "--worker", "same-batch", "--items", *complete)
        if code == 0:
            results["same_batch"] = turns
        save()
    table = markdown(results)
    write_atomically(args.out / "README.md", table)
    draw(results, args.out)
    print(table)


if __name__ == "__main__":
    main()
