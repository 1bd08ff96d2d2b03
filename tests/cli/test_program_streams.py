"""The program runs to its end, whatever its standard streams are."""

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

import resemb_gnn as rg
from resemb_gnn import cli

TEA, CUP = "緑茶", "tasse ☕"
COLUMNS = ["--user", "who", "--item", "what", "--time", "when"]
GRAPH = ["graph", "--data", "log.csv", *COLUMNS, "--out", "edges.csv"]
FIT = ["fit", "--data", "log.csv", *COLUMNS, "--epochs", "1", "--folds", "1", "--out", "model"]
PROGRAM = [sys.executable, "-m", "resemb_gnn"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a log of items that not every stream can show."""
    monkeypatch.chdir(tmp_path)
    items = [TEA, CUP, *"abcdefgh"]
    rows = [(user, items[(user + time) % 10], time) for user in range(20) for time in range(5)]
    pl.DataFrame(rows, ["who", "what", "when"], orient="row").write_csv("log.csv")
    return tmp_path


def test_what_standard_output_cannot_show_is_escaped(here: Path) -> None:
    encoding = "cp1252"
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run([*PROGRAM, *GRAPH], env=environment, capture_output=True, check=True)
    shown = done.stdout.decode(encoding)
    for item in (TEA, CUP):
        assert item.encode(encoding, "backslashreplace").decode(encoding) in shown
    edges = pl.read_csv("edges.csv")
    assert {TEA, CUP} <= {*edges["item"], *edges["other"]}


def test_closed_streams(here: Path) -> None:
    closed = ["bash", "-c", 'exec "$@" <&- >&- 2>&-', "bash", *PROGRAM]
    assert subprocess.run([*closed, *FIT]).returncode == 0
    assert len(rg.load("model").item_ids) == 10


def test_an_error_without_streams_ends_with_its_code(here: Path) -> None:
    closed = ["bash", "-c", '"$@" >&- 2>&-', "bash", *PROGRAM]
    assert subprocess.run([*closed, *GRAPH[:1], "--data", "nowhere.csv"]).returncode == 2
    assert subprocess.run([*closed, "--help"]).returncode == 0


def test_a_reader_of_the_progress_that_is_gone(here: Path) -> None:
    """The work is not given up for it."""
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run([*PROGRAM, *FIT], stdout=subprocess.PIPE, stderr=write)
    finally:
        os.close(write)
    assert done.returncode == 0
    assert b"model/ holds the model" in done.stdout


def test_results_that_cannot_be_written_are_told_of(here: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with open("/dev/full", "wb") as full:
        done = subprocess.run([*PROGRAM, *GRAPH, "--quiet"], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode != 0
    assert b"No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("names", [["stdout"], ["stderr"], ["stdout", "stderr"]])
def test_a_process_without_streams(
    names: list[str], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in names:
        monkeypatch.setattr(sys, name, None)
    assert cli.main(GRAPH) == 0
    assert cli.main(FIT) == 0
    assert cli.main(["similar", TEA, "--model", "model"]) == 0
    assert cli.main(["evaluate", "--model", "nowhere"]) == 2
    assert all(getattr(sys, name) is None for name in names)
