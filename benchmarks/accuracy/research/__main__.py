"""Does Res-embedding help, where, and against what? Data sets x models x arms, over seeds.

    python -m benchmarks.accuracy.research --data-folder DATA
    python -m benchmarks.accuracy.research --data-folder DATA --only beauty-uniform-din
    python -m benchmarks.accuracy.research --data-folder DATA --arms plain gcn gcn:none

A cell is one `resemb-gnn compare` in OUT/CELL: a data set with its negatives, a model, its arms
over the same seeds. Arms take the settings that tuning.py chose for them on Beauty and Sports, the
same for all data sets. The runs of a cell go on side by side, a thread each (`--jobs`, as compare
takes it), and a cell goes on where its results.json ends. `report.py` makes RESULTS.md of them.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.accuracy.research.settings import ARMS, CHOSEN_ON, SEEDS, tuned_overrides
from benchmarks.timing import module, thread_environment
from resemb_gnn.settings.compare import number_of_jobs

# What every base model is run with:
STRONG = ("plain", "plain:l2", "plain:spectral", "gcn", "gcn:staged", "sign:staged")
ALL = tuple(name for name in ARMS if name != "category")


@dataclass(frozen=True)
class Cell:
    """A comparison: where its data lie below the data folder, and its settings."""

    data: str
    embeddings: tuple[str, ...]
    flags: tuple[str, ...] = ()

    def path(self, folder: Path) -> str:
        """The data as `--data` takes them; a data set that is not in the folder is a named one."""
        reader, colon, name = self.data.rpartition(":")
        path = folder / name
        return f"{reader}{colon}{path}" if path.exists() else self.data

    def command(self, folder: Path, seeds: int, out: Path, overrides: list[str]) -> list[str]:
        words = ["compare", "--quiet", "--resume", "--compile", "--no-use-features"]
        words += ["--data", self.path(folder)]
        words += ["--embeddings", *self.embeddings, *self.flags]
        words += ["--override", *overrides] if overrides else []
        return module("resemb_gnn", *words, "--seeds", seeds, "--out", out)


def cells() -> dict[str, Cell]:
    """Every cell by name, the most telling first."""
    beauty, sports = "amazon/Beauty.txt", "amazon/Sports_and_Outdoors.txt"
    found = {
        "beauty-uniform-din": Cell(beauty, ALL),
        "complete-journey-din": Cell("complete-journey", (*ALL, "category")),
        "kuairand-clicks-din": Cell("kuairand:kuairand_pure", ALL),
        "sports-uniform-din": Cell(sports, ALL),
        "beauty-popularity-din": Cell(beauty, ALL, ("--negatives", "popularity")),
        "sports-popularity-din": Cell(sports, ALL, ("--negatives", "popularity")),
    }
    for model in ("pooled-mlp", "wide-deep", "pnn", "dien"):
        found[f"beauty-uniform-{model}"] = Cell(beauty, STRONG, ("--model", model))
    graph = ("average", "gcn", "gcn:staged", "sign:staged", "gat", "sign", "lightgcn")
    for name in ("beauty-uniform-din", "complete-journey-din", "kuairand-clicks-din"):
        data = found[name].data
        found[f"{name}-permuted"] = Cell(data, ("plain", *graph), ("--graph", "permuted"))
        few = ("plain", "gcn", "sign:staged")
        found[f"{name}-permuted-counts"] = Cell(data, few, ("--graph", "permuted-with-counts"))
    found["beauty-uniform-din-one-graph"] = Cell(beauty, ("plain", *graph), ("--folds", "1"))
    return found


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-folder", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=cells(), help="cells; without it, all")
    parser.add_argument("--arms", nargs="+", choices=ARMS, help="those of a cell's arms; or all")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--jobs", type=number_of_jobs, default="auto", help="runs at a time")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/accuracy/results/research"))
    parser.add_argument("--tuning", type=Path, default=Path("benchmarks/accuracy/results/tuning"))
    parser.add_argument(
        "--chosen-on",
        choices=CHOSEN_ON,
        default="two",
        help="by how many data sets' validation AUC settings are chosen",
    )
    options = parser.parse_args(argv)

    def run(name: str) -> int:
        cell, out = cells()[name], options.out / name
        if options.arms:  # a later call without it adds the others to the same file
            cell = replace(cell, embeddings=tuple(a for a in cell.embeddings if a in options.arms))
        overrides = tuned_overrides(options.tuning, cell.embeddings, options.chosen_on)
        words = cell.command(options.data_folder, options.seeds, out, overrides)
        words += ["--jobs", options.jobs]
        code = subprocess.run(words, env=thread_environment(1), check=False).returncode
        print(f"{name}: {f'exit {code}' if code else 'done'}", flush=True)
        return code

    return max([run(name) for name in options.only or cells()])


if __name__ == "__main__":
    sys.exit(main())
