"""How long a command takes that has next to nothing to do: its process, from start to end.

    python -m benchmarks.speed.startup
    python -m benchmarks.speed.startup --before ../old --rounds 9

Commands that need no model (help, version, a typo) and those that use one of 200 items (similar,
predict, export), each in a process of its own, in alternating turns; with ``--before`` by the
package of another checkout too. Writes startup.json and startup.md.
"""

import argparse
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.runs import command
from benchmarks.synthetic_log import synthetic_log
from benchmarks.tables import table
from benchmarks.timing import (
    ROOT,
    Contender,
    alternate,
    always,
    machine,
    module,
    spread,
    thread_environment,
)
from resemb_gnn.io.atomic import write_atomically
from resemb_gnn.io.json_text import write_json
from resemb_gnn.pipeline.facts import versions

WITHOUT_A_MODEL = {
    "help": ("--help", 0),
    "version": ("--version", 0),
    "typo": ("fit --epochz 3", 2),
}
WITH_A_MODEL = ("similar", "predict", "export")
COLUMNS = ["--user", "user", "--item", "item", "--time", "time"]


def make_model(folder: Path) -> dict[str, list[str]]:
    """A model that is fitted in a moment, and the words of the commands that use it."""
    frame = synthetic_log(300, 200, 3_000)
    log, pairs, model = folder / "log.csv", folder / "pairs.csv", folder / "model"
    frame.write_csv(log)
    frame.select("user", "item").head(10).write_csv(pairs)
    words = ["--data", log, *COLUMNS, "--epochs", 1, "--folds", 1, "--out", model, "--quiet"]
    subprocess.run(module("resemb_gnn", "fit", *words), env=thread_environment(1), check=True)
    uses = ["--model", model, "--quiet"]
    written = [*uses, "--replace", "--out"]
    found = {
        "similar": ["similar", frame["item"][0], *uses],
        "predict": ["predict", "--data", pairs, *written, folder / "scores.csv"],
        "export": ["export", *written, folder / "exported"],
    }
    return {name: [str(word) for word in words] for name, words in found.items()}


class Process:
    """A command as a process of its own, by the package of a checkout.

    Args:
        checkout: whose package runs it.
        words: the command's.
        code: how it ends.
        folder: where it runs.
    """

    def __init__(self, checkout: Path, words: list[str], code: int, folder: Path) -> None:
        self.words, self.code, self.folder = words, code, folder
        self.environment = thread_environment(1) | {"PYTHONPATH": str(checkout)}
        self.cpu = 0.0

    def __call__(self) -> None:
        """Runs it; ``cpu`` is then the processor's seconds of the process."""
        before = os.times()
        done = subprocess.run(
            module("resemb_gnn", *self.words),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        after = os.times()
        if done.returncode != self.code:
            raise RuntimeError(f"{self.words} ended with {done.returncode}, not {self.code}")
        self.cpu = sum(after[2:4]) - sum(before[2:4])


Seconds = dict[str, dict[str, dict[str, list[float]]]]  # by command, checkout and clock


def measure(names: list[str], checkouts: dict[str, Path], rounds: int) -> Iterator[Seconds]:
    """Seconds by the clock and of the processor, up to each turn."""
    with tempfile.TemporaryDirectory() as place:
        words = {name: (text.split(), code) for name, (text, code) in WITHOUT_A_MODEL.items()}
        if set(names) & set(WITH_A_MODEL):
            words |= {name: (found, 0) for name, found in make_model(Path(place)).items()}
        processes = {
            (name, which): Process(checkout, *words[name], Path(place))
            for name in names
            for which, checkout in checkouts.items()
        }
        turns: list[Contender] = [always(str(key), run) for key, run in processes.items()]
        keys = dict(zip(map(str, processes), processes, strict=True))
        seconds: Seconds = {
            name: {which: {"wall": [], "cpu": []} for which in checkouts} for name in names
        }
        for turn in alternate(turns, rounds):
            name, which = keys[turn.contender.name]
            seconds[name][which]["wall"].append(turn.wall)
            seconds[name][which]["cpu"].append(processes[name, which].cpu)
            yield seconds


def markdown(contents: dict[str, Any]) -> str:
    rows = []
    for name, by_checkout in contents["seconds"].items():
        for which, found in by_checkout.items():
            cells = []
            for clock in ("wall", "cpu"):
                middle, low, high = spread(found[clock])
                cells.append(f"{middle:.2f} ({low:.2f} to {high:.2f})")
            rows.append([name, which, *cells])
    head = (
        f"`{contents['command']}`: seconds of a process on one thread, from start to end, median of"
        f" {contents['rounds']} alternating rounds (quartiles)."
    )
    titles = ["command", "package", "by the clock", "of the processor"]
    return "\n".join([head, "", *table(titles, rows)]) + "\n"


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [*WITHOUT_A_MODEL, *WITH_A_MODEL]
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--before", type=Path, help="another checkout, to compare to")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/speed/results"))
    options = parser.parse_args(argv)
    before = {} if options.before is None else {"before": options.before.resolve()}
    contents: dict[str, Any] = {
        "command": command("benchmarks.speed.startup", argv, options.before),
        "rounds": options.rounds,
        "machine": machine(),
        "versions": versions(),
    }
    for seconds in measure(options.only, before | {"this": ROOT}, options.rounds):
        write_json(options.out / "startup.json", contents | {"seconds": seconds}, depth=2)
    contents["seconds"] = seconds
    text = markdown(contents)
    write_atomically(options.out / "startup.md", text)
    print(text)


if __name__ == "__main__":
    main()
