"""Where the commands write: never over what they read, over nothing unasked, and known in time."""

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

import resemb_gnn as rg
from resemb_gnn import cli

SMALL = ["--epochs", "1", "--folds", "1", "--embedding-dim", "4", "--num-centers", "4", "--quiet"]
COLUMNS = ["--user", "user", "--item", "item", "--time", "time"]
MODEL = ["--model", "model"]


@pytest.fixture(scope="module")
def model(log: rg.BehaviorLog, tmp_path_factory: pytest.TempPathFactory) -> rg.TrainedModel:
    path = tmp_path_factory.mktemp("trained") / "log.csv"
    frame(log).write_csv(path)
    words = ["fit", "--data", str(path), *COLUMNS, *SMALL, "--out", str(path.with_name("model"))]
    assert cli.main(words) == 0
    return rg.load(path.with_name("model"))


def frame(log: rg.BehaviorLog) -> pl.DataFrame:
    columns = {name: getattr(log, name + "s").numpy() for name in ("user", "item", "time")}
    return pl.DataFrame(columns)


@pytest.fixture
def here(
    model: rg.TrainedModel,
    log: rg.BehaviorLog,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """The current folder, with ``log.csv``, ``pairs.csv`` and ``model``."""
    monkeypatch.chdir(tmp_path)
    frame(log).write_csv("log.csv")
    frame(log)[:3].write_csv("pairs.csv")
    model.save("model")
    return tmp_path


@pytest.fixture
def rowless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, without a model and with a ``log.csv`` that is refused where it is read:
    it has a header alone.
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "log.csv").write_text("user,item,time\n")
    return tmp_path


def words_of(command: str) -> list[str]:
    """A command with its inputs in the current folder, without ``--out``."""
    data = ["--data", "log.csv", *COLUMNS]
    return {
        "fit": ["fit", *data, *SMALL],
        "compare": ["compare", *data, *SMALL, "--embeddings", "kmeans", "--seeds", "1"],
        "graph": ["graph", *data, "--quiet"],
        "predict": ["predict", *MODEL, "--data", "pairs.csv", "--quiet"],
        "export": ["export", *MODEL, "--no-index", "--no-scorer", "--quiet"],
    }[command]


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


COMMANDS = ("fit", "compare", "graph", "predict", "export")
TABLES = ("graph", "predict")


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("command", COMMANDS)
def test_an_output_that_is_there_is_kept_unless_it_is_to_be_replaced(
    command: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*words_of(command), "--out", "out.csv" if command in TABLES else "out"]
    again = "--resume" if command == "compare" else "--replace"
    assert cli.main(words) == 0
    before = contents(here)
    capsys.readouterr()
    assert cli.main(words) == 2
    assert f"add {again}" in capsys.readouterr().err
    assert contents(here) == before
    assert cli.main([*words, again]) == 0
    assert contents(here).keys() == before.keys()


