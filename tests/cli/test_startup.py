"""What a process of the program imports: arguments are parsed and checked before PyTorch is."""

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from resemb_gnn.cli.commands import COMMANDS
from resemb_gnn.settings.names import find

# Each takes a tenth of a second or more.
SLOW = {
    "matplotlib", "networkx", "numpy", "onnx", "pandas", "polars", "pyarrow", "scipy", "sklearn",
    "tensorboard", "torch", "torch_geometric", "usearch",
}  # fmt: skip
ONLY_FOR_REPORTS = {"matplotlib", "networkx", "onnx", "scipy.stats", "sklearn", "tensorboard"}


def imports(words: list[str], cwd: Path) -> tuple[subprocess.CompletedProcess[str], set[str]]:
    """A process of the program that has ended, and the modules that it imported."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "resemb_gnn", *words],
        cwd=cwd,
        capture_output=True,
        text=True,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return done, {line.rpartition("|")[2].strip() for line in lines}


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("--version", 0, "resemb-gnn 0."),
        ("--help", 0, "usage: resemb-gnn"),
        ("compare --help-all", 0, "usage: resemb-gnn compare"),
        ("ft", 2, "unknown command 'ft'; did you mean fit?"),
        ("fit --epochz 3", 2, "did you mean --epochs?"),
        ("fit --learning-rate 1", 2, "did you mean --lr?"),
        ("fit --epochs 0", 2, "epochs must be above 0, not 0"),
        ("predict --model m", 2, "--data is missing"),
        ("fit --data log.csv --embedding plain --num-centers 8", 2, "is not read by plain"),
        ("fit --config nowhere.yaml", 2, "nowhere.yaml cannot be read"),
        ("graph --data log.csv --out log.csv", 2, "is among what is read"),
        ("similar x --model m --k few", 2, "k must be a whole number, not 'few'"),
    ],
)
def test_what_needs_no_pytorch_imports_none(
    words: str, code: int, message: str, tmp_path: Path
) -> None:
    (tmp_path / "log.csv").write_text("user,item,time\n")
    done, found = imports(words.split(), tmp_path)
    assert done.returncode == code
    assert message in done.stdout + done.stderr
    assert "resemb_gnn.cli.commands" in found
    assert not SLOW & found


def test_a_command_imports_nothing_that_only_reports_need(tmp_path: Path) -> None:
    rows = [(user, (user + time) % 5, time) for user in range(9) for time in range(4)]
    pl.DataFrame(rows, ["user", "item", "time"], orient="row").write_csv(tmp_path / "log.csv")
    columns = ["--user", "user", "--item", "item", "--time", "time"]
    done, found = imports(["graph", "--data", "log.csv", *columns, "--quiet"], tmp_path)
    assert done.returncode == 0
    assert "torch_geometric" in found
    assert not ONLY_FOR_REPORTS & found


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_stands_where_it_is_said_to(name: str) -> None:
    assert find(COMMANDS[name].place).__name__ == f"run_{name}"
