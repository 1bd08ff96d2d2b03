"""The command under torchrun: two processes train, one shows and writes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import torch
from safetensors.torch import load_file

import resemb_gnn as rg
from resemb_gnn import cli

SMALL = ["--epochs", "2", "--folds", "2", "--embedding-dim", "4", "--num-centers", "8"]
RUN = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "resemb_gnn"]


@pytest.fixture(scope="module")
def table(log: rg.BehaviorLog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("torchrun") / "log.csv"
    columns = {name: getattr(log, name + "s").numpy() for name in ("user", "item", "time")}
    pl.DataFrame(columns).write_csv(path)
    return path


def words(table: Path, out: Path, *more: str) -> list[str]:
    columns = ["--user", "user", "--item", "item", "--time", "time"]
    return ["fit", "--data", str(table), *columns, *SMALL, "--out", str(out), *more]


def test_two_processes_give_one_model(table: Path, tmp_path: Path) -> None:
    board = tmp_path / "board"
    half = words(table, tmp_path / "two", "--batch-size", "45", "--tensorboard", str(board))
    two = subprocess.run(
        [sys.executable, "-m", *RUN, *half],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert cli.main(words(table, tmp_path / "one", "--batch-size", "90", "--quiet")) == 0
    first, second = (load_file(tmp_path / name / "weights.safetensors") for name in ("one", "two"))
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, atol=1e-4, rtol=1e-4, msg=name)
    assert two.count("holds the model") == 1
    figures = [
        json.loads((tmp_path / name / "settings.json").read_text())["figures"]["test"]
        for name in ("one", "two")
    ]
    assert figures[0] == pytest.approx(figures[1], abs=1e-3)
    assert len(list(board.iterdir())) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"one", "two", "board"}
