"""Which lines of resemb_gnn the suite runs, by package (``make coverage``).

    coverage json -o - | python -m tests.tools.coverage_table

Reads coverage's JSON and writes ``results/coverage.md``.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from resemb_gnn.io.atomic import write_atomically
from resemb_gnn.io.text_tables import markdown_table

OUT = Path(__file__).parent / "results" / "coverage.md"
LOW = 90.0  # percent; files below are named


def row(name: str, lines: int, covered: int) -> list[str]:
    return [name, f"{lines:,}", f"{covered:,}", f"{100 * covered / max(lines, 1):.1f}"]


def page(report: dict[str, Any]) -> str:
    packages: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    low = []
    for name, file in sorted(report["files"].items()):
        summary = file["summary"]
        lines, covered = summary["num_statements"], summary["covered_lines"]
        folder = str(Path(name).parent)
        packages[folder] = [packages[folder][0] + lines, packages[folder][1] + covered]
        if lines and 100 * covered / lines < LOW:
            missing = ", ".join(map(str, file["missing_lines"]))
            low.append([*row(name, lines, covered), missing])
    totals = report["totals"]
    all_lines = row("all", totals["num_statements"], totals["covered_lines"])
    rows = [row(folder, *counts) for folder, counts in packages.items()]
    titles = ["package", "lines", "run", "percent"]
    parts = [
        f"`make coverage`, coverage {report['meta']['version']}. Lines are statements; those run in"
        " processes that tests start count, unless the process was killed. On a machine with the"
        " real data beside the checkout; without torch-scatter and without Spark.",
        markdown_table(titles, [*rows, all_lines]),
    ]
    if low:
        parts += [
            f"Files below {LOW:.0f} %:",
            markdown_table(["file", *titles[1:], "not run"], low),
        ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    write_atomically(OUT, page(json.load(sys.stdin)))
    print(f"wrote {OUT}")
