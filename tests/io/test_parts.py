"""Which files a table is read from: several, patterns and folders of parts."""

import itertools
import os
from pathlib import Path

import polars as pl
import pytest

from resemb_gnn import BehaviorLog, InputError, cli
from resemb_gnn.datasets import load_source
from resemb_gnn.io.frame import read_columns
from resemb_gnn.io.parts import find_parts, find_places, fits_pattern, shown_paths
from resemb_gnn.io.tables import write_table
from resemb_gnn.settings import FitSettings

COLUMNS = {"user": "user", "item": "item", "time": "time"}
ROWS = pl.DataFrame(
    {"user": [1, 1, 2, 2, 3, 1], "item": [7, 8, 7, 9, 8, 7], "time": [1, 2, 1, 1, 1, 1]}
)


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder ``logs`` of three days in CSV, ``pq`` of two in Parquet, and notes beside them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for day, name in enumerate(("03-01.csv", "03-02.csv.gz", "04-01.tsv")):
        write_table(ROWS[2 * day : 2 * day + 2], tmp_path / "logs" / f"2025-{name}")
    for day in (0, 1):
        write_table(ROWS[3 * day : 3 * day + 3], tmp_path / "pq" / f"day{day}.parquet")
    for folder in ("logs", "pq"):
        (tmp_path / folder / "_SUCCESS").touch()
        (tmp_path / folder / ".crc").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        ("logs", ["2025-03-01.csv", "2025-03-02.csv.gz", "2025-04-01.tsv"]),
        ("~/logs/2025-03-*", ["2025-03-01.csv", "2025-03-02.csv.gz"]),
        ("logs/*", ["2025-03-01.csv", "2025-03-02.csv.gz", "2025-04-01.tsv"]),
        ("**/*.tsv", ["2025-04-01.tsv"]),
        (["logs/2025-04-01.tsv", "logs/2025-03-01.csv"], ["2025-03-01.csv", "2025-04-01.tsv"]),
        (("logs/2025-0[4].tsv", "logs/*-01.*", "./logs"), None),
        ("p?", ["day0.parquet", "day1.parquet"]),
        (["pq/day1.parquet", Path("pq")], ["day0.parquet", "day1.parquet"]),
    ],
)
def test_files_are_found_each_once_in_order(
    paths: object, names: list[str] | None, logs: Path
) -> None:
    if names is None:
        with pytest.raises(InputError, match=r"no file fits the pattern logs/2025-0\[4\]\.tsv"):
            find_parts(paths)
    else:
        assert [path.name for path in find_parts(paths)] == names


def test_a_file_of_that_name_is_no_pattern(logs: Path) -> None:
    """Neither itself nor a folder above it."""
    for folder, name in (("run[1]", "a[1]"), ("run1", "a1"), ("run[1]", "a1"), ("run[1]", "a2")):
        frame = pl.DataFrame({"name": [f"{folder}/{name}"]})
        write_table(frame, logs / folder / f"{name}.csv")
    found = {
        paths: read_columns(paths, ["name"])["name"].to_list()
        for paths in ("run[1]/a[1].csv", "run[1]/a[12].csv", "run[1]", "run?/a1.csv")
    }
    assert found == {
        "run[1]/a[1].csv": ["run[1]/a[1]"],
        "run[1]/a[12].csv": ["run[1]/a1", "run[1]/a2"],
        "run[1]": ["run[1]/a1", "run[1]/a2", "run[1]/a[1]"],
        "run?/a1.csv": ["run1/a1"],
    }


def test_one_log_whatever_the_order_of_its_parts(logs: Path) -> None:
    whole = BehaviorLog.from_frame(ROWS, **COLUMNS)
    names = sorted(str(path) for path in (logs / "logs").glob("2025*"))
    for paths in ["logs", "logs/2025*", *map(list, itertools.permutations(names))]:
        log = BehaviorLog.from_frame(paths, **COLUMNS)
        assert log.items.tolist() == whole.items.tolist()
        assert log.num_repeated == 1  # user 1, item 7, time 1
    source = load_source(names, **COLUMNS)
    assert source.name == "2025-03-01.csv, 2025-03-02.csv.gz, 2025-04-01.tsv"
    assert str(source).endswith("; repeated rows (user, item and time), which are kept: 1")
    assert load_source("logs/*", **COLUMNS).name == "*"


