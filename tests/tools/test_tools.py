"""The tools at toy size: every one runs, and tells what it should."""

import json
import multiprocessing
import queue
import random
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from resemb_gnn import InputError
from tests.tools import (
    checkpoints,
    coverage_table,
    distributed,
    faults,
    faults_bench,
    faults_jobs,
    fuzz,
)
from tests.tools.fuzz_cases.cases import Case, Expected, Refused
from tests.tools.fuzz_cases.readers import READERS


@pytest.mark.parametrize("reader", READERS)
def test_no_fault_among_the_first_cases_of_a_reader(reader: str, tmp_path: Path) -> None:
    found = [fuzz.run_case(reader, 0, number, tmp_path) for number in range(8)]
    assert [one for one in found if one[0] not in fuzz.GOOD] == []


@pytest.mark.parametrize(
    ("read", "expected", "outcome"),
    [
        (lambda: 1, Expected(1), "correct"),
        (lambda: 2, Expected(1), "wrong result"),
        (lambda: 1, None, "accepted, unchecked"),
        (lambda: 1, Refused("it is odd"), "bad input accepted"),
        (lambda: 1 / 0, None, "ZeroDivisionError"),
        (lambda: refuse("log.csv: no"), None, "refused"),
        (lambda: refuse("no"), None, "nameless"),
        (lambda: refuse("log.csv\nno"), None, "unreadable message"),
        (lambda: refuse("log.csv: no"), Expected(1, valid=True), "good input refused"),
    ],
)
def test_what_counts_as_a_fault(
    read: Any, expected: Any, outcome: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(read, lambda: expected, "log.csv")
    monkeypatch.setitem(READERS, "csv", lambda rng, folder: case)
    assert fuzz.run_case("csv", 0, 0, tmp_path)[0] == outcome


def refuse(message: str) -> None:
    raise InputError(message)


class InProcess:
    """A job that runs here, and ends with its exit code."""

    def __init__(self, target: Any, args: Any) -> None:
        self.target, self.args, self.exitcode = target, args, 0

    def start(self) -> None:
        try:
            self.target(*self.args)
        except SystemExit as ended:
            self.exitcode = int(ended.code or 0)

    def join(self, timeout: float | None = None) -> None:
        """It is over."""

    def is_alive(self) -> bool:
        return False


def test_a_reader_is_fuzzed_in_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--reader", "settings.yaml", "--out", str(tmp_path)]
    for cases in (20, 30):
        fuzz.main([*words, "--cases", str(cases)])
        row = json.loads((tmp_path / "fuzz.json").read_text())["settings.yaml"]
        assert row["cases"] == sum(row["outcomes"].values()) == cases
        assert row["faults"] == []
        # It goes on where it ended; here, since a process takes seconds to import what it needs.
        here = SimpleNamespace(Process=InProcess, Queue=queue.Queue)
        here.Value = lambda kind, value: SimpleNamespace(value=value)
        monkeypatch.setattr(multiprocessing, "get_context", lambda kind, here=here: here)
    assert "| settings.yaml | 30 |" in (tmp_path / "fuzz.md").read_text()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log of toy size; as many steps, so that what comes before one of them comes."""
    sizes = {"USERS": 200, "ITEMS": 60, "BEHAVIORS": 1_500, "BATCH": 50}
    for name, size in sizes.items():
        monkeypatch.setattr(faults_jobs, name, size)
    monkeypatch.setattr(distributed, "BATCH", sizes["BATCH"])


@pytest.mark.usefixtures("small")
def test_faults_are_survived_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults_bench.CONTEXT, "Process", InProcess)
    faults.main(["--faults", "nan", "settings", "--out", str(tmp_path)])
    found = json.loads((tmp_path / "faults.json").read_text())["outcomes"]
    for fault, note in (("nan", "loss of step"), ("settings", "lr was 0.01 and is 0.02")):
        assert (found[fault]["injected"], found[fault]["survived"]) == (1, 1)
        assert note in found[fault]["notes"][0]
    text = (tmp_path / "faults.md").read_text()
    assert "| a weight becomes NaN before step 40 | 1 | 1 | 0 |" in text


def test_damage_changes_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for kind, size in (("truncated", 50), ("bit", 100)):
        path.write_bytes(bytes(100))
        faults_bench.damage(path, kind, random.Random(0))
        assert len(path.read_bytes()) == size
    assert sum(byte.bit_count() for byte in path.read_bytes()) == 1


@pytest.mark.usefixtures("small")
def test_two_processes_are_compared_with_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = []

    def run(command: list[str], **_: Any) -> SimpleNamespace:
        """One process in the place of two, which tests/training/test_distributed.py starts."""
        commands.append(command[2:])
        words = command[command.index("--worker") :]
        folder, at = Path(words[1]), words.index("--kill-at") + 1
        if words[at] != "0":
            (folder / "killed").touch()
        distributed.main([*words[:at], "0"])
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(subprocess, "run", run)
    distributed.main(["--kinds", "rows", "--out", str(tmp_path)])
    assert commands[0][:2] == ["tests.tools.distributed", "--worker"]
    launch = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    launch += ["--max-restarts", "1", "-m"]
    assert [command[: len(launch)] for command in commands[1:]] == [launch] * 2
    assert commands[2][-1] == "50"
    rows = json.loads((tmp_path / "distributed.json").read_text())["rows"]
    assert [(row["kind"], row["equal"], row["loss"]) for row in rows] == [("rows", True, 0.0)] * 2
    assert "residuals by AdamAR" in (tmp_path / "distributed.md").read_text()


def test_checkpoints_are_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "SIZES", {"toy": (100, 60, 1_000)})
    checkpoints.main(["--out", str(tmp_path)])
    (row,) = json.loads((tmp_path / "checkpoints.json").read_text())["rows"]
    assert row["saves"] == 2
    assert 0 < row["seconds"] <= row["longest"]
    assert 0 < row["share"] < 1
    assert "| toy, 60 items |" in (tmp_path / "checkpoints.md").read_text()


def test_coverage_is_told_by_package() -> None:
    def file(lines: int, covered: int, missing: list[int]) -> dict[str, Any]:
        counts = {"num_statements": lines, "covered_lines": covered}
        return {"summary": counts, "missing_lines": missing}

    report = {
        "files": {"a/b.py": file(10, 10, []), "a/c.py": file(10, 5, [1, 2, 3, 4, 7])},
        "totals": {"num_statements": 20, "covered_lines": 15},
        "meta": {"version": "7"},
    }
    lines = coverage_table.page(report).splitlines()
    assert "| a | 20 | 15 | 75.0 |" in lines
    assert "| all | 20 | 15 | 75.0 |" in lines
    assert "| a/c.py | 10 | 5 | 50.0 | 1, 2, 3, 4, 7 |" in lines


def test_mutants_are_told_by_file_and_by_what_became_of_them() -> None:
    pytest.importorskip("mutmut", reason="needs tests/tools/requirements.txt")
    from tests.tools import mutants

    results = json.loads((mutants.RESULTS / "mutants.json").read_text())
    assert mutants.page(results) == (mutants.RESULTS / "mutants.md").read_text()
