"""Folders are written as a whole or not at all."""

from pathlib import Path

import pytest

from resemb_gnn import InputError
from resemb_gnn.io.atomic import whole_folder


def test_a_new_folder_takes_the_name(tmp_path: Path) -> None:
    out = tmp_path / "above" / "out"
    for name in ("one", "two"):
        with whole_folder(out, replace=name == "two") as new:
            (new / name).touch()
        assert [path.name for path in out.iterdir()] == [name]
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").touch()

    def fail() -> None:
        with whole_folder(tmp_path / "out", replace=True) as new:
            (new / "new").touch()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["out", "out/old"]


def test_a_folder_that_comes_meanwhile_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(InputError, match="out exists already"), whole_folder(out, replace=False):
        out.mkdir()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
