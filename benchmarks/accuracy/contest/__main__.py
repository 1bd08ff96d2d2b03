"""Every arm on every set, by the rule in README.md.

    python -m benchmarks.accuracy.contest --data-folder DATA
    python -m benchmarks.accuracy.contest --data-folder DATA --only kuairand --arms plain mlp
    python -m benchmarks.accuracy.contest --data-folder DATA --only beauty-permuted    # beside it

A set is one `resemb-gnn compare` in OUT/SET; it goes on where its results.json ends. The data
folder holds amazon/Beauty.txt, amazon/Sports_and_Outdoors.txt and kuairand_pure/.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.accuracy.contest.draws import keep_draws
from benchmarks.accuracy.contest.rule import ARMS, EVERY
from benchmarks.timing import module, thread_environment
from resemb_gnn.settings.compare import number_of_jobs

RESULTS = Path("benchmarks/accuracy/results/contest")


def words(
    name: str, arms: Sequence[str], folder: Path, out: Path, seeds: int, jobs: str
) -> list[str]:
    """The command line of a set's comparison."""
    chosen = EVERY[name]
    flags: list[object] = []
    for setting, value in chosen.settings.items():
        flag = setting.replace("_", "-")
        match value:
            case True:
                flags.append(f"--{flag}")
            case False:
                flags.append(f"--no-{flag}")
            case _:
                flags += [f"--{flag}", value]
    flags += ["--seeds", seeds, "--quiet", "--resume", "--jobs", jobs]
    data = chosen.data(folder)
    return module(
        "resemb_gnn", "compare", "--data", data, "--embeddings", *arms, *flags, "--out", out / name
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-folder", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=EVERY, default=list(EVERY), help="sets")
    parser.add_argument("--arms", nargs="+", choices=ARMS, help="(default: the rule's)")
    parser.add_argument("--seeds", type=int, help="(default: the rule's)")
    parser.add_argument("--jobs", type=number_of_jobs, default="auto", help="runs at a time")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(argv)
    code = 0
    for name in options.only:
        arms = options.arms or EVERY[name].arms
        seeds = options.seeds or EVERY[name].seeds
        line = words(name, arms, options.data_folder, options.out, seeds, options.jobs)
        found = subprocess.run(line, env=thread_environment(1), check=False).returncode
        if (options.out / name / "results.json").exists():
            keep_draws(options.out / name)
        print(f"{name}: {f'exit {found}' if found else 'done'}", flush=True)
        code = max(code, found)
    return code


if __name__ == "__main__":
    sys.exit(main())
