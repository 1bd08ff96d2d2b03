"""Tables in folders of Parquet files."""

import polars as pl
import pytest

from resemb_gnn import InputError
from resemb_gnn.io.frame import read_columns
from resemb_gnn.io.parts import find_parts

NOTES = ("_SUCCESS", "_metadata", "._SUCCESS.crc", ".part-00000.parquet.crc")


@pytest.fixture
def folder(tmp_path):
    """Two parts, named so that the one that was written last comes first, and Spark's notes."""
    folder = tmp_path / "log.parquet"
    folder.mkdir()
    pl.DataFrame({"user": [3, 4], "item": ["x", "y"]}).write_parquet(folder / "part-00001.parquet")
    pl.DataFrame({"user": [1, 2], "item": ["y", "z"]}).write_parquet(folder / "part-00000.PQ")
    for name in NOTES:
        (folder / name).write_bytes(b"no Parquet")
    (folder / ".hidden").mkdir()
    return folder


def test_parts_follow_each_other_by_name(folder):
    rows = [(1, "y"), (2, "z"), (3, "x"), (4, "y")]
    for place in (folder, str(folder), f"{folder}/"):
        assert read_columns(place, ["user", "item"]).rows() == rows
    assert [path.name for path in find_parts(folder)] == ["part-00000.PQ", "part-00001.parquet"]


def test_a_part_may_be_empty_or_lack_all_values(folder):
    pl.DataFrame(schema={"user": pl.Int64, "item": pl.String}).write_parquet(folder / "a.parquet")
    pl.DataFrame({"user": [5], "item": [None]}).write_parquet(folder / "b.parquet")
    kinds = pl.Series(["x", "z"], dtype=pl.Categorical)  # stored as numbers of words
    pl.DataFrame({"user": [6, 7], "item": kinds}).write_parquet(folder / "c.parquet")
    table = read_columns(folder, ["user", "item"])
    assert table["item"].to_list() == [None, "x", "z", "y", "z", "x", "y"]
    assert table.schema == {"user": pl.Int64, "item": pl.String}
    for path in find_parts(folder):
        path.unlink()
    pl.DataFrame({"user": []}).write_parquet(folder / "a.parquet")
    with pytest.raises(InputError, match=r"log\.parquet holds no rows"):
        read_columns(folder, ["user"])


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pl.Series("user", ["3"]), r": column 'user' holds string, but int64 in part-00000\.PQ"),
        (pl.Series("user", [3.5]), r": column 'user' holds double, but int64 in part-00000\.PQ"),
        (pl.Series("time", [3]), r" has no column 'user'; its columns are \['time'\]"),
    ],
)
def test_parts_that_do_not_fit_are_refused(folder, column, message):
    column.to_frame().write_parquet(folder / "part-00002.parquet")
    with pytest.raises(InputError, match=rf"part-00002\.parquet{message}"):
        read_columns(folder, ["user"])


def test_times_of_two_resolutions_are_not_put_together(folder):
    for path in find_parts(folder):
        path.unlink()
    for name, unit in (("a", "us"), ("b", "ns")):
        times = pl.Series("time", [1_000_000]).cast(pl.Datetime(unit))
        frame = pl.DataFrame({"user": [1], "time": times})
        frame.write_parquet(folder / f"{name}.parquet")
    with pytest.raises(
        InputError, match=r"b\.parquet: column 'time' holds timestamp\[ns\], but time"
    ):
        read_columns(folder, ["user", "time"])


def test_damaged_parts_are_named(folder):
    (folder / "part-00002.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"part-00002\.parquet cannot be read"):
        read_columns(folder, ["user"])
    (folder / "part-00002.parquet").unlink()
    whole = (folder / "part-00001.parquet").read_bytes()
    (folder / "part-00001.parquet").write_bytes(b"PAR1" + bytes(60) + whole[64:])
    with pytest.raises(InputError, match=r"part-00001\.parquet cannot be read"):
        read_columns(folder, ["user"])


@pytest.mark.parametrize("name", ["day=2022-05-01/", "_delta_log/", "part.csv", "notes.txt"])
def test_a_folder_with_anything_else_is_refused(folder, name):
    if name.endswith("/"):
        (folder / name).mkdir()
    else:
        (folder / name).write_text("user,item\n1,2\n")
    what = "folder" if name.endswith("/") else "file"
    with pytest.raises(InputError, match=rf"log\.parquet .*holds the {what} '{name.strip('/')}'"):
        read_columns(folder, ["user"])


def test_a_folder_without_parts_is_refused(tmp_path):
    (tmp_path / "_SUCCESS").write_bytes(b"")
    with pytest.raises(InputError, match=r"no such table: the folder .* holds no file of one"):
        read_columns(tmp_path, ["user"])
