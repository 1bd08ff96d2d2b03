"""Faults injected into training: what was survived, and what was lost.

    python -m tests.tools.faults                     # all of it, writes results/faults.json, .md
    python -m tests.tools.faults --faults sigkill --kills 50 --seed 0   # its row of the table anew

Every run is a process of its own on a synthetic log of 500 users and 300 items, with one thread.
"Survived": resumed to the end, the run has the weights of the uninterrupted one to the bit, and
the same figures; or, where no resumption is asked for, a clear message came and no checkpoint was
touched. "Lost" is everything else.
"""

import argparse
import random
import signal
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.tables import table
from benchmarks.timing import machine
from resemb_gnn.io.atomic import write_atomically
from resemb_gnn.io.json_text import read_json, write_json
from resemb_gnn.pipeline.facts import versions
from tests.tools.faults_bench import CONTEXT, Bench, damage, files, killed_with_two, message, saved
from tests.tools.faults_jobs import INTERRUPTED, KINDS, REFUSED, same

DEFAULT_OUT = Path(__file__).parent / "results"


@dataclass
class Outcome:
    """How often a fault was injected and survived, and what came of it."""

    fault: str
    what: str
    injected: int = 0
    survived: int = 0
    notes: list[str] = field(default_factory=list)
    details: list[dict[str, Any]] = field(default_factory=list)

    def enter(self, survived: bool, note: str = "", **details: Any) -> None:
        self.injected += 1
        self.survived += survived
        self.details.append({"survived": survived, **details})
        if note and note not in self.notes:
            self.notes.append(note)


def sigkill(bench: Bench, kills: int) -> Outcome:
    out = Outcome(
        "sigkill", "`kill -9` at a random moment of the run, start-up and saving included"
    )
    half = begun = 0
    while out.injected < kills:
        # Every second run saves after each step, so that many kills fall into the writing.
        kind = list(KINDS)[out.injected % 3] if out.injected % 13 else "compiled"
        job = bench.job(kind=kind, seconds=0.0 if out.injected % 2 else 0.2)
        share = bench.rng.uniform(0, 1.2)
        if bench.stopped(job, signal.SIGKILL, share).exitcode != -signal.SIGKILL:
            continue  # it was over before
        left = list(files(job))
        half += any(name.startswith(".") for name in left)
        begun += any(name.startswith("checkpoint") for name in left)
        equal, steps = bench.resumed(job)
        out.enter(equal, kind=kind, share=share, left=left, steps=steps)
        print(f"kill {out.injected}: {kind} at {share:.2f}, {steps} steps, {equal}", flush=True)
    out.notes.append(f"{begun} of the kills came when there was a checkpoint, the others before")
    out.notes.append(f"{half} left a half-written file, which the resumed run removed")
    return out


def interrupted(bench: Bench, number: int, times: int) -> Outcome:
    name = signal.Signals(number).name
    out = Outcome(name.lower(), f"{name} at a random moment of training")
    while out.injected < times:
        job = bench.job(kind=list(KINDS)[out.injected % 3], seconds=1e9)
        share = bench.rng.uniform(0.3, 1)
        child = bench.stopped(job, number, share)
        if child.exitcode == 0 or not files(job):
            continue  # it was over, or had not begun to train
        code, left = child.exitcode, list(files(job))
        equal, steps = bench.resumed(job)
        out.enter(equal and code == INTERRUPTED, share=share, code=code, left=left, steps=steps)
    out.notes.append(f"a checkpoint of the very step was saved; exit code {INTERRUPTED}")
    return out


def damaged(bench: Bench, kind: str) -> Outcome:
    what = {"truncated": "cut in half", "bit": "with one bit flipped"}[kind]
    out = Outcome(kind, f"newest checkpoint {what}")
    for _ in range(3):
        job = killed_with_two(bench)
        damage(saved(job)[0], kind, bench.rng)
        out.enter(bench.resumed(job)[0])
    out.notes.append("went on from the one before, with a warning that names the file")
    return out


def both_damaged(bench: Bench) -> Outcome:
    out = Outcome("both-damaged", "both checkpoints with a bit flipped")
    job = killed_with_two(bench)
    for path in saved(job):
        damage(path, "bit", bench.rng)
    before = files(job)
    code = bench.finish(job)
    out.enter(code == REFUSED and "is damaged" in message(job) and files(job) == before)
    out.notes.append(f"refused: “{message(job)}”")
    return out


def refused(bench: Bench, fault: str, what: str, expected: str, **changes: Any) -> Outcome:
    """Another run in the same folder: refused, and the checkpoints stay as they are."""
    out = Outcome(fault, what)
    job = bench.job()
    bench.stopped(job, signal.SIGTERM, 0.9)
    before = files(job)
    code = bench.finish(replace(job, **changes))
    text = message(job)
    untouched = bool(before) and files(job) == before
    out.enter(code == REFUSED and expected in text and untouched and bench.resumed(job)[0])
    out.notes.append(f"refused: “{text}”; then resumed with its own")
    return out