@pytest.mark.parametrize("command", TABLES)
@pytest.mark.parametrize("out", ["soft.csv", "hard.csv", "sub/../same.csv", "linked/same.csv"])
def test_a_table_is_not_written_over_the_one_that_is_read(
    out: str, command: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = here / {"graph": "log.csv", "predict": "pairs.csv"}[command]
    (here / "sub").mkdir()
    (here / "soft.csv").symlink_to(data)
    os.link(data, here / "hard.csv")
    (here / "linked").symlink_to(here)
    before = contents(here)
    for path in (out.replace("same.csv", data.name), str(data), data.name):
        assert cli.main([*words_of(command), "--out", path, "--replace"]) == 2
        assert "is among what is read" in capsys.readouterr().err
    assert contents(here) == before


@pytest.mark.parametrize("command", TABLES)
def test_the_ending_says_what_is_written(
    command: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, read in (("a.csv", pl.read_csv), ("a.parquet", pl.read_parquet)):
        assert cli.main([*words_of(command), "--out", name]) == 0
        assert len(read(name))
    assert cli.main([*words_of(command), "--out", "a.pq"]) == 0
    assert pl.read_parquet("a.pq").equals(pl.read_parquet("a.parquet"))
    for name in ("a", "a.txt", "a.csv.gz", "a.CSV"):
        assert cli.main([*words_of(command), "--out", name]) == 2
        assert "must end in .csv or .parquet or .pq" in capsys.readouterr().err


@pytest.mark.parametrize("command", TABLES)
def test_a_table_behind_a_link(
    command: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "disk").mkdir()
    (here / "link.csv").symlink_to("disk/table.csv")
    (here / "other.csv").symlink_to("disk/table.parquet")
    assert cli.main([*words_of(command), "--out", "link.csv"]) == 0
    assert (here / "link.csv").is_symlink()
    assert len(pl.read_csv("disk/table.csv"))
    assert cli.main([*words_of(command), "--out", "other.csv"]) == 2
    assert "another kind of file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([*words_of("fit"), "--out", "."], "holds log.csv"),
        ([*words_of("fit"), "--out", "log.csv"], "is among what is read"),
        ([*words_of("compare"), "--out", "."], "holds log.csv"),
        ([*words_of("export"), "--out", "model"], "is among what is read"),
        ([*words_of("export"), "--out", "model/served"], "is among what is read"),
        ([*words_of("predict"), "--out", "model/items.parquet"], "is among what is read"),
        ([*words_of("graph"), "--config", "s.csv", "--out", "s.csv"], "is among what is read"),
        (["graph", "--data", "movielens-1m:.", "--out", "raw/x.csv"], "is among what is read"),
        (["graph", "--data", "kuairand:.", "--out", "log.csv"], "is among what is read"),
        (["graph", "--data", "s3rec:raw/M.txt", "--out", "raw/M.csv"], "is among what is read"),
        (["fit", "--data", "taobao:sets", "--out", "sets"], "holds sets/raw"),
    ],
)
def test_nothing_that_is_read_is_written_over(
    words: list[str], message: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "s.csv").write_text("data: log.csv\nuser: user\nitem: item\ntime: time\n")
    (here / "sets" / "raw").mkdir(parents=True)
    before = contents(here)
    assert cli.main([*words, "--replace"]) == 2
    assert message in capsys.readouterr().err
    assert contents(here) == before


def test_a_replaced_model_takes_nothing_with_it(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "model" / "notes.txt").write_text("mine")
    assert cli.main([*words_of("fit"), "--out", "model", "--replace"]) == 2
    assert "model holds notes.txt besides the saved model" in capsys.readouterr().err
    log = rg.BehaviorLog.from_frame("log.csv", "user", "item", "time")
    log.save("saved log")  # has an items.parquet, as exported models have
    assert cli.main([*words_of("export"), "--out", "saved log", "--replace"]) == 2
    assert "saved log holds behaviors.parquet besides" in capsys.readouterr().err
    assert rg.BehaviorLog.load("saved log").items.equal(log.items)


@pytest.mark.parametrize("words", [["--tensorboard", "new/board"], ["--tensorboard", "link"]])
def test_logs_of_the_training_in_the_models_folder(
    words: list[str], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "link").symlink_to("new")
    assert cli.main([*words_of("fit"), "--out", "new", *words]) == 2
    assert "lies in the model's own folder" in capsys.readouterr().err


