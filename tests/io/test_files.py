import gzip

import pytest

from resemb_gnn import InputError
from resemb_gnn.io import files
from resemb_gnn.io.files import read_lines


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_lines_of_plain_and_gz_files(tmp_path, compress, mark):
    path = tmp_path / "log"
    content = mark + "1 é\u2028\x0bx\r\n\n3".encode()  # only \n ends a line
    path.write_bytes(gzip.compress(content) if compress else content)
    assert list(read_lines(path)) == [(1, "1 é\u2028\x0bx"), (2, ""), (3, "3")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"1\n2\n3 \xff\n", "log, line 3: .*utf-8"),
        (b"1 2\r3 4\r", "log, line 1: a carriage return"),
        (b"1 2\r\n3 4\r", "log, line 2: a carriage return"),
        (b"1\n" + b"2" * 41, "log, line 2: longer than 40 bytes"),
        (gzip.compress(b"1\n2\n", mtime=0)[:-9], r"log cannot be read.* damaged or cut off"),
        (gzip.compress(b"1\n2\n", mtime=0) + b"x", r"log cannot be read.* damaged or cut off"),
        (gzip.compress(b"1\n", mtime=0)[:-8] + b"\0" * 8, r"log cannot be read.* CRC"),
    ],
)
def test_refused(tmp_path, monkeypatch, content, message):
    monkeypatch.setattr(files, "LINE_LIMIT", 40)
    path = tmp_path / "log"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        list(read_lines(path))
    with pytest.raises(InputError, match="nowhere cannot be read"):
        list(read_lines(tmp_path / "nowhere"))
