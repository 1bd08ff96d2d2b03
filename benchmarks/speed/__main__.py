"""How fast, and next to what? All contenders side by side in one run, in alternation.

    python -m benchmarks.speed --data Beauty.txt
    python -m benchmarks.speed --only embeddings graph --threads 1
    python -m benchmarks.speed --device cuda  # minutes; graph, metrics and peers are left out

Without ``--data`` a synthetic log of the size of Amazon's Beauty is used. The peers come from
``requirements.txt``; where they are not installed, their rows are left out.

``embeddings``: an epoch of DIN by embedding. ``full-graph``: the same with PyG's own layers on the
whole graph at each step. ``models``: a step of each click model. ``peers-model``,
``peers-end-to-end``: our DIN and others', on batches made beforehand and with each library's own
loader. ``limit``: the share of the arithmetic limit. ``graph``: building the co-visit graph.
``metrics``: AUC, GAUC and log loss.

For each number of threads a new process runs the groups one after the other; within a group,
rounds of turns. A turn starts with one step that is not timed. Ratios are taken within a round.
Every turn stands in the results file as it ends; the tables are made from that file.
"""

import argparse
import importlib.util
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

import torch

from benchmarks.runs import command
from benchmarks.speed import graph, models, ours, tables
from benchmarks.timing import Contender, alternate, machine, module, thread_environment
from resemb_gnn.io.atomic import write_atomically
from resemb_gnn.io.json_text import read_json, write_json
from resemb_gnn.pipeline.facts import versions
from resemb_gnn.training import check_device

PEERS = {"fuxictr": "fuxictr", "deepctr-torch": "deepctr_torch", "torch-rechub": "torch_rechub"}
SETTINGS = ("rounds", "steps", "slow_steps", "epoch_steps")


def _peers(task: ours.Task, options: argparse.Namespace, prepared: bool) -> list[Contender]:
    from benchmarks.speed.peers import peers  # takes long to import, and need not be there

    return peers(task, options.slow_steps, prepared)


CPU_GROUPS = ("peers-model", "peers-end-to-end", "graph", "metrics")
GROUPS: dict[str, Callable[[ours.Task, argparse.Namespace], list[Contender]]] = {
    "embeddings": lambda task, options: ours.embeddings(task, options.epoch_steps),
    "full-graph": lambda task, options: ours.full_graph(task, options.slow_steps),
    "models": lambda task, options: models.models(task, options.slow_steps),
    "limit": lambda task, options: ours.limit(task, options.steps),
    "peers-model": lambda task, options: _peers(task, options, prepared=True),
    "peers-end-to-end": lambda task, options: _peers(task, options, prepared=False),
    "graph": lambda task, options: graph.graph_building(task.split.history),
    "metrics": lambda task, options: ours.metrics(),
}


def work(options: argparse.Namespace, threads: int) -> None:
    """Runs the groups in this process and adds their turns to the results file."""
    torch.set_num_threads(threads)
    task = ours.make_task(options.data, options.device)
    results = read_json(options.out)
    results["data"] = {
        "name": options.data.name if options.data else "synthetic, of the size of Beauty",
        "log": repr(task.split.history),
        "examples": len(task.train),
        "edges": task.graph.num_edges,
    }
    for group in options.only:
        for number, contender, wall, cpu in alternate(GROUPS[group](task, options), options.rounds):
            turn = {
                "threads": threads,
                "group": group,
                "name": contender.name,
                "round": number,
                "wall": wall,
                "cpu": cpu,
                "examples": contender.examples,
                "parameters": contender.parameters,
                "flops": contender.flops(number) if contender.flops else None,
            }
            results["turns"].append(turn)
            write_json(options.out, results)
            print(f"{threads} threads, {group}, {number}: {contender.name}: {wall:.3f} s")


def write_tables(path: Path, clock: str) -> None:
    text = tables.markdown(read_json(path), clock)
    write_atomically(path.with_suffix(".md"), text)
    print(text)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="sequence file; without it, a synthetic log")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--threads", type=int, nargs="+", help="default: 1 2, on a GPU 1")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each contender")
    parser.add_argument("--steps", type=int, default=30, help="steps a turn: limit")
    parser.add_argument(
        "--slow-steps", type=int, default=5, help="steps a turn: full graph, models, peers"
    )
    parser.add_argument(
        "--epoch-steps", type=int, default=0, help="steps a turn: embeddings; 0 for whole epochs"
    )
    parser.add_argument("--only", nargs="+", choices=GROUPS, default=list(GROUPS))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/speed/results/speed.json"))
    parser.add_argument(
        "--clock",
        choices=("wall", "cpu"),
        default="wall",
        help="times in the tables; with one thread on a busy machine processor time is steadier",
    )
    parser.add_argument("--tables", action="store_true", help="only the tables, of an old --out")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    on_cpu = check_device(options.device).type == "cpu"
    options.threads = options.threads or ([1, 2] if on_cpu else [1])
    if not on_cpu:
        options.only = [group for group in options.only if group not in CPU_GROUPS]
    found = [name for name, package in PEERS.items() if importlib.util.find_spec(package)]
    missing = sorted(PEERS.keys() - found)
    if missing:
        options.only = [group for group in options.only if not group.startswith("peers")]
    if options.worker is not None:
        work(options, options.worker)
        return
    if options.tables:
        write_tables(options.out, options.clock)
        return
    if missing:
        print(f"left out, not installed (see requirements.txt): {', '.join(missing)}")
    results = {
        "command": command("benchmarks.speed", argv, options.data),
        "machine": machine() | ({} if on_cpu else {"gpu": torch.cuda.get_device_name()}),
        "versions": versions() | {name: metadata.version(name) for name in found},
        "settings": {name: getattr(options, name) for name in SETTINGS}
        | {"batch_size": ours.BATCH_SIZE, "max_history": ours.MAX_HISTORY},
        "turns": [],
    }
    write_json(options.out, results)
    words = sys.argv[1:] if argv is None else argv
    for threads in options.threads:
        worker = module("benchmarks.speed", *words, "--worker", threads)
        subprocess.run(worker, env=thread_environment(threads), check=True)
    write_tables(options.out, options.clock)


if __name__ == "__main__":
    main()
