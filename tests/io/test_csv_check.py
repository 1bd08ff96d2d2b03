import csv
import gzip
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resemb_gnn import InputError
from resemb_gnn.io import csv_check, files
from resemb_gnn.io.csv_check import check_csv, read_header

FIELDS = st.text(st.sampled_from('a1é ,\t"\n'), max_size=4)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(FIELDS, FIELDS, FIELDS), min_size=1, max_size=6),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.booleans(),
    st.integers(1, 40),
    st.sampled_from([",", "\t"]),
)
def test_names_and_rows_are_those_of_the_csv_module(
    tmp_path_factory, rows, end, mark, last, chunk, separator
):
    text = io.StringIO()
    form = {"lineterminator": end, "delimiter": separator}
    csv.writer(text, **form).writerows([("user", 'it"em', "ti\tme,"), *rows])
    written = text.getvalue() if last else text.getvalue().removesuffix(end)
    path = tmp_path_factory.mktemp("csv") / "log.csv"
    path.write_bytes(b"\xef\xbb\xbf" * mark + written.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_check, "_CHUNK", chunk)
        patch.setattr(csv_check, "_START", chunk)
        shape = check_csv(path, separator)
        assert read_header(path, separator) == shape.names
        assert shape.names == ["user", 'it"em', "ti\tme,"]
        assert shape.blank == []
        reader = csv.reader(io.StringIO(written, newline=""), delimiter=separator)
        lines = [reader.line_num for _ in reader][1:]
        assert shape.rows == len(rows) == len(lines)
        assert [check_csv(path, separator, row).line for row in range(len(rows))] == lines
        # One field less in one row is seen wherever the chunks are cut.
        text = io.StringIO()
        csv.writer(text, **form).writerows([*rows, ("a", "b", "c"), ("a", "b")])
        path.write_bytes(text.getvalue().encode())
        line = text.getvalue().count("\n")
        with pytest.raises(InputError, match=rf"log\.csv, line {line}: 2 fields, but .* has 3$"):
            check_csv(path, separator)


@pytest.mark.parametrize("chunk", [1, 2, 3, 2**22])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('a,b\n1,"2\n3,4\n', r"log\.csv: a quote is opened and never closed"),
        ('a,b\n1,2\n3,x"y\n', "line 3: a quote within a field"),
        ('a,b\n"1"x,2\n', "line 2: a quote within a field"),
        ('a,b\n"1" ,2\n', "line 2: a quote within a field"),
        ("a,b\r1,2\r", "line 1: a carriage return"),
        ("a,b\n1,2\r3,4\n", "line 2: a carriage return"),
        ('a,b\n"1\n\n",2\r', "line 4: a carriage return"),
        ("a,b\n1\n", "line 2: 1 fields, but the header has 2"),
        ("a,b\n1,2\n \n", "line 3: 1 fields"),
        ("a,b\n1,2\n" + "x" * 41 + ",1\n", "line 3: longer than 40 bytes"),
        ("a,b\n1,2\n" + "x" * 4100, "line 3: longer than 40 bytes"),
        ('a,b\n1,"' + "\n" * 50 + '"\n', "longer than 40 bytes"),
    ],
)
def test_refused(tmp_path, monkeypatch, text, message, chunk):
    monkeypatch.setattr(csv_check, "_CHUNK", chunk)
    monkeypatch.setattr(files, "LINE_LIMIT", 40)
    path = tmp_path / "log.csv"
    for separator in ",\t":
        path.write_text(text.replace(",", separator), newline="")
        with pytest.raises(InputError, match=message):
            check_csv(path, separator)


def test_a_name_longer_than_any(tmp_path):
    """As a quote in the header makes it, with all rows up to the next quote."""
    path = tmp_path / "log.csv"
    path.write_text('"a,b\n' + "1,2\n" * 50_000 + '",3\n')
    for read in (check_csv, read_header):
        with pytest.raises(InputError, match=r"log\.csv, header: field larger than field limit"):
            read(path)


@pytest.mark.parametrize("chunk", [1, 2, 3, 2**22])
def test_empty_lines_are_told(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(csv_check, "_CHUNK", chunk)
    path = tmp_path / "log.csv"
    path.write_bytes(b'\n\r\na,b\n\n1,2\n\r\n"3\n\n",4\n\n')
    shape = check_csv(path)
    assert shape.names == ["a", "b"]
    assert shape.blank == [0, 2, 4]
    assert shape.rows == 2
    assert [check_csv(path, row=row).line for row in (None, 0, 1, 2)] == [None, 5, 9, None]


def test_a_line_that_never_ends_is_refused_without_being_read(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LINE_LIMIT", 2**20)
    monkeypatch.setattr(csv_check, "_CHUNK", 2**16)
    taken = []
    feed = csv_check._Scan.feed
    monkeypatch.setattr(
        csv_check._Scan, "feed", lambda scan, chunk: (taken.append(len(chunk)), feed(scan, chunk))
    )
    path = tmp_path / "log.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + b"7" * 2**25, 1))
    with pytest.raises(InputError, match=r"line 2: longer than 1,048,576 bytes"):
        check_csv(path)
    assert sum(taken) < 2**20 + 2**17
