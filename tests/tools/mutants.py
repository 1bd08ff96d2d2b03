"""Mutation testing of resemb_gnn/nn and resemb_gnn/graph: which changed operators, constants and
arguments do tests/nn and tests/graph notice?

    python -m tests.tools.mutants --seed 0           # draws, runs those not run yet, writes results
    python -m tests.tools.mutants --seed 0 --again   # runs the survivors of that draw again

mutmut makes all mutants (pyproject.toml, [tool.mutmut]; tests/tools/requirements.txt); of
each folder ``--each`` are drawn. Killed means that a test failed; mutants that ran out of time are
counted apart, and as not killed, and so are those that no test runs. mutmut first runs the tests
without a mutant, and stops if one fails.
"""

import argparse
import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code
from scipy.stats import binomtest

from resemb_gnn.io.atomic import write_atomically
from resemb_gnn.io.json_text import read_json, write_json
from resemb_gnn.io.text_tables import fenced, markdown_table

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).parent / "results"
FOLDERS = ("nn", "graph")
SMALL = "resemb_gnn.nn.layers.mlp*"  # mutmut makes all mutants before it runs some: these are few
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}


def run(names: list[str]) -> None:
    """Has mutmut run these mutants, one after another; it keeps their outcomes in mutants/."""
    command = [str(Path(sys.executable).with_name("mutmut")), "run", "--max-children", "1", *names]
    subprocess.run(command, cwd=ROOT, env=os.environ | ENVIRONMENT, check=True)


def outcomes(folder: str) -> dict[str, str]:
    """The folder's mutants by name: "killed", "survived", "timeout", "no tests", "not checked"."""
    return {
        name: status_by_exit_code[code]
        for path in sorted((ROOT / "mutants" / "resemb_gnn" / folder).rglob("*.meta"))
        for name, code in json.loads(path.read_text())["exit_code_by_key"].items()
    }


def all_outcomes() -> dict[str, str]:
    return {name: status for folder in FOLDERS for name, status in outcomes(folder).items()}


def draw(each: int, seed: int) -> list[str]:
    """As many mutants of each folder, drawn without replacement."""
    rng = random.Random(seed)
    return [name for folder in FOLDERS for name in rng.sample(sorted(outcomes(folder)), each)]


def file_of(name: str) -> str:
    return name.rpartition(".")[0].replace(".", "/") + ".py"


def changed_lines(name: str) -> list[str]:
    lines = get_diff_for_mutant(name, path=file_of(name)).splitlines()
    return [line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---")]


def record(names: list[str], before: dict[str, Any]) -> dict[str, Any]:
    """What became of each mutant, now and where it was run first, with what survivors change."""
    found = all_outcomes()
    entries = {}
    for name in names:
        status, first = found[name], before.get(name, {}).get("first", "not checked")
        entries[name] = {"status": status, "first": status if first == "not checked" else first}
        if status != "killed":
            entries[name]["diff"] = changed_lines(name)
    return entries


def share(statuses: Iterable[str]) -> str:
    """The share of killed mutants, with Wilson's 95 % interval."""
    counts = Counter(statuses)
    killed = binomtest(counts["killed"], counts.total())
    low, high = killed.proportion_ci(method="wilson")
    return f"{100 * killed.statistic:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


def table(entries: dict[str, Any]) -> str:
    rows = []
    files = sorted({file_of(name) for name in entries})
    groups = [(file, [e for name, e in entries.items() if file_of(name) == file]) for file in files]
    for folder in FOLDERS:
        chosen = [e for name, e in entries.items() if f".{folder}." in name]
        groups.append((f"all of {folder}", chosen))
    for title, group in [*groups, ("all", list(entries.values()))]:
        now = Counter(entry["status"] for entry in group)
        counts = [now[status] for status in ("killed", "survived", "no tests", "timeout")]
        first = sum(entry["first"] == "killed" for entry in group)
        others = len(group) - sum(counts)
        rows.append([title, len(group), first, *counts, others])
    titles = ["file", "drawn", "killed at first", "killed", "survived", "no tests", "timeout"]
    return markdown_table([*titles, "other"], [[str(cell) for cell in row] for row in rows])


def page(results: dict[str, Any]) -> str:
    parts = [__doc__.partition("\n\n")[0].replace("\n", " ")]
    for seed, drawn in results.items():
        entries = drawn["mutants"]
        total = ", ".join(f"{count:,} of {name}" for name, count in drawn["made"].items())
        left = {name: entry for name, entry in entries.items() if entry["status"] != "killed"}
        listed = "\n".join(
            f"{entry['status']}: {name}\n" + "\n".join(f"    {line}" for line in entry["diff"])
            for name, entry in left.items()
        )
        parts += [
            f"## Seed {seed}",
            f"Drawn from {total}. Killed: **{share(e['status'] for e in entries.values())}**;"
            f" when first run: {share(e['first'] for e in entries.values())}.",
            table(entries),
            f"Not killed, with the lines they change ({len(left)}):",
            fenced(listed),
        ]
    return "\n\n".join(parts) + "\n"


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--each", type=int, default=100, help="mutants drawn of each folder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--again", action="store_true", help="run the survivors again")
    args = parser.parse_args(argv)
    os.chdir(ROOT)  # mutmut's own functions look there

    if not all_outcomes():
        run([SMALL])
    path = RESULTS / "mutants.json"
    results = read_json(path) if path.exists() else {}
    seed = str(args.seed)
    before = results.get(seed, {}).get("mutants", {})
    names = list(before) or draw(args.each, args.seed)  # drawn once: the code may change since
    found = all_outcomes()
    wanted = ["not checked"]
    if args.again:
        wanted += ["survived", "no tests", "timeout"]
    if chosen := [name for name in names if found[name] in wanted]:
        run(chosen)

    made = {folder: len(outcomes(folder)) for folder in FOLDERS}
    results[seed] = {"each": args.each, "made": made, "mutants": record(names, before)}
    write_json(path, results, depth=3)
    write_atomically(path.with_suffix(".md"), page(results))
    print(f"wrote {path} and {path.with_suffix('.md')}")


if __name__ == "__main__":
    main()
