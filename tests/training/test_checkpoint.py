"""Checkpoint files: whole or not there, checked, two kept."""

import errno
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
import torch

import resemb_gnn.training.checkpoint as module
from resemb_gnn.errors import InputError, TrainingError
from resemb_gnn.io.atomic import temporary_file
from resemb_gnn.training.checkpoint import CheckpointFolder


def contents(number: int) -> dict[str, Any]:
    return {"number": number, "weights": torch.arange(1000.0) + number, "list": [1, (2.5, None)]}


def saved(folder: Path, count: int) -> CheckpointFolder:
    checkpoints = CheckpointFolder(folder)
    for number in range(1, count + 1):
        checkpoints.save(contents(number))
    return checkpoints


def test_the_last_two_are_kept_under_their_sha256(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path / "new", 4)
    files = checkpoints.files()
    assert [path.name[:19] for path in files] == ["checkpoint-00000004", "checkpoint-00000003"]
    assert sorted(os.listdir(tmp_path / "new")) == sorted(path.name for path in files)
    for path, number in zip(files, (4, 3), strict=True):
        assert hashlib.sha256(path.read_bytes()).hexdigest() in path.name
        loaded = torch.load(path, weights_only=True)
        assert torch.equal(loaded["weights"], contents(number)["weights"])
    found = checkpoints.load()
    assert found is not None
    assert found["number"] == 4
    assert found["list"] == [1, (2.5, None)]


def test_nothing_there(tmp_path: Path) -> None:
    assert CheckpointFolder(tmp_path / "none").load() is None


def damage(path: Path, kind: str) -> None:
    data = bytearray(path.read_bytes())
    if kind == "truncated":
        del data[len(data) // 2 :]
    elif kind == "empty":
        data.clear()
    else:
        data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("kind", ["truncated", "empty", "bit"])
def test_a_damaged_newest_falls_back(tmp_path: Path, kind: str) -> None:
    checkpoints = saved(tmp_path, 3)
    newest = checkpoints.files()[0]
    damage(newest, kind)
    with pytest.warns(UserWarning, match=f"{newest.name} is damaged .*the one before"):
        found = checkpoints.load()
    assert found is not None
    assert found["number"] == 2
    checkpoints.save(contents(9))
    assert not newest.exists()
    assert [torch.load(path)["number"] for path in checkpoints.files()] == [9, 2]


def test_all_damaged(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path, 2)
    for path in checkpoints.files():
        damage(path, "bit")
    with (
        pytest.warns(UserWarning, match="is damaged"),
        pytest.raises(InputError, match=r"every checkpoint in .* is damaged"),
    ):
        checkpoints.load()


def test_another_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SCHEMA", 99)
    saved(tmp_path, 1)
    monkeypatch.undo()
    with pytest.raises(InputError, match="not a checkpoint of schema 1"):
        CheckpointFolder(tmp_path).load()


@pytest.mark.parametrize("schema", [torch.ones(3), "1", None, [1]])
def test_a_schema_of_another_kind(tmp_path: Path, schema: Any) -> None:
    CheckpointFolder(tmp_path).save({"schema": schema})
    with pytest.raises(InputError, match="not a checkpoint of schema 1"):
        CheckpointFolder(tmp_path).load()


@pytest.mark.parametrize("allowed", [0, 100, 3000])
def test_a_full_disk(tmp_path: Path, allowed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = saved(tmp_path, 2)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    written = 0
    real = temporary_file

    class Full:
        def __init__(self, file: Any) -> None:
            self.file = file

        def write(self, data: Any) -> int:
            nonlocal written
            written += len(data)
            if written > allowed:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return int(self.file.write(data))

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

    class Opened:
        def __init__(self, *args: Any) -> None:
            self.manager = real(*args)

        def __enter__(self) -> Full:
            return Full(self.manager.__enter__())

        def __exit__(self, *raised: Any) -> Any:
            return self.manager.__exit__(*raised)

    monkeypatch.setattr(module, "temporary_file", Opened)
    with pytest.raises(TrainingError, match=r"No space left.*checkpoint-00000002\.\w+\.pt is"):
        checkpoints.save(contents(3))
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    monkeypatch.undo()
    checkpoints.save(contents(3))
    assert [torch.load(path)["number"] for path in checkpoints.files()] == [3, 2]


def test_what_a_killed_process_left_is_cleared(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path, 1)
    (tmp_path / ".checkpoint-00000002.abc").write_bytes(b"half")
    found = checkpoints.load()
    assert found is not None
    assert found["number"] == 1
    checkpoints.save(contents(2))
    assert len(os.listdir(tmp_path)) == 2


def test_what_is_removed_is_the_runs_own(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path / "run", 3)
    for name in (".checkpoint-00000004.abc", "not-finite.pt", ".not-finite.abc"):
        (tmp_path / "run" / name).touch()
    (tmp_path / "run" / "checkpoint-notes.txt").touch()
    checkpoints.remove()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["checkpoint-notes.txt"]
    (tmp_path / "run" / "checkpoint-notes.txt").unlink()
    checkpoints.remove()
    checkpoints.remove()
    assert not list(tmp_path.iterdir())
