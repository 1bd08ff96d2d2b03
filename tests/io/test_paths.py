"""``~`` is what a shell makes of it, once."""

import os
import subprocess
from pathlib import Path

import pytest

from resemb_gnn import InputError
from resemb_gnn.io.paths import expanded


@pytest.mark.parametrize(
    "path", ["~", "~/a b/c", "~root", "~root/x", "a/~/b", "/x/~", "~~", "~-no/y"]
)
def test_as_a_shell_does(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    word = path.replace(" ", "\\ ")
    shown = subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, text=True)
    assert os.path.abspath(expanded(path)) == os.path.abspath(shown.stdout)
    assert expanded(Path(path)) == expanded(path)


def test_a_folder_called_so_is_not_expanded_by_a_library_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    found = expanded("./~/x")  # a Path drops the first part
    assert found == tmp_path / "~" / "x"
    assert expanded(found) == found


def test_an_empty_path_is_not_the_current_folder() -> None:
    with pytest.raises(InputError, match="a path is empty"):
        expanded("")
    assert expanded(".") == Path(".")


def test_a_relative_path_stays_relative() -> None:
    assert expanded("runs/x") == Path("runs/x")
