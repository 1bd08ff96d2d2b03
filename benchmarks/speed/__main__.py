"""How fast, and next to what? All contenders side by side in one run, in alternation.

    python benchmarks/speed.py --data ../shared/data/amazon/Beauty.txt
    python benchmarks/speed.py --only embeddings graph --threads 1

Without ``--data`` a synthetic log of the size of Amazon's Beauty is used. The peers come from
``requirements-speed.txt``; where they are not installed, their rows are left out.

``embeddings``: an epoch of DIN by embedding. ``full-graph``: the same with PyG's own layers on the
whole graph at each step. ``peers-model``, ``peers-end-to-end``: our DIN and others', on batches
made beforehand and with each library's own loader. ``limit``: the share of the arithmetic limit.
``graph``: building the co-visit graph. ``metrics``: AUC, GAUC and log loss.

For each number of threads a new process runs the groups one after the other; within a group,
rounds of turns. A turn starts with one step that is not timed. Ratios are taken within a round.
Every turn stands in the results file as it ends; the tables are made from that file.
"""

import argparse
import importlib.util
import json
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import speed_graph
import speed_ours
import speed_tables
import torch
from speed_ours import BATCH_SIZE, MAX_HISTORY
from timing import Contender, alternate, machine, thread_environment

from resemb_gnn.experiment.results import versions, write_atomically

PEERS = {"fuxictr": "fuxictr", "deepctr-torch": "deepctr_torch", "torch-rechub": "torch_rechub"}
SETTINGS = ("rounds", "steps", "slow_steps", "epoch_steps")
GROUPS = (
    "embeddings",
    "full-graph",
    "limit",
    "peers-model",
    "peers-end-to-end",
    "graph",
    "metrics",
)


def contenders(group: str, args: argparse.Namespace, task: Any) -> list[Contender]:
    if group == "embeddings":
        return speed_ours.embeddings(task, args.epoch_steps)
    if group == "full-graph":
        return speed_ours.full_graph(task, args.slow_steps)
    if group == "limit":
        return speed_ours.limit(task, args.steps)
    if group == "graph":
        return speed_graph.graph_building(task.split.history)
    if group == "metrics":
        return speed_ours.metrics()
    import speed_peers  # they take long to import, and need not be there

    return speed_peers.peers(task, args.slow_steps, prepared=group == "peers-model")


def work(args: argparse.Namespace, threads: int) -> None:
    """Runs the groups in this process and adds their turns to the results file."""
    torch.set_num_threads(threads)
    results = json.loads(args.out.read_text())
    task = speed_ours.make_task(args.data)
    results["data"] = {
        "name": args.data.name if args.data else "synthetic, of the size of Beauty",
        "log": repr(task.split.history),
        "examples": len(task.train),
        "edges": task.graph.num_edges,
    }
    for group in args.only:
        entrants = contenders(group, args, task)
        for number, contender, wall, cpu in alternate(entrants, args.rounds):
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
            save(args.out, results)
            print(
                f"{threads} threads, {group}, {number}: {contender.name}: {wall:.3f} s", flush=True
            )


def save(path: Path, results: dict[str, Any]) -> None:
    """JSON with a turn a line."""
    head = json.dumps({name: part for name, part in results.items() if name != "turns"}, indent=1)
    turns = ",\n".join(json.dumps(turn) for turn in results["turns"])
    write_atomically(path, f'{head[:-2]},\n "turns": [\n{turns}\n]}}\n')


def write_tables(path: Path, clock: str) -> None:
    table = speed_tables.markdown(json.loads(path.read_text()), clock)
    write_atomically(path.with_suffix(".md"), table)
    print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="sequence file; without it, a synthetic log")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=9, help="turns of each contender")
    parser.add_argument("--steps", type=int, default=30, help="steps a turn: limit")
    parser.add_argument("--slow-steps", type=int, default=5, help="steps a turn: full graph, peers")
    parser.add_argument(
        "--epoch-steps", type=int, default=0, help="steps a turn: embeddings; 0 for whole epochs"
    )
    parser.add_argument("--only", nargs="+", choices=GROUPS, default=list(GROUPS))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/speed.json"))
    parser.add_argument(
        "--clock",
        choices=("wall", "cpu"),
        default="wall",
        help="times in the tables; with one thread on a busy machine processor time is steadier",
    )
    parser.add_argument("--tables", action="store_true", help="only the tables, of an old --out")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    found = [name for name, module in PEERS.items() if importlib.util.find_spec(module)]
    missing = sorted(PEERS.keys() - found)
    if missing:
        args.only = [group for group in args.only if not group.startswith("peers")]
    if args.worker is not None:
        work(args, args.worker)
        return
    if args.tables:
        write_tables(args.out, args.clock)
        return
    if missing:
        print(f"left out, not installed (see requirements-speed.txt): {', '.join(missing)}")
    results = {
        "command": shlex.join(sys.argv),
        "machine": machine(),
        "versions": versions() | {name: metadata.version(name) for name in found},
        "settings": {name: getattr(args, name) for name in SETTINGS}
        | {"batch_size": BATCH_SIZE, "max_history": MAX_HISTORY},
        "turns": [],
    }
    save(args.out, results)
    for threads in args.threads:
        command = [sys.executable, __file__, *sys.argv[1:], "--worker", str(threads)]
        subprocess.run(command, env=thread_environment(threads), check=True)
    write_tables(args.out, args.clock)


if __name__ == "__main__":
    main()
