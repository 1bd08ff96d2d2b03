"""A whole comparison with its runs side by side, against one after the other, in alternation.

    python -m benchmarks.speed.jobs
    python -m benchmarks.speed.jobs --jobs 1 2 --rounds 3 -- --data Beauty.txt --seeds 2 --epochs 2

A turn is a `resemb-gnn compare` in processes of its own, from the first import to the report; words
behind `--` are its flags, by default those of `make compare`. Nothing warms up: a turn takes
minutes. Figures of all turns must be the same to the bit, but for what the clock measures. Beside
the seconds stands the largest memory of all processes together, each shared page counted once (PSS,
looked at twice a second; Linux).

Every turn stands in jobs.json; the ratio of two numbers of jobs is taken within a round.
"""

import argparse
import os
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import joblib

from benchmarks.runs import command
from benchmarks.timing import Contender, alternate, machine, module, spread, thread_environment
from resemb_gnn.experiment.results import read_results
from resemb_gnn.io.json_text import write_json
from resemb_gnn.pipeline.facts import versions

MAKE_COMPARE = ["--data", "complete-journey", "--embeddings", "plain", "mlp:held", "gcn"]
MAKE_COMPARE += ["--seeds", "3", "--max-history", "20"]
TIMES = ("seconds", "seconds_per_epoch", "examples_per_second")


class Comparisons:
    """Comparisons by the same flags; :attr:`peak` is the memory of the last one, in bytes.

    Args:
        flags: of `resemb-gnn compare`.
        folder: where their results go.
    """

    def __init__(self, flags: list[str], folder: Path) -> None:
        self.flags = flags
        self.folder = folder
        self.peak = 0
        self.figures: Any = None

    def contender(self, jobs: int) -> Contender:
        """The comparison with so many jobs at a time."""
        return Contender(f"--jobs {jobs}", lambda number: partial(self._run, jobs))

    def _run(self, jobs: int) -> None:
        out = self.folder / str(jobs)
        words = ["compare", *self.flags, "--jobs", jobs, "--out", out, "--replace", "--quiet"]
        self.peak, over = 0, threading.Event()
        watch = threading.Thread(target=self._watch, args=(over,))
        watch.start()
        try:
            subprocess.run(
                module("resemb_gnn", *words),
                env=thread_environment(1),
                stdout=subprocess.DEVNULL,
                check=True,
            )
        finally:
            over.set()
            watch.join()
        found = without_times(read_results(out / "results.json")["runs"])
        assert self.figures in (None, found), "the figures depend on the number of jobs"
        self.figures = found

    def _watch(self, over: threading.Event) -> None:
        while not over.wait(0.5):
            now = sum(proportional_memory(process) for process in descendants(os.getpid()))
            self.peak = max(self.peak, now)


def without_times(part: Any) -> Any:
    """A part of a results file without what the clock measured."""
    if isinstance(part, dict):
        return {name: without_times(value) for name, value in part.items() if name not in TIMES}
    return [without_times(value) for value in part] if isinstance(part, list) else part


def descendants(process: int) -> Iterator[int]:
    """The processes that one has started, and that these have."""
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            found = [int(word) for word in path.read_text().split()]
        except OSError:  # it has ended meanwhile
            continue
        for child in found:
            yield child
            yield from descendants(child)


def proportional_memory(process: int) -> int:
    """Bytes of a process, of what n processes share an n-th; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def report(turns: list[dict[str, Any]], say: Callable[[str], None]) -> None:
    """Seconds and memory of each number of jobs, and how much faster it is than the first."""
    names = list(dict.fromkeys(turn["name"] for turn in turns))
    walls = {name: [turn["wall"] for turn in turns if turn["name"] == name] for name in names}
    for name in names:
        middle, low, high = spread(walls[name])
        ratios = [one / own for one, own in zip(walls[names[0]], walls[name], strict=True)]
        ratio, lowest, highest = spread(ratios)
        peak = max(turn["peak_bytes"] for turn in turns if turn["name"] == name)
        say(
            f"{name}: {middle:.1f} s ({low:.1f} to {high:.1f}), {ratio:.2f} ({lowest:.2f} to"
            f" {highest:.2f}) times as fast as {names[0]}, {peak / 2**20:,.0f} MiB"
        )


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, joblib.cpu_count()])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/speed/results/jobs.json"))
    parser.add_argument("flags", nargs="*", default=MAKE_COMPARE, help="of `resemb-gnn compare`")
    options = parser.parse_args(argv)
    results: dict[str, Any] = {
        "command": command("benchmarks.speed.jobs", argv, options.out),
        "flags": options.flags,
        "machine": machine() | {"cores of this process": joblib.cpu_count()},
        "versions": versions(),
        "turns": [],
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        comparisons = Comparisons(options.flags, Path(folder))
        made = [comparisons.contender(jobs) for jobs in dict.fromkeys(options.jobs)]
        for number, contender, wall, _ in alternate(made, options.rounds, warm_up=False):
            turn = {"name": contender.name, "round": number, "wall": wall}
            results["turns"].append(turn | {"peak_bytes": comparisons.peak})
            write_json(options.out, results)
    report(results["turns"], print)


if __name__ == "__main__":
    main()
