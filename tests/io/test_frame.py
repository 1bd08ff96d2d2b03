import gzip
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest

from resemb_gnn import InputError
from resemb_gnn.io.frame import parse_labels, read_columns
from resemb_gnn.io.ids import parse_ids
from resemb_gnn.io.times import parse_times

CSV = b"user,item,time\n1,007,5\n2,8,6\n"


def test_read_columns_takes_the_wanted_columns_once():
    frame = pl.DataFrame({"a": [1], "b": [2], "c": [3]})
    table = read_columns(frame, ["c", "a", "c"])
    assert table.columns == ["c", "a"]
    assert table.rows() == [(3, 1)]


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz", "log[1].csv", "lo*.csv"])
def test_read_csv_as_strings_from_a_path_taken_literally(tmp_path, name):
    (tmp_path / "log1.csv").write_bytes(b"user,item,time\n9,9,9\n")  # fits both patterns
    path = tmp_path / name
    path.write_bytes(gzip.compress(CSV, mtime=0) if name.endswith("gz") else CSV)
    for place in (path, str(path)):
        assert read_columns(place, ["user", "item"]).rows() == [("1", "007"), ("2", "8")]


def test_read_csv_with_byte_order_mark_and_windows_line_ends(tmp_path):
    path = tmp_path / "log.csv"
    path.write_bytes(b"\xef\xbb\xbf" + CSV.replace(b"\n", b"\r\n"))
    assert read_columns(path, ["user", "time"]).rows() == [("1", "5"), ("2", "6")]


def test_read_parquet_from_a_path_taken_literally(tmp_path):
    frame = pl.DataFrame({"user": [1, 2], "item": ["007", "8"]})
    frame.write_parquet(tmp_path / "log1.parquet")
    (tmp_path / "log1.parquet").rename(tmp_path / "log[1].parquet")
    assert read_columns(tmp_path / "log[1].parquet", ["user", "item"]).equals(frame)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("log.csv", b"", "is empty"),
        ("log.csv", b"user,item,time\n", "holds no rows"),
        ("log.csv", b"user;item\n1;2\n", r"no column 'user'; its columns are \['user;item'\]"),
        ("log.csv", b"user,item\n1,\xe9\n", "line 2: .*utf-8"),
        ("log.csv", b"user,item\n1,2,3\n", "line 2: 3 fields, but the header has 2"),
        ("log.csv.gz", b"", "is empty"),
        ("log.csv.gz", gzip.compress(CSV, mtime=0)[:-12], "cannot be read"),
        ("log.csv.gz", gzip.compress(CSV, mtime=0)[:-8] + b"\0" * 8, "cannot be read.*CRC"),
        ("log.parquet", b"", "cannot be read"),
        ("log.parquet", b"PAR1 and then nothing that a reader could use PAR1", "cannot be read"),
        ("log.txt", CSV, r"\(tabs\) has no column 'user'; its columns are \['user,item,time'\]"),
        ("log.tsv", b"user\titem\n1\n", "line 2: 1 fields, but the header has 2"),
        ("log.json", CSV, "unknown kind of file; known are .csv, .tsv or .txt .*, .parquet or .pq"),
        ("log.csv.bz2", CSV, "unknown kind of file"),
    ],
)
def test_read_columns_refuses_a_bad_file(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"(?s){name}.*{message}"):
        read_columns(path, ["user", "item"])


def test_read_columns_refuses_half_a_parquet_file(tmp_path):
    path = tmp_path / "log.parquet"
    pl.DataFrame({"user": range(1000), "item": range(1000)}).write_parquet(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"log\.parquet cannot be read"):
        read_columns(path, ["user", "item"])


def test_read_columns_refuses_a_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"no such file: .*nowhere\.csv"):
        read_columns(tmp_path / "nowhere.csv", ["user"])


@pytest.mark.parametrize("kind", [pl.DataFrame, pd.DataFrame])
def test_read_columns_refuses_a_bad_frame(kind):
    with pytest.raises(InputError, match=r"the frame has no column 'b'; its columns are \['a'\]"):
        read_columns(kind({"a": [1]}), ["a", "b"])
    with pytest.raises(InputError, match="the frame holds no rows"):
        read_columns(kind({"a": [], "b": []}), ["a", "b"])


def test_read_columns_of_pandas_ignores_the_index():
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}, index=[7, 3])
    assert read_columns(frame, ["a", "b"]).rows() == [(1, "x"), (2, "y")]


