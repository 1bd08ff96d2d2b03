import datetime
import gzip

import numpy as np
import pandas as pd
import polars as pl
import pytest

from resemb_gnn import InputError
from resemb_gnn.io.frame import parse_labels, parse_times, read_columns
from resemb_gnn.io.ids import parse_ids

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
    path.write_bytes(gzip.compress(CSV) if name.endswith("gz") else CSV)
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
        ("log.csv.gz", gzip.compress(CSV)[:-12], "cannot be read"),
        ("log.csv.gz", gzip.compress(CSV)[:-8] + b"\0" * 8, "cannot be read.*CRC"),
        ("log.parquet", b"", "cannot be read"),
        ("log.parquet", b"PAR1 and then nothing that a reader could use PAR1", "cannot be read"),
        ("log.txt", CSV, "unknown kind of file; known are .csv, .csv.gz and .parquet"),
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
    with pytest.raises(InputError, match="no such file"):
        read_columns(tmp_path, ["user"])  # a folder


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


NOON = int(datetime.datetime(2024, 5, 31, 12, tzinfo=datetime.UTC).timestamp()) * 1_000_000
HOUR = 3_600_000_000


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3, -1], [3, -1]),
        ([3.5, -1.0], [3.5, -1.0]),
        (["10", "9"], [10, 9]),
        (["10", "9.5", "1e3"], [10.0, 9.5, 1000.0]),
        (["1717156800000001", "1717156800000002"], [1717156800000001, 1717156800000002]),
        (["2024-05-31T12:00:00", "2024-05-31T13:00:00"], [NOON, NOON + HOUR]),
        (["2024-05-31 12:00:00", "2024-05-31"], [NOON, NOON - 12 * HOUR]),
        (["2024-05-31T12:00:00.5", "2024-05-31T12:00:00"], [NOON + 500_000, NOON]),
        (["2024-05-31T12:00:00Z", "2024-05-31T12:00:00+02:00"], [NOON, NOON - 2 * HOUR]),
        ([datetime.datetime(2024, 5, 31, 12)], [NOON]),
        ([datetime.datetime(2024, 5, 31, 12, tzinfo=datetime.UTC)], [NOON]),
        ([datetime.date(2024, 5, 31)], [NOON - 12 * HOUR]),
    ],
)
def test_parse_times(values, expected):
    times = parse_times(pl.Series("time", values))
    assert times.to_list() == expected
    assert times.dtype == (pl.Float64 if isinstance(expected[0], float) else pl.Int64)


@pytest.mark.parametrize("dtype", [pl.Int8, pl.UInt16, pl.UInt64, pl.Float32])
def test_parse_times_widens(dtype):
    times = parse_times(pl.Series([1, 2], dtype=dtype))
    assert times.to_list() == [1, 2]
    assert times.dtype == (pl.Float64 if dtype == pl.Float32 else pl.Int64)


def test_parse_times_of_nanoseconds():
    stamps = pl.Series([NOON * 1000 + 1999], dtype=pl.Int64).cast(pl.Datetime("ns"))
    assert parse_times(stamps).to_list() == [NOON + 1]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pl.Series("t", [1, None]), r"'t', row 1 \(from 0\): None is missing \(1 such rows\)"),
        (pl.Series("t", ["1", None]), r"'t', row 1 \(from 0\): None is missing"),
        (pl.Series("t", [1.0, np.nan]), r"'t', row 1 \(from 0\): nan is not a time"),
        (pl.Series("t", [np.inf, 1.0]), r"'t', row 0 \(from 0\): inf is not a time"),
        (pl.Series("t", ["1.5", "nan"]), r"'t', row 1 \(from 0\): nan is not a time"),
        (pl.Series("t", ["5", "soon", "7"]), r"'t', row 1 \(from 0\): 'soon' is not a time"),
        (pl.Series("t", ["2024-05-31", "5", "2024-06-01"]), r"row 1 \(from 0\): '5' is not a time"),
        (pl.Series("t", ["soon", "late"]), r"row 0 \(from 0\): 'soon' is.*\(2 such rows\)"),
        (pl.Series("t", [2**63], dtype=pl.UInt64), r"9223372036854775808 is not a time"),
        (pl.Series("t", [True]), r"'t' holds Boolean, which is not a time"),
        (pl.Series("t", [[1]]), r"'t' holds List\(Int64\), which is not a time"),
        (pl.Series("t", [datetime.time(12)]), r"'t' holds Time, which is not a date"),
        (pl.Series("t", [datetime.timedelta(1)]), r"'t' holds Duration.*, which is not a date"),
    ],
)
def test_parse_times_refuses(column, message):
    with pytest.raises(InputError, match=message):
        parse_times(column)


@pytest.mark.parametrize(
    "values", [[1, 0, 1], [1.0, 0.0, 1.0], [True, False, True], ["1", "0", "1.0"]]
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


def test_fields_that_only_look_like_dates_are_refused():
    # polars reads these: as the year 22, as the minute after, with the day before the month.
    for text in (
        "0022-3-06",
        "2022-03- 8T15:12:04",
        "222-03-06",
        "2022-03-04T16:31:60",
        "01/02/2022",
    ):
        with pytest.raises(InputError, match="is not a time"):
            parse_times(pl.Series("t", ["2022-03-01", text]))
        with pytest.raises(InputError, match="is not a time"):
            parse_times(pl.Series("t", [text]))


def test_what_cannot_be_a_label_is_refused():
    for column in (pl.Series("y", [{"a": 1}]), pl.Series("y", [[1]]), pl.Series("y", [b"1"])):
        with pytest.raises(InputError, match=f"'y' holds {column.dtype.base_type()}.*, not labels"):
            parse_labels(column)
    # Just above 1 is 1 in 32 bits.
    with pytest.raises(InputError, match="is not a label"):
        parse_labels(pl.Series("y", [1.00000001]))
