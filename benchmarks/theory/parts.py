"""The results files by part, and what the tables of all questions share."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.tables import table
from benchmarks.theory.statistics import Runs, group
from resemb_gnn.io.json_text import read_json

PART = ("users", "epochs", "folds")


def read_parts(out: Path, question: str) -> Iterator[tuple[str, str, Runs]]:
    """Runs of equal data, amount of data, epochs and folds: title, part of a file's name, runs."""
    for path in sorted(out.glob(f"{question}-*.json"), reverse=True):
        name = path.stem.removeprefix(f"{question}-")
        found = group(read_runs(out, path.stem), lambda run: [run[key] for key in PART])
        for runs in sorted(found, key=lambda runs: (-runs[0]["folds"], runs[0]["users"] or 0)):
            users, epochs, folds = (runs[0][key] for key in PART)
            title = "Interest-delay model" if name == "world" else name.replace("_", " ")
            title += f", {users:,} users" if users else ""
            stem = name + (f"-{users}" if users else "")
            if folds == 1:
                title, stem = f"{title}, one graph", f"{stem}-one-graph"
            yield f"{title}, {epochs} epochs", stem, runs


def read_runs(out: Path, name: str) -> Runs:
    path = out / f"{name}.json"
    runs: Runs = read_json(path)["runs"] if path.exists() else []
    return runs


def mean_of(runs: Runs, name: str) -> str:
    return f"{np.mean([run[name] for run in runs]):.4f}"


def text_table(titles: list[str], rows: list[list[str]]) -> str:
    return "\n".join(table(titles, rows))
