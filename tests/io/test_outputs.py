"""Places of outputs are refused before anything is written, and are left as they were."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from resemb_gnn import InputError
from resemb_gnn.io.atomic import whole_folder
from resemb_gnn.io.outputs import lies_in, new_file, new_folder, refuse_overlap, shared_folder

FILES = ("model.bin", "README.md")


def a_folder(path: str | Path, replace: bool = False) -> Path:
    return new_folder(path, replace, needed=FILES[:1], files=FILES, what="saved model")


PLACES: list[Callable[[str | Path], Path]] = [
    lambda path: new_file(path, replace=True),
    lambda path: a_folder(path, replace=True),
    shared_folder,
]


@pytest.mark.parametrize("place", PLACES)
def test_a_probe_leaves_nothing_behind(place: Callable[[Path], Path], tmp_path: Path) -> None:
    assert place(tmp_path / "new" / "deep" / "x") == tmp_path / "new" / "deep" / "x"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "name",
    ["taken/x", "taken/deep/x", "n" * 256, "n" * 256 + "/x", "new/" + "n" * 256, "a\0b", "\udcff"],
)
def test_what_cannot_be_written(
    name: str, place: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("taken").write_text("mine")
    with pytest.raises(InputError, match="cannot be written: "):
        place(name)
    assert [path.name for path in tmp_path.rglob("*")] == ["taken"]
    assert Path("taken").read_text() == "mine"


@pytest.mark.parametrize("place", PLACES)
def test_a_read_only_folder(place: Callable[[Path], Path], tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("the superuser may write anywhere")
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="x cannot be written: Permission denied"):
        place(tmp_path / "x")


def test_a_read_only_model_is_not_replaced(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("the superuser may write anywhere")
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.bin").touch()
    model.chmod(0o500)
    with pytest.raises(InputError, match="model cannot be replaced"):
        a_folder(model, replace=True)


@pytest.mark.parametrize("place", PLACES)
def test_a_full_disk(
    place: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("resemb_gnn.io.outputs.os.fsync", full)
    with pytest.raises(InputError, match="x cannot be written: No space left on device"):
        place(tmp_path / "x")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", ["n" * 255, "é" * 127])
def test_a_name_may_be_as_long_as_the_disk_has_it(
    name: str, place: Callable[[Path], Path], tmp_path: Path
) -> None:
    out = place(tmp_path / name)
    with whole_folder(out, replace=False) as new:
        (new / "x").touch()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_file_is_kept_unless_it_is_to_be_replaced(tmp_path: Path) -> None:
    out = tmp_path / "x.csv"
    out.write_text("mine")
    with pytest.raises(InputError, match=r"x\.csv exists: add --replace"):
        new_file(out, replace=False)
    assert new_file(out, replace=True) == out
    assert out.read_text() == "mine"
    (tmp_path / "y.csv").mkdir()
    for folder in (tmp_path / "y.csv", ".", "/"):
        with pytest.raises(InputError, match=r"is a folder: name a file|/ cannot be written"):
            new_file(folder, replace=True)
    os.mkfifo(tmp_path / "pipe")
    for special in (tmp_path / "pipe", "/dev/null"):
        with pytest.raises(InputError, match=r"is no regular file|null cannot be written"):
            new_file(special, replace=True)


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "model")  # which is not there yet
    out = a_folder(tmp_path / "link")
    with whole_folder(out, replace=False) as new:
        (new / "model.bin").touch()
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "disk" / "model" / "model.bin").exists()
    with pytest.raises(InputError, match="link holds a model"):
        a_folder(tmp_path / "link")
    (tmp_path / "loop").symlink_to("loop")
    for place in PLACES:
        with pytest.raises(InputError, match="loop cannot be written"):
            place(tmp_path / "loop")


def test_a_folder_is_replaced_only_if_nothing_else_is_lost(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    assert a_folder(folder) == folder
    folder.mkdir()
    assert a_folder(folder) == folder  # empty
    (folder / "README.md").touch()
    with pytest.raises(InputError, match="model exists and is no saved model"):
        a_folder(folder, replace=True)
    (folder / "model.bin").touch()
    assert a_folder(folder, replace=True) == folder
    with pytest.raises(InputError, match="holds a model: add --replace"):
        a_folder(folder)
    (folder / "notes.txt").touch()
    with pytest.raises(InputError, match=r"model holds notes\.txt besides the saved model"):
        a_folder(folder, replace=True)
    with pytest.raises(InputError, match=r"notes\.txt exists and is no saved model"):
        a_folder(folder / "notes.txt", replace=True)


def test_folders_that_cannot_be_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path / "model")
    for name in (".", "..", "../model", "/"):
        with pytest.raises(InputError, match=r"is the current folder, or above it|/ cannot be"):
            a_folder(name, replace=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.path.ismount", lambda path: str(path).endswith("model"))
    monkeypatch.setattr(Path, "is_mount", lambda path: path.name == "model")
    with pytest.raises(InputError, match="model is a mount point"):
        a_folder("model", replace=True)


@pytest.mark.parametrize(
    ("out", "read", "message"),
    [
        ("a.csv", "a.csv", "is among what is read"),
        ("other/../a.csv", "a.csv", "is among what is read"),
        ("soft.csv", "a.csv", "is among what is read"),
        ("a.csv", "soft.csv", "is among what is read"),
        ("hard.csv", "a.csv", "is among what is read"),
        ("linked/a.csv", "a.csv", "is among what is read"),
        ("parts/new.parquet", "parts", "is among what is read"),
        ("linked/parts/new.parquet", "parts", "is among what is read"),
        ("parts", "parts/one.parquet", "holds parts/one"),
        ("other", "other/link.csv", "holds other/link.csv"),  # the link would be lost
        (".", "a.csv", "holds a.csv"),
        ("new/raw/x", "new/raw", "is among what is read"),  # neither is there yet
    ],
)
def test_an_output_among_what_is_read(
    out: str, read: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("parts", "other"):
        Path(folder).mkdir()
    Path("a.csv").touch()
    Path("parts/one.parquet").touch()
    Path("soft.csv").symlink_to("a.csv")
    Path("other/link.csv").symlink_to("../a.csv")
    os.link("a.csv", "hard.csv")
    Path("linked").symlink_to(tmp_path)
    with pytest.raises(InputError, match=message):
        refuse_overlap(Path(out), [Path("elsewhere"), Path(read)])


def test_neighbours_do_not_overlap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("parts").mkdir()
    for name in ("a.csv", "b.csv", "parts/one.parquet"):
        Path(name).touch()
    for out in ("b.csv", "a.csv.out", "parts2", "new/x"):
        refuse_overlap(Path(out), [Path("a.csv"), Path("parts"), Path("parts/one.parquet")])
    assert not lies_in(Path("parts"), Path("parts/one.parquet"))
