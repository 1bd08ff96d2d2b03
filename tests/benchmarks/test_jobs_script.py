"""benchmarks/speed/jobs.py: what it measures, at toy size."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.speed import jobs


@pytest.mark.usefixtures("no_pictures")
def test_comparisons_take_turns_and_agree(
    sequences: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], in_process: None
) -> None:
    out = tmp_path / "jobs.json"
    words = ["--jobs", "1", "2", "--rounds", "1", "--out", str(out), "--"]
    words += ["--data", str(sequences), "--embeddings", "plain", "--seeds", "1", "--epochs", "1"]
    jobs.main(words)
    found = json.loads(out.read_text())
    assert {turn["name"] for turn in found["turns"]} == {"--jobs 1", "--jobs 2"}
    assert all(turn["wall"] > 0 for turn in found["turns"])
    assert "times as fast as --jobs 1" in capsys.readouterr().out


def test_figures_are_compared_without_times() -> None:
    runs = [{"test": {"auc": 0.5}, "seconds_per_epoch": 1.0, "curve": [{"seconds": 2, "gap": 0}]}]
    assert jobs.without_times(runs) == [{"test": {"auc": 0.5}, "curve": [{"gap": 0}]}]


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux's /proc")
def test_memory_is_that_of_all_processes_that_were_started() -> None:
    code = "import sys; held = bytearray(2**26); print(flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        assert process.pid in set(jobs.descendants(os.getpid()))
        assert 2**26 < jobs.proportional_memory(process.pid) < 2**27
    finally:
        process.communicate()
    assert process.pid not in set(jobs.descendants(os.getpid()))
    assert jobs.proportional_memory(process.pid) == 0


def test_by_default_what_make_compare_runs() -> None:
    text = Path("Makefile").read_text().replace("\\\n", " ")
    line = next(line for line in text.splitlines() if "resemb-gnn compare" in line).split()
    first, last = line.index("--data"), line.index("--out")
    assert line[first:last] == jobs.MAKE_COMPARE
