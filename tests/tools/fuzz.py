"""Bad input at every reader: a correct result or an InputError, and nothing else.

    python -m tests.tools.fuzz --reader all --cases 100000 --seed 0

A case is a small file (or frame), valid, oddly but legally spelt, or damaged; its bytes follow from
reader, seed and number alone (but for the seconds that a checkpoint holds).
What is accepted is compared with a second, independent reading. A
fault is any other exception, a case of more than 10 s, a process that dies, a wrong result, a bad
file that passes, a good one that is refused, or a message that does not name the file.
Results go to tests/tools/results/fuzz.json and fuzz.md after every 1,000 cases, and a run
goes on where the last one ended, but --again starts anew; --case repeats one of them with its
traceback. Run it from a tree that does not change meanwhile, as of `git worktree add --detach`.
"""

import argparse
import multiprocessing
import os
import queue
import random
import resource
import signal
import subprocess
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from resemb_gnn import InputError
from resemb_gnn.io.atomic import write_atomically
from resemb_gnn.io.json_text import read_json, write_json
from resemb_gnn.io.text_tables import markdown_table
from tests.tools.fuzz_cases.cases import Expected, Refused
from tests.tools.fuzz_cases.readers import READERS

OUT = Path(__file__).parent / "results"
PART = 1000  # cases between two writes of the results
HANGS = 10  # seconds
LONGEST_MESSAGE = 3000


class Hang(BaseException):
    """A case took longer than it may."""


def _stop(*_: object) -> None:
    raise Hang


def run_case(name: str, seed: int, number: int, folder: Path) -> tuple[str, str]:
    """Outcome of a case and, of a fault, what happened."""
    rng = random.Random(f"{name}/{seed}/{number}")
    case = READERS[name](rng, folder)
    started = time.perf_counter()
    signal.signal(signal.SIGALRM, _stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, HANGS)
        try:
            found = case.read()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except InputError as error:
        message = str(error)
        if case.place is not None and case.place not in message:
            return "nameless", message[:300]
        if len(message) > LONGEST_MESSAGE or "\n" in message:
            return "unreadable message", message[:300]
        expected = case.expected()
        if isinstance(expected, Expected) and expected.valid:
            return "good input refused", message[:300]
        return "refused", ""
    except Hang:
        return "hang", f"after {time.perf_counter() - started:.0f} s"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        where = traceback.extract_tb(error.__traceback__)[-1]
        return type(error).__name__, f"{str(error)[:200]} ({Path(where.filename).name})"
    expected = case.expected()
    if isinstance(expected, Refused):
        return "bad input accepted", f"{expected.why}: {str(found)[:200]}"
    if isinstance(expected, Expected):
        if found != expected.value:
            return "wrong result", f"{str(found)[:300]} for {str(expected.value)[:300]}"
        return "correct", ""
    return "accepted, unchecked", ""


GOOD = ("correct", "refused", "accepted, unchecked")


def run_child(
    name: str, seed: int, numbers: list[int], at: Any, results: Any, at_most: int
) -> None:
    """Runs cases in parts and hands over what came of each part."""
    warnings.simplefilter("ignore")
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None, prefix="fuzz") as place:
        folder = Path(place)
        for first in range(0, len(numbers), at_most):
            part = numbers[first : first + at_most]
            counts: Counter[str] = Counter()
            faults = []
            for number in part:
                at.value = number
                outcome, what = run_case(name, seed, number, folder)
                counts[outcome] += 1
                if outcome not in GOOD:
                    faults.append({"case": number, "outcome": outcome, "what": what})
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            results.put((len(part), counts, faults, peak))


def commit() -> str:
    """The commit of this tree, with a plus if it was changed since."""
    git = ["git", "-C", str(Path(__file__).parent)]
    found = [
        subprocess.run([*git, *arguments], check=True, capture_output=True, text=True).stdout
        for arguments in (["rev-parse", "--short=7", "HEAD"], ["diff", "HEAD", "--", ":/*.py"])
    ]
    return found[0].strip() + "+" * bool(found[1])


