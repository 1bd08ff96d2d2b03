"""What does ``fit`` gain by a second core? Epochs of one process and of several, in alternation.

    python -m benchmarks.speed.cores --data Beauty.txt
    python -m benchmarks.speed.cores --items 1000000 --examples 200000

A turn is a ``fit`` of DIN with so many processes, the start of the others included in its seconds;
its first epoch is not counted among the epochs. The processor's seconds are those of the first
process, whose work is that of each: where the machine is busy, processes that wait for each other
are slower by the clock than that. Without ``--data`` a synthetic log of so many items, as many
users and 20 behaviours each is used.

Every turn stands in cores.json as it ends; ratios are taken within a round.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import resemb_gnn as rg
from benchmarks.runs import command
from benchmarks.speed import ours
from benchmarks.synthetic_log import synthetic_log
from benchmarks.timing import machine, spread
from resemb_gnn.datasets import read_sequence_file
from resemb_gnn.io.json_text import write_json
from resemb_gnn.pipeline.facts import versions
from resemb_gnn.training import Epoch

BEHAVIORS = 20  # an item and a user of the synthetic log


def make_log(options: argparse.Namespace) -> rg.BehaviorLog:
    if options.data is not None:
        return read_sequence_file(options.data)
    rows = synthetic_log(options.items, options.items, BEHAVIORS * options.items)
    return rg.BehaviorLog.from_frame(rows, "user", "item", "time")


def turn(task: ours.Task, encoder: str | None, processes: int, options: Any) -> dict[str, Any]:
    """One ``fit``: its seconds, and those of its epochs."""
    torch.manual_seed(0)
    model = rg.DIN(ours.embedding(task, encoder))
    cpu = [time.process_time()]
    started = time.perf_counter()

    def note(number: int, epoch: Epoch) -> None:
        cpu.append(time.process_time())

    found = rg.fit(
        model,
        task.split,
        epochs=1 + options.epochs,
        patience=1 + options.epochs,
        batch_size=options.batch_size,
        progress=False,
        on_epoch=note,
        processes=processes,
    )
    return {
        "fit": time.perf_counter() - started,
        "wall": [epoch.seconds for epoch in found.curve[1:]],
        "cpu": np.diff(cpu)[1:].tolist(),  # with the evaluation
        "auc": found.test.auc,
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="sequence file")
    parser.add_argument("--items", type=int, default=12_000, help="of the synthetic log")
    parser.add_argument("--examples", type=int, help="of an epoch (default: all)")
    parser.add_argument("--embeddings", nargs="+", default=["plain", "mlp"])
    parser.add_argument("--processes", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=ours.BATCH_SIZE)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/speed/results/cores.json"))
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    split = make_log(options).split(by="last")
    if options.examples is not None:
        order = torch.randperm(len(split.train), generator=torch.Generator().manual_seed(0))
        split = replace(split, train=split.train[order[: options.examples]])
    graph = rg.SpectralFeatures(ours.DIM)(rg.covisit_graph(split.history))
    task = ours.Task(split, graph, torch.arange(len(split.train)))
    results: dict[str, Any] = {
        "command": command("benchmarks.speed.cores", argv, options.out, options.data),
        "machine": machine(),
        "versions": versions(),
        "log": repr(split.history),
        "examples": len(split.train),
        "turns": [],
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for number in range(options.rounds):
        for name in options.embeddings:
            for processes in options.processes if number % 2 else options.processes[::-1]:
                found = turn(task, None if name == "plain" else name, processes, options)
                of = {"embedding": name, "processes": processes, "round": number}
                results["turns"].append(of | found)
                write_json(options.out, results)
    for name in options.embeddings:
        for clock in ("wall", "cpu"):
            seconds = {
                processes: np.array(
                    [
                        np.mean(one[clock])
                        for one in results["turns"]
                        if (one["embedding"], one["processes"]) == (name, processes)
                    ]
                )
                for processes in options.processes
            }
            base = seconds[options.processes[0]]
            for processes, values in seconds.items():
                middle, low, high = spread((base / values).tolist())
                print(
                    f"{name}, {processes} processes, {clock}: {np.median(values):.2f} s an epoch,"
                    f" {middle:.2f} ({low:.2f} to {high:.2f}) times as fast as"
                    f" {options.processes[0]}"
                )


if __name__ == "__main__":
    main()