@pytest.mark.parametrize(
    ("part", "columns", "message"),
    [
        ({"user": [1], "item": [2]}, ["user", "time"], r"2025-05\.csv has no column 'time'"),
        ({"user": [1], "item": [2]}, None, r"2025-05\.csv has no column 'time', which 2025-03-01"),
        ({"user": [1], "item": [2], "time": [3], "more": [4]}, None, r"03-01\.csv has no column"),
    ],
)
def test_parts_with_other_columns_are_refused(
    part: dict[str, list[int]], columns: list[str] | None, message: str, logs: Path
) -> None:
    pl.DataFrame(part).write_csv(logs / "logs" / "2025-05.csv")
    with pytest.raises(InputError, match=message):
        read_columns("logs", columns)
    if "more" in part:
        assert read_columns("logs", ["time", "user"]).shape == (7, 2)


def test_parts_of_other_kinds_are_refused(logs: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be a part of one table with .*: one is Parquet"):
        read_columns(["logs", "pq"], ["user"])
    for name in ("notes.md", "more"):
        (logs / "logs" / name).mkdir() if name == "more" else (logs / "logs" / name).touch()
        what = "folder 'more'" if name == "more" else "file 'notes.md'"
        with pytest.raises(InputError, match=f"logs is read as the files .* holds the {what}"):
            find_parts("logs")
        os.rename(logs / "logs" / name, logs / name)
    pl.DataFrame({"user": ["1"], "item": [1], "time": [1]}).write_parquet(logs / "pq" / "x.pq")
    with pytest.raises(InputError, match=r"x\.pq: column 'user' holds string, but int64 in day0"):
        read_columns("pq/*", ["user"])
    with pytest.raises(InputError, match=r"no such file: nowhere\.csv"):
        find_parts(["logs", "nowhere.csv"])
    (logs / "lines.seq").write_text("1 2\n")
    with pytest.raises(InputError, match="of sequence files one is read"):
        load_source(["logs", "lines.seq"])


def test_settings_take_one_or_several() -> None:
    assert FitSettings(data=["a.csv"]).data == FitSettings(data="a.csv").data == "a.csv"
    both = FitSettings(data=[Path("a.csv"), "b.csv"])
    assert both.data == ("a.csv", "b.csv")
    assert FitSettings(**both.identity()) == both
    with pytest.raises(InputError, match="data has no value"):
        FitSettings(data=())


def test_a_command_on_several_files(logs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    columns = [word for name in COLUMNS for word in (f"--{name}", name)]
    rows = pl.DataFrame([(n % 5, n * 7 % 23, n) for n in range(60)], list(COLUMNS), orient="row")
    for day, name in enumerate(("03-01.csv", "03-02.csv.gz", "04-01.tsv")):
        write_table(rows[20 * day : 20 * day + 20], logs / "logs" / f"2025-{name}")
    printed = []
    for data in (["logs/2025-03-*", "logs/2025-04-01.tsv"], ["logs"]):
        assert cli.main(["graph", "--quiet", "--data", *data, *columns]) == 0
        printed.append(capsys.readouterr().out.split(": ", 1))
    assert printed[0][0] == "2025-03-*, 2025-04-01.tsv"
    assert printed[0][1] == printed[1][1]
    words = ["graph", "--quiet", *columns, "--data", "logs/2025-*", "--out"]
    assert cli.main([*words, "logs/2025-03-01.csv", "--replace"]) == 2
    assert "is among what is read" in capsys.readouterr().err
    assert cli.main([*words, "logs/2025-graph.csv"]) == 2
    assert "would be read the next time, as it fits logs/2025-*" in capsys.readouterr().err


def test_what_would_fit(logs: Path) -> None:
    assert fits_pattern(Path("logs/new.csv"), ["x.csv", "~/logs/*"])
    assert not fits_pattern(Path("logs/new.csv"), ["logs", "pq/*", "logs/*.tsv"])
    assert find_places("logs") == [Path("logs")]
    assert shown_paths(["a", "b", "c"]) == "a, b, c"
    assert shown_paths(["a", "b", "c", "x/d"], folders=False) == "a, b and 2 more"


@pytest.mark.parametrize("pattern", ["run[1]/**/*.csv", "run[1]/x-?.csv", "run[1]/[ab]/*", "*/x*"])
def test_what_would_fit_is_what_is_found(logs: Path, pattern: str) -> None:
    (logs / "run[1]/a/b").mkdir(parents=True)
    (logs / "run[1]/x-0.csv").touch()
    (logs / "run[1]/a/x").touch()
    names = ("x-1.csv", "x-10.csv", "a/z.csv", "a/b/z.csv", "a/b/z.tsv")
    places = [Path("run[1]", name) for name in names]
    told = [fits_pattern(place, pattern) for place in places]
    for place in places:
        place.touch()
    found = find_places(pattern)
    assert told == [place in found for place in places]
