"""Does Res-embedding help DIN, and what is it that helps? Comparisons with one thing changed each.

    python benchmarks/accuracy.py --data Beauty.txt

Runs what `resemb-gnn compare` runs, once a variant, into results/accuracy/VARIANT (resuming what
stands there), and writes results/accuracy/README.md.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from resemb_gnn.experiment import CompareSettings, compare
from resemb_gnn.experiment.results import write_atomically
from resemb_gnn.experiment.summary import summary

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
HEAD = (
    "| variant | embedding | test AUC | difference to plain, 95 % interval | log loss | gap |\n"
    "|---|---|---|---|---|---|\n"
)


def rows(title: str, results: dict[str, Any]) -> list[str]:
    """Markdown rows of a comparison: mean ± standard deviation over its seeds."""
    lines = []
    table = summary(results)
    plain = next(row for row in table if row.embedding == "plain")
    for row in table:
        gain = row.difference
        difference = "–"
        if gain is not None and row is not plain:
            difference = f"{gain.mean:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]"
        lines.append(
            f"| {title} | {row.embedding} | {row.test_auc.mean:.4f} ± {row.test_auc.std:.4f} |"
            f" {difference} | {row.test_logloss.mean:.4f} | {row.gap.mean:.3f} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="sequence file, such as Amazon Beauty")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/accuracy"))
    options = parser.parse_args()
    lines = []
    for name in options.variants:
        title, changes = VARIANTS[name]
        settings = CompareSettings(
            data=options.data,
            split="last",
            seeds=options.seeds,
            out=str(options.out / name),
            resume=True,
            quiet=True,
            **changes,
        )
        lines += rows(title, compare(settings, log=lambda line: print(line, file=sys.stderr)))
    text = (
        "# DIN on a sequence file\n\n"
        f"`python benchmarks/accuracy.py --data {Path(options.data).name} --seeds {options.seeds}`;"
        " raw results in the folders beside this file. Mean ± standard deviation over seeds;"
        " differences are paired by seed.\n\n" + HEAD + "\n".join(lines) + "\n"
    )
    write_atomically(options.out / "README.md", text)
    print(text)


if __name__ == "__main__":
    main()