def test_what_lies_beside_checkpoints_is_kept(here: Path) -> None:
    (here / "new.checkpoints").mkdir()
    (here / "new.checkpoints" / "notes.txt").write_text("mine")
    assert cli.main([*words_of("fit"), "--out", "new"]) == 0
    assert [path.name for path in (here / "new.checkpoints").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("file/x.csv", "cannot be written: Not a directory"),
        ("n" * 252 + ".csv", "cannot be written: File name too long"),
        ("new/" + "n" * 252 + ".csv", "cannot be written: File name too long"),
        ("/dev/null/x.csv", "cannot be written: Not a directory"),
        ("/proc/x.csv", "cannot be written: "),
        ("folder.csv", "is a folder"),
    ],
)
def test_a_place_that_cannot_be_written_is_found_out_before_anything_is_read(
    out: str,
    message: str,
    command: str,
    rowless: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("file").touch()
    Path("folder.csv").mkdir()
    Path("folder.csv/thesis.txt").touch()
    before = sorted(rowless.rglob("*"))
    if out == "folder.csv" and command not in TABLES:
        if command == "compare":  # which may stand beside other files
            return
        message = "exists and is no "
    assert cli.main([*words_of(command), "--out", out]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert len(printed.err.splitlines()) == 1
    assert sorted(rowless.rglob("*")) == before


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("out", [".", ""])
def test_the_current_folder_is_no_output(
    out: str,
    command: str,
    rowless: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (rowless / "log.csv").rename(rowless.with_suffix(".csv"))
    data = {"log.csv": f"../{rowless.name}.csv"}
    words = [data.get(word, word) for word in words_of(command)]
    assert cli.main([*words, "--out", out]) == 2
    message = {"graph": "must end in", "predict": "must end in", "compare": "holds no rows"}
    expected = message.get(command, "is the current folder") if out else "a path is empty"
    assert expected in capsys.readouterr().err
    assert not list(rowless.iterdir())


@pytest.mark.parametrize("place", ["new.checkpoints", "board"])
def test_checkpoints_and_logs_are_looked_at_before_the_data(
    place: str,
    rowless: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("tensorboard", reason="needs tensorboard")
    Path(place).touch()
    for command in ("fit", "compare") if place == "board" else ("fit",):
        words = [*words_of(command), "--out", "new", "--tensorboard", "board"]
        assert cli.main(words) == 2
        assert "cannot be written: Not a directory" in capsys.readouterr().err
    assert {path.name for path in rowless.iterdir()} == {"log.csv", place}


def test_a_full_disk_shows_at_once(rowless: Path) -> None:
    """In a process that may write no more than 16 KiB to a file."""
    words = [sys.executable, "-m", "resemb_gnn", *words_of("fit"), "--out", "new"]
    limited = ["bash", "-c", 'ulimit -f 16; exec "$@"', "bash", *words]
    done = subprocess.run(limited, cwd=rowless, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "resemb-gnn: new cannot be written: File too large\n"
    assert [path.name for path in rowless.iterdir()] == ["log.csv"]


def test_a_disk_that_is_full_in_the_end(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("resemb_gnn.io.tables.publish", full)
    for command in TABLES:
        assert cli.main([*words_of(command), "--out", "x.csv"]) == 1
        assert "No space left on device" in capsys.readouterr().err
    assert not (here / "x.csv").exists()


def test_comparisons_keep_what_is_not_theirs(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "out").mkdir()
    (here / "out" / "report.html").write_text("mine")
    for more in ([], ["--resume"]):
        assert cli.main([*words_of("compare"), "--out", "out", *more]) == 2
        assert "report.html exists, of no comparison" in capsys.readouterr().err
    assert (here / "out" / "report.html").read_text() == "mine"


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("command", COMMANDS)
def test_home_folders_in_every_flag(
    command: str,
    here: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", str(here))
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    words = words_of(command)
    places = {"log.csv": "~/log.csv", "pairs.csv": "~/pairs.csv", "model": "~/model"}
    words = [places.get(word, word) for word in words]
    (here / "empty.yaml").touch()
    out = "out.csv" if command in TABLES else "out"
    assert cli.main([*words, f"--out=~/{out}", "--config=~/empty.yaml"]) == 0
    assert (here / out).exists()
    assert not list(Path.cwd().iterdir())


@pytest.mark.parametrize("device", ["mps", "gpu", "meta", "cuda:99", "cuda:1000", "", "cpu:x"])
@pytest.mark.parametrize(
    "words",
    [
        *map(words_of, ("fit", "compare", "predict", "export")),
        ["evaluate", *MODEL],
        ["similar", "7", *MODEL],
    ],
)
def test_a_device_that_is_not_there(
    words: list[str],
    device: str,
    rowless: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = {"predict": ["--out", "x.csv"], "export": ["--out", "x"]}.get(words[0], [])
    assert cli.main([*words, *out, "--device", device, "--quiet"]) == 2
    error = capsys.readouterr().err
    assert f"device={device!r}" in error
    assert len(error.splitlines()) == 1