def run_reader(name: str, cases: int, seed: int, again: bool, out: Path) -> None:
    """Runs the cases of a reader that have not been run yet, in a process that may die."""
    context = multiprocessing.get_context("forkserver")  # imports once, then forks each
    row = read(out).get(name)
    if again or row is None or row["seed"] != seed:
        row = {"seed": seed, "commits": [], "cases": 0, "outcomes": {}, "faults": []}
        row |= {"seconds": 0.0, "peak_mib": 0}
    if row["cases"] < cases:
        row["commits"] = sorted({*row["commits"], commit()})
    died: list[int] = []
    while row["cases"] < cases:
        # A case that ends the process is counted, and the others of its part are run again.
        numbers = [number for number in range(row["cases"], cases) if number not in died]
        at, results = context.Value("l", 0), context.Queue()
        child = context.Process(target=run_child, args=(name, seed, numbers, at, results, PART))
        child.start()
        started = time.perf_counter()
        while row["cases"] < cases:
            try:
                done, counts, faults, peak = results.get(timeout=1)
            except queue.Empty:
                if child.is_alive():
                    continue
                what = f"exit code {child.exitcode}"
                faults = [{"case": at.value, "outcome": "process died", "what": what}]
                done, counts, peak = 0, Counter({"process died": 1}), 0
                died.append(at.value)
            first = row["cases"]
            row["cases"] += done + sum(first <= number < first + done for number in died)
            row["cases"] = cases if row["cases"] + len(died) >= cases and done else row["cases"]
            row["outcomes"] = dict(sorted((Counter(row["outcomes"]) + counts).items()))
            row["faults"] = (row["faults"] + faults)[:50]
            row["seconds"] = round(row["seconds"] + time.perf_counter() - started, 1)
            row["peak_mib"] = max(peak, row["peak_mib"])
            started = time.perf_counter()
            write(read(out) | {name: row}, seed, out)
            if not done:
                break
        child.join()


def read(out: Path) -> dict[str, Any]:
    path = out / "fuzz.json"
    found: dict[str, Any] = read_json(path) if path.is_file() else {}
    return found


def write(table: dict[str, Any], seed: int, out: Path) -> None:
    table = {name: table[name] for name in READERS if name in table}
    write_json(out / "fuzz.json", table)
    rows = []
    for name, row in table.items():
        counts = Counter(row["outcomes"])
        bad = sum(count for outcome, count in counts.items() if outcome not in GOOD)
        good = [f"{counts[outcome]:,}" for outcome in GOOD]
        took = f"{1000 * row['seconds'] / row['cases']:.2f}"
        rest = [str(bad), took, f"{row['peak_mib']:,}", ", ".join(row["commits"])]
        rows.append([name, f"{row['cases']:,}", *good, *rest])
    titles = ["reader", "cases", "correct", "refused", "unchecked", "faults", "ms each"]
    page = f"""# Bad input at every reader

    python -m tests.tools.fuzz --reader all --cases 100000 --seed {seed}

Correct: accepted, and the same as a second reading. Unchecked: damaged, accepted, and no second
reading could tell. A fault is anything but these and a refusal by `InputError`. The commit is that
of the code that was run.

{markdown_table([*titles, "peak MiB", "commit"], rows)}
"""
    write_atomically(out / "fuzz.md", page)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reader", choices=["all", *READERS], default=["all"], nargs="+")
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--again", action="store_true", help="leave out what was run before")
    parser.add_argument("--case", type=int, help="repeat this one and show what it reads")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args(argv)
    names = list(READERS) if "all" in args.reader else args.reader
    if args.case is not None:
        folder = Path(tempfile.mkdtemp(prefix="fuzz"))
        case = READERS[names[0]](random.Random(f"{names[0]}/{args.seed}/{args.case}"), folder)
        print(f"files in {folder}; expected {case.expected()}")
        print(case.read())
        return
    multiprocessing.set_forkserver_preload(["tests.tools.fuzz_cases.readers"])
    os.environ.setdefault("POLARS_MAX_THREADS", "1")  # files of a few rows: threads only cost
    for name in names:
        run_reader(name, args.cases, args.seed, args.again, args.out)
        print(f"{name}: {read(args.out)[name]['outcomes']}", flush=True)


if __name__ == "__main__":
    main()
