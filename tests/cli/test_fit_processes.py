"""The command's processes and threads: the outcome of one process, shown and written once."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from safetensors.torch import load_file

import resemb_gnn as rg
from resemb_gnn import cli
from resemb_gnn.training.checkpoint import CheckpointFolder

SMALL = ["--epochs", "2", "--folds", "2", "--embedding-dim", "4", "--num-centers", "8"]


@pytest.fixture(scope="module")
def table(log: rg.BehaviorLog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("processes") / "log.csv"
    columns = {name: getattr(log, name + "s").numpy() for name in ("user", "item", "time")}
    pl.DataFrame(columns).write_csv(path)
    return path


def fit(table: Path, out: Path, *more: str) -> int:
    words = ["fit", "--data", str(table), "--user", "user", "--item", "item", "--time", "time"]
    return cli.main([*words, *SMALL, "--batch-size", "91", "--out", str(out), "--quiet", *more])


@pytest.mark.filterwarnings("ignore:processes=2, but there are")  # a machine of one core
def test_two_processes_have_the_outcome_of_one(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    board = tmp_path / "board"
    assert fit(table, tmp_path / "one") == 0
    capsys.readouterr()
    assert fit(table, tmp_path / "two", "--processes", "2", "--tensorboard", str(board)) == 0
    assert capsys.readouterr().out.count("holds the model") == 1
    first, second = (load_file(tmp_path / name / "weights.safetensors") for name in ("one", "two"))
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, atol=1e-4, rtol=1e-4, msg=name)
    saved: list[dict[str, Any]] = [
        json.loads((tmp_path / name / "settings.json").read_text()) for name in ("one", "two")
    ]
    assert saved[0]["settings"] == saved[1]["settings"]
    tests = [one["figures"]["test"] for one in saved]
    assert tests[0] == pytest.approx(tests[1], abs=1e-3)
    assert len(list(board.iterdir())) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"one", "two", "board"}


@pytest.mark.parametrize(
    ("variable", "words", "threads"),
    [("", [], 1), ("3", [], None), ("3", ["--threads", "2"], 2), ("", ["--threads", "2"], 2)],
)
def test_threads(
    table: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    words: list[str],
    threads: int | None,
) -> None:
    """One, or what PyTorch took from the variable (``None`` here), or what the flag says."""
    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", variable)
    kept: list[int] = []
    monkeypatch.setattr(
        CheckpointFolder, "save", lambda self, state: kept.append(state["fingerprint"]["threads"])
    )
    assert fit(table, tmp_path / "model", "--epochs", "1", *words) == 0
    assert set(kept) == {before if threads is None else threads}
    assert torch.get_num_threads() == before


def test_compiled_processes_are_refused_before_the_data_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "log.csv"
    empty.write_text("user,item,time\n")
    assert fit(empty, tmp_path / "model", "--processes", "2", "--compile") == 2
    assert "compile goes with one process" in capsys.readouterr().err
