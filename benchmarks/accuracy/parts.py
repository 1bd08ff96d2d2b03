"""Does Res-embedding help DIN, and what is it that helps? Comparisons with one thing changed each.

    python -m benchmarks.accuracy.parts --data Beauty.txt

Runs what `resemb-gnn compare` runs, once a variant, into results/parts/VARIANT (resuming what
stands there), and writes results/parts/README.md.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.runs import FIRST, command
from benchmarks.tables import table, with_interval
from resemb_gnn.experiment import CompareSettings, compare
from resemb_gnn.experiment.report.columns import stat_cell
from resemb_gnn.experiment.summary import summary
from resemb_gnn.io.atomic import write_atomically

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "default": ("as it comes", {}),
    "one-graph": (
        "training examples see the full graph, their own edges included",
        {"embeddings": ("plain", "gcn"), "folds": 1},
    ),
    "free-residual": (
        "residual neither shrunk nor penalised",
        {"embeddings": ("plain", "gcn"), "shrinkage": 0.0, "residual_penalty": 0.0},
    ),
    "permuted": (
        "control: graph with its nodes permuted",
        {"embeddings": ("plain", "gcn"), "graph": "permuted"},
    ),
    "permuted-free-residual": (
        "control: nodes permuted, residual neither shrunk nor penalised",
        {
            "embeddings": ("plain", "gcn"),
            "graph": "permuted",
            "shrinkage": 0.0,
            "residual_penalty": 0.0,
        },
    ),
}


def rows(title: str, results: dict[str, Any]) -> list[list[str]]:
    """Cells of a comparison: mean ± standard deviation over its seeds."""
    found = []
    for row in summary(results):
        auc = stat_cell(row.test_auc).text
        figures = [f"{row.test_logloss.mean:.4f}", f"{row.gap.mean:.3f}"]
        found.append([title, row.embedding, auc, with_interval(row.difference), *figures])
    return found


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="sequence file, such as Amazon Beauty")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/accuracy/results/parts"))
    options = parser.parse_args(argv)
    cells = []
    for name in options.variants:
        title, changes = VARIANTS[name]
        settings = CompareSettings(
            use_features=False,  # ids and categories alone
            **FIRST,
            data=options.data,
            split="last",
            seeds=options.seeds,
            epochs=options.epochs,
            out=str(options.out / name),
            resume=True,
            quiet=True,
            **changes,
        )
        cells += rows(title, compare(settings, log=lambda line: print(line, file=sys.stderr)))
    titles = ["variant", "embedding", "test AUC", "difference to plain, 95 % interval"]
    lines = [
        "# DIN on a sequence file",
        "",
        f"`{command('benchmarks.accuracy.parts', argv, options.data)}`; raw results in the folders"
        " beside this file. Mean ± standard deviation over seeds; differences are paired by seed.",
        "",
        *table([*titles, "log loss", "gap"], cells),
    ]
    text = "\n".join(lines) + "\n"
    write_atomically(options.out / "README.md", text)
    print(text)


if __name__ == "__main__":
    main()
