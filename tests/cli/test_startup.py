"""What a process of the program imports: arguments are parsed and checked before PyTorch is."""

import json
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
READ_TABLES = {"numpy", "polars", "pyarrow"}
ONLY_FOR_REPORTS = {"matplotlib", "networkx", "onnx", "scipy.stats", "sklearn", "tensorboard"}


ONE_AFTER_THE_OTHER = """
import contextlib, io, json, sys
from resemb_gnn.cli import main
ended = []
for words in json.loads(sys.argv[1]):
    before, shown = set(sys.modules), io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
        try:
            code = main(words)
        except SystemExit as left:
            code = left.code
    ended.append([words, code, shown.getvalue(), sorted({*sys.modules} - before)])
print(json.dumps([ended, [*sys.modules]]))
"""
WORDS = [
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
    ("fit --data log.csv --user user --item item", 2, "name its columns by --time"),
    ("compare --data nowhere.csv", 2, "neither a known data set"),
]
# Headers are read by what reads the tables.
COLUMNS = "--user user --item item --time time"
WORDS_OF_TABLES = [
    ("fit --data log.csv --user usr --item item --time time", "log.csv has no column 'usr'"),
    (f"compare --data log.pq {COLUMNS} --label item_", "log.pq has no column 'item_'; its columns"),
    (f"graph --data log.csv {COLUMNS} --items log.pq --item-features x", "no column 'x'"),
    (f"fit --data log.csv {COLUMNS} --users ids.tsv", "no column 'user', the ids of the users"),
    ("evaluate --model m --data ids.tsv --time day", "ids.tsv (tabs) has no column 'day'"),
    ("update --model m --out n --data log.csv --item itm", "did you mean item?"),
    ("predict --model m --out x.csv --data log.csv --history ids.tsv --label a", "column 'a'"),
    ("recommend --model m --out x.csv --candidates ids.tsv --item a", "column 'a'"),
]


def test_what_needs_no_pytorch_imports_none(tmp_path: Path) -> None:
    table = pl.DataFrame({"user": [1], "item": [2], "time": [3]})
    table.write_csv(tmp_path / "log.csv")
    table.write_parquet(tmp_path / "log.pq")
    (tmp_path / "ids.tsv").write_text("shopper\tproduct\n1\t2\n")
    of_tables = [(text, 2, message) for text, message in WORDS_OF_TABLES]
    words = json.dumps([text.split() for text, *_ in [*WORDS, *of_tables]])
    command = [sys.executable, "-c", ONE_AFTER_THE_OTHER, words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    ended, imported = json.loads(done.stdout)
    for place, (text, code, message) in enumerate([*WORDS, *of_tables]):
        _, ended_with, shown, new = ended[place]
        assert ended_with == code, text
        assert message in shown, text
        assert not SLOW & set(new) - (READ_TABLES if place >= len(WORDS) else set()), text
    assert "resemb_gnn.cli.commands" in imported
    assert "torch" not in imported


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


@pytest.mark.parametrize(("words", "code"), [("--help", 0), ("fit --epochs 0", 2)])
def test_nor_does_the_program(words: str, code: int, tmp_path: Path) -> None:
    done, found = imports(words.split(), tmp_path)
    assert done.returncode == code
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
