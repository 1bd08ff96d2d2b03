"""Tables in every form that is taken: files by their endings, frames and Arrow tables."""

import csv
import gzip
import io

import polars as pl
import pyarrow as pa
import pytest

from resemb_gnn import InputError
from resemb_gnn.io.frame import read_columns
from resemb_gnn.io.tables import write_table

CSV = b"user,item,time\n1,007,5\n2,8,6\n"


@pytest.mark.parametrize(
    ("name", "separator"),
    [
        ("log.CSV", ","),
        ("log.Csv.GZ", ","),
        ("log.tsv", "\t"),
        ("log.TSV.gz", "\t"),
        ("log.txt", "\t"),
        ("log.txt.gz", "\t"),
    ],
)
def test_fields_stand_between_what_the_ending_says(tmp_path, name, separator):
    rows = [
        ["user", "item", "time"],
        ["a b", 'x"y', "1"],
        ["a,b", "c\td", ""],
        ["e\nf", "007", "2"],
    ]
    text = io.StringIO()
    csv.writer(text, delimiter=separator).writerows(rows)
    data = text.getvalue().encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.lower().endswith("gz") else data)
    table = read_columns(tmp_path / name, ["time", "item", "user"])
    assert table.rows() == [(row[2] or None, row[1], row[0]) for row in rows[1:]]


@pytest.mark.parametrize(
    "name", ["edges.csv", "edges.TSV", "edges.txt.gz", "edges.Parquet", "e.pq"]
)
def test_what_is_written_is_read_again(tmp_path, name):
    frame = pl.DataFrame({"item": ["a,b", "c\td", 'e"f'], "weight": ["1", "2", "3"]})
    write_table(frame, tmp_path / name)
    assert read_columns(tmp_path / name, ["item", "weight"]).equals(frame)


class Place:
    """A path that is no ``pathlib.Path``."""

    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        return str(self.path)


def test_any_kind_of_path(tmp_path):
    (tmp_path / "log.csv").write_bytes(CSV)
    assert read_columns(Place(tmp_path / "log.csv"), ["user"]).rows() == [("1",), ("2",)]
    with pytest.raises(InputError, match=r"no such file: .*other\.csv"):
        read_columns(Place(tmp_path / "other.csv"), ["user"])


def _forms(frame):
    """A frame in every form that is taken, by name."""
    table = frame.to_arrow()
    return {
        "polars": frame,
        "lazy": frame.lazy(),
        "arrow": table,
        "arrow in chunks": pa.concat_tables([table[:1], table[1:]]),
        "arrow batches": pa.RecordBatchReader.from_batches(table.schema, table.to_batches()),
        "pandas": frame.to_pandas(),
        "pandas of arrow": frame.to_pandas(use_pyarrow_extension_array=True),
    }


@pytest.mark.parametrize("form", _forms(pl.DataFrame({"a": [1]})))
def test_read_columns_of_a_frame_in_any_form(form):
    frame = pl.DataFrame({"a": [1, 2], "b": ["x", "y"], "c": [[1], [2]], "d": [0.5, 1.5]})
    assert read_columns(_forms(frame)[form], ["d", "b"]).equals(frame.select("d", "b"))
    with pytest.raises(
        InputError, match=r"the frame has no column 'e'; its columns are \['a', 'b'"
    ):
        read_columns(_forms(frame)[form], ["a", "e"])
    with pytest.raises(InputError, match="the frame holds no rows"):
        read_columns(_forms(frame.clear())[form], ["a"])


def test_arrow_columns_as_what_they_are_stored_as():
    words = pa.array(["x", None, "x"]).dictionary_encode()
    flags = pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0, 1], pa.int8()))
    table = read_columns(pa.table({"word": words, "flag": flags}), ["word", "flag"])
    assert table.schema == {"word": pl.String, "flag": pl.Int8}
    assert table.rows() == [("x", 1), (None, 0), ("x", 1)]


def test_frames_that_cannot_be_read_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"the frame cannot be read: .*nowhere"):
        read_columns(pl.scan_parquet(tmp_path / "nowhere.parquet"), ["a"])
    lazy = pl.DataFrame({"a": ["x"]}).lazy().select(pl.col("a").cast(pl.Int64))
    with pytest.raises(InputError, match=r"the frame cannot be read: .*conversion"):
        read_columns(lazy, ["a"])
    with pytest.raises(InputError, match="the frame cannot be read"):
        read_columns(pl.Series([1]), ["a"])
    wide = pa.array([1]).cast(pa.decimal256(60, 2))
    runs = pa.RunEndEncodedArray.from_arrays([2], ["x"])
    for column in (wide, runs):  # what a type is called is Arrow's to say
        with pytest.raises(InputError, match=r"the frame, column 'a' holds '.*', which no log can"):
            read_columns(pa.table({"a": column}), ["a"])
    twice = pa.table([pa.array([1]), pa.array([2])], names=["a", "a"])
    with pytest.raises(InputError, match="the frame has more than one column 'a'"):
        read_columns(twice, ["a"])


@pytest.mark.parametrize("junk", [None, 7, {"a": [1]}, [("a", 1)], b"log.csv"])
def test_what_is_no_table_is_refused(junk):
    with pytest.raises(
        InputError, match="a table must be a polars or pandas frame, an Arrow table"
    ):
        read_columns(junk, ["a"])