def failing(bench: Bench, fault: str, what: str, expected: str, at: int = 40) -> Outcome:
    """The run stops with a message, and goes on from its last checkpoint without the fault."""
    out = Outcome(fault, what)
    job = bench.job(fault=fault, seconds=0.0, at=at)
    code = bench.finish(job)
    text, left = message(job), files(job)
    whole = not any(name.startswith(".") for name in left)
    equal, steps = bench.resumed(job)
    out.enter(
        code == REFUSED and expected in text and whole and equal, steps=steps, left=list(left)
    )
    out.notes.append(f"“{text}”; resumed")
    return out


def full_disk(bench: Bench) -> Outcome:
    """Checkpoints on a disk with room for two and a bit."""
    out = Outcome("disk", "the disk is full: a tmpfs with room for two and a half checkpoints")
    job = bench.job(seconds=0.0)
    sample = bench.job(seconds=1e9)
    assert bench.finish(sample) == 0
    size = int(2.5 * saved(sample)[0].stat().st_size)
    job.checkpoints.mkdir(parents=True)
    options = ["-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(job.checkpoints)]
    if subprocess.run(["mount", *options], capture_output=True, check=False).returncode:
        return failing(
            bench, "file size", "no file may grow beyond 100 kB (no tmpfs can be mounted here)",
            "no checkpoint can be written",
        )  # fmt: skip
    code = bench.finish(job)
    text, left = message(job), files(job)
    subprocess.run(["mount", "-o", f"remount,size={size * 2}", str(job.checkpoints)], check=True)
    equal = bench.finish(job) == 0 and same(
        torch.load(job.folder / "weights.pt"), bench.whole("gcn")[0]
    )
    subprocess.run(["umount", str(job.checkpoints)], check=True)
    sound = len(left) == 2 and not any(name.startswith(".") for name in left)
    out.enter(code == REFUSED and "No space left" in text and sound and equal, left=list(left))
    out.notes.append(f"“{text}”; after making room, resumed")
    return out


def outcomes(bench: Bench, kills: int) -> dict[str, Callable[[], Outcome]]:
    return {
        "sigkill": lambda: sigkill(bench, kills),
        "sigint": lambda: interrupted(bench, signal.SIGINT, 10),
        "sigterm": lambda: interrupted(bench, signal.SIGTERM, 10),
        "truncated": lambda: damaged(bench, "truncated"),
        "bit": lambda: damaged(bench, "bit"),
        "both-damaged": lambda: both_damaged(bench),
        "disk": lambda: full_disk(bench),
        "memory": lambda: failing(
            bench, "memory", "an allocation of 1 GiB beyond the process's limit", "memory is"
        ),
        "nan": lambda: failing(
            bench, "nan", "a weight becomes NaN before step 40", "loss of step"
        ),
        "settings": lambda: refused(
            bench, "settings", "resumed with another lr", "lr was 0.01 and is 0.02", lr=0.02
        ),
        "data": lambda: refused(
            bench, "data", "resumed on another log", "train examples was", data_seed=1
        ),
    }  # fmt: skip


def markdown(results: dict[str, Any]) -> str:
    found = results["outcomes"].values()
    rows = [
        [
            one["what"],
            one["injected"],
            one["survived"],
            one["injected"] - one["survived"],
            f"`{one['command']}`",
        ]
        for one in found
    ]
    seconds = results["seconds"].values()
    lines = [
        "# Faults",
        "",
        f"`python -m tests.tools.faults` made this table (seed {results['seed']}, torch"
        f" {results['torch']}, one thread, {results['machine']['cores']} cores, with other work"
        " beside it). Survived: resumed to the end, the run has the weights of the uninterrupted"
        " one to the bit and the same figures; or it was refused, or stopped, with a clear message"
        " and sound checkpoints.",
        "",
        *table(["fault", "injected", "survived", "lost", "command"], rows),
        "",
        f"The runs, of {min(seconds):.0f} to {max(seconds):.0f} seconds, in turn:",
        "",
        *(f"- `{name}`: {what}" for name, what in KINDS.items()),
        "",
        *(f"- **{one['fault']}**: {'; '.join(one['notes'])}." for one in found),
    ]
    return "\n".join([*lines, ""])


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faults", nargs="+", help="some of them (default: all)")
    parser.add_argument("--kills", type=int, default=52)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    options = parser.parse_args(argv)
    CONTEXT.set_forkserver_preload(["tests.tools.faults_jobs"])
    results: dict[str, Any] = {
        "seed": options.seed,
        "machine": machine(),
        "torch": versions()["torch"],
        "seconds": {},
        "outcomes": {},
    }
    path = options.out / "faults.json"
    if path.exists():
        before = read_json(path)
        if all(before[key] == results[key] for key in ("seed", "torch")):
            results |= {key: before[key] for key in ("seconds", "outcomes")}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), random.Random(options.seed))
        faults = outcomes(bench, options.kills)
        for name in options.faults or list(faults):
            outcome = faults[name]()
            print(f"{name}: {outcome.survived} of {outcome.injected} survived", flush=True)
            command = f"python -m tests.tools.faults --faults {name}"
            rows = results["outcomes"] | {name: vars(outcome) | {"command": command}}
            results["outcomes"] = {one: rows[one] for one in faults if one in rows}
            results["seconds"] |= {kind: seconds for kind, (_, seconds) in bench.wholes.items()}
            write_json(path, results, depth=3)
            write_atomically(options.out / "faults.md", markdown(results))


if __name__ == "__main__":
    main()
