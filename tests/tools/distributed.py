"""Two processes against one with twice the batch, and a worker that is killed.

    python -m tests.tools.distributed       # writes results/distributed.json and .md

The same script is the worker that torchrun starts (``--worker``). Synthetic log of 500 users and
300 items, DIN, two epochs; one thread a process, gloo on the CPU.
"""

import argparse
import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.tables import table
from benchmarks.timing import machine, module, thread_environment
from resemb_gnn import fit, predict
from resemb_gnn.io.atomic import write_atomically
from resemb_gnn.io.json_text import write_json
from resemb_gnn.pipeline.facts import versions
from tests.tools.faults_jobs import make_model, make_split

DEFAULT_OUT = Path(__file__).parent / "results"
BATCH = 256  # of all processes
KINDS = {
    "gcn": "`gcn`, two folds, dense Adam",
    "rows": "`gcn`, residuals by AdamAR from sparse gradients",
}


def worker(options: argparse.Namespace) -> None:
    """Trains, and leaves what it ended with in a file (the first process)."""
    torch.set_num_threads(1)
    rank, processes = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    split = make_split(0)
    model = make_model(options.kind, split)
    folder: Path = options.worker
    killed, steps = folder / "killed", 0

    def count(model: nn.Module, arguments: Any) -> None:
        nonlocal steps
        steps += model.training
        if options.kill_at == steps and rank == processes - 1 and not killed.exists():
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    model.register_forward_pre_hook(count)
    result = fit(
        model,
        split,
        epochs=2,
        batch_size=BATCH // processes,
        progress=False,
        checkpoints=folder / "checkpoints",
        checkpoint_seconds=0.5,
        resume=True,
    )
    if rank == 0:
        found = {
            "weights": result.model.state_dict(),
            "logits": predict(result.model, split.test),
            "figures": [*(epoch.train_loss for epoch in result.curve), result.test.auc],
            "steps": steps,
        }
        torch.save(found, folder / "result.pt")


def run(folder: Path, kind: str, processes: int, kill_at: int = 0) -> dict[str, Any]:
    """What a run in so many processes ends with."""
    folder.mkdir()
    words = ("tests.tools.distributed", "--worker", folder, "--kind", kind, "--kill-at", kill_at)
    launch = ("torch.distributed.run", "--standalone", "--nproc-per-node", processes)
    command = (
        module(*launch, "--max-restarts", 1, "-m", *words) if processes > 1 else module(*words)
    )
    done = subprocess.run(
        command, env=thread_environment(1), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    assert (folder / "killed").exists() == (kill_at > 0)
    return torch.load(folder / "result.pt")


def compared(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Largest differences, and whether the weights are the same to the bit."""
    pairs = [
        (value, other["weights"][name])
        for name, value in one["weights"].items()
        if value.is_floating_point()
    ]
    return {
        "weights": max(float((a - b).abs().max()) for a, b in pairs),
        "logits": float((one["logits"] - other["logits"]).abs().max()),
        "loss": max(abs(a - b) for a, b in zip(one["figures"], other["figures"], strict=True)),
        "auc": abs(one["figures"][-1] - other["figures"][-1]),
        "equal": all(torch.equal(a, b) for a, b in pairs),
        "steps": other["steps"],
    }


def markdown(results: dict[str, Any]) -> str:
    rows = [
        [
            KINDS[row["kind"]],
            row["compared"],
            *(f"{row[name]:.1e}" for name in ("weights", "logits", "loss")),
            "yes" if row["equal"] else "no",
        ]
        for row in results["rows"]
    ]
    lines = [
        "# Two processes against one",
        "",
        f"`python -m tests.tools.distributed` (torch {results['torch']}, gloo, one thread a"
        f" process): {results['steps']} steps of {BATCH} examples, in one process, and in two of"
        f" {BATCH // 2} each. Largest absolute differences.",
        "",
        *table(
            ["model", "compared", "weights", "test logits", "loss and AUC", "the same bits"], rows
        ),
    ]
    return "\n".join([*lines, ""])


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--kind", default="gcn", help=argparse.SUPPRESS)
    parser.add_argument("--kill-at", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.worker is not None:
        worker(options)
        return
    results: dict[str, Any] = {"rows": []}
    with tempfile.TemporaryDirectory() as name:
        for kind in options.kinds:
            folder = Path(name) / kind
            folder.mkdir()
            one = run(folder / "one", kind, 1)
            two = run(folder / "two", kind, 2)
            killed = run(folder / "killed", kind, 2, kill_at=50)
            for text, before, after in (
                ("two processes and one", one, two),
                ("a worker killed at step 50, torchrun starts anew; and not", two, killed),
            ):
                results["rows"].append({"kind": kind, "compared": text, **compared(before, after)})
                print(results["rows"][-1], flush=True)
            results["steps"] = one["steps"]
    results |= {"machine": machine(), "torch": versions()["torch"]}
    write_json(options.out / "distributed.json", results)
    write_atomically(options.out / "distributed.md", markdown(results))
    print(markdown(results))


if __name__ == "__main__":
    main()