def test_read_columns_refuses_odd_pandas_columns():
    frame = pd.DataFrame([[1, 2, 3]], columns=["a", "b", "a"])
    assert read_columns(frame, ["b"]).rows() == [(2,)]
    with pytest.raises(InputError, match="more than one column 'a'"):
        read_columns(frame, ["a", "b"])
    with pytest.raises(InputError, match=r"no column '0'; its columns are \[0, 1\]"):
        read_columns(pd.DataFrame([[1, 2]]), ["0"])
    for value in ("x", 2**70, {1}):
        mixed = pd.DataFrame({"a": pd.Series([1, value], dtype=object)})
        with pytest.raises(InputError, match="column 'a' holds values of no one kind"):
            read_columns(mixed, ["a"])


@pytest.mark.parametrize(
    "values",
    [
        [1, 0, 1],
        [1.0, 0.0, 1.0],
        [Decimal("1.00"), Decimal("0.00"), Decimal("1.00")],
        [True, False, True],
        ["1", "0", "1.0"],
        ["True", "False", "True"],
        ["TRUE", "false", "true"],
        ["true", "0", "1"],
    ],
)
def test_parse_labels(values):
    labels = parse_labels(pl.Series("click", values))
    assert labels.dtype == pl.Float32
    assert labels.to_list() == [1, 0, 1]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, 2, 3], r"row 1 \(from 0\): 2 is not a label \(0 or 1\) \(2 such rows\)"),
        ([0, -1], r"row 1 \(from 0\): -1 is not a label"),
        ([0.5], r"row 0 \(from 0\): 0.5 is not a label"),
        ([0.0, np.nan], r"row 1 \(from 0\): nan is not a label"),
        ([0, None], r"row 1 \(from 0\): None is missing"),
        (["true", "truely"], r"row 1 \(from 0\): 'truely' is not a label"),
        (["0", "yes"], r"row 1 \(from 0\): 'yes' is not a label"),
        ([[1]], r"List\(Int64\), not labels"),
    ],
)
def test_parse_labels_refuses(values, message):
    with pytest.raises(InputError, match=f"column 'click'.*{message}"):
        parse_labels(pl.Series("click", values))


def test_a_bad_row_of_a_file_is_named(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("user,item,time\n1,a,5\n2,,6\n3,c,\n")
    table = read_columns(path, ["user", "item", "time"])
    with pytest.raises(InputError, match=r"column 'item', row 1 \(from 0\)"):
        parse_ids(table["item"])
    with pytest.raises(InputError, match=r"column 'time', row 2 \(from 0\)"):
        parse_times(table["time"])


def test_a_column_that_comes_twice_is_refused_where_it_is_wanted(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("user,item,item,\n1,2,3,4\n")
    assert read_columns(path, ["user", ""]).rows() == [("1", "4")]
    with pytest.raises(InputError, match=r"log\.csv has more than one column 'item'"):
        read_columns(path, ["user", "item"])


def test_empty_lines_of_a_csv_are_no_rows(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text('user,item\n\n1,2\n\n"",\n\n')
    assert read_columns(path, ["user", "item"]).rows() == [("1", "2"), ("", None)]
    with pytest.raises(InputError, match=r"row 1 \(from 0\): None is missing"):
        parse_ids(read_columns(path, ["user"])["user"])


def test_a_column_may_have_any_name_beside_empty_lines(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("line,index,literal\n\n1,2,3\n\n4,5,6\n")
    columns = ["line", "index", "literal"]
    assert read_columns(path, columns).rows() == [("1", "2", "3"), ("4", "5", "6")]


def test_damaged_parquet_is_refused_and_does_not_end_the_process(tmp_path):
    # polars' own reader panics on some of these, and on some asks for 2**61 bytes and aborts.
    path = tmp_path / "log.parquet"
    pl.DataFrame({"user": ["é"] * 9, "item": range(9)}).write_parquet(path)
    whole = path.read_bytes()
    table = pl.read_parquet(path)
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        for place in rng.integers(len(whole), size=3):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            assert read_columns(path, ["user", "item"]).columns == table.columns
        except InputError:
            refused += 1
    assert refused > 100


def test_what_cannot_be_a_label_is_refused():
    for column in (pl.Series("y", [{"a": 1}]), pl.Series("y", [[1]]), pl.Series("y", [b"1"])):
        with pytest.raises(InputError, match=f"'y' holds {column.dtype.base_type()}.*, not labels"):
            parse_labels(column)
    # Just above 1 is 1 in 32 bits.
    with pytest.raises(InputError, match="is not a label"):
        parse_labels(pl.Series("y", [1.00000001]))
