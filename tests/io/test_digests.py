"""Digests of files, against hashlib and the form of sha256sum."""

import hashlib
from pathlib import Path

import pytest

from resemb_gnn.io.digests import changed_file, file_digest, write_digests


def test_the_list_and_what_it_finds(tmp_path: Path) -> None:
    contents = {"one": b"1" * 100_000, "two": b"", "three": b"3"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    assert file_digest(tmp_path / "one", "md5") == hashlib.md5(contents["one"]).hexdigest()
    path = tmp_path / "all.sha256"
    write_digests(path, ["one", "two"])
    expected = [f"{hashlib.sha256(contents[name]).hexdigest()}  {name}" for name in ("one", "two")]
    assert path.read_text() == "\n".join([*expected, ""])
    assert changed_file(path, ["one", "two"]) is None
    assert changed_file(path, ["one", "three", "two"]) == "three"  # not listed
    (tmp_path / "two").write_bytes(b"2")
    assert changed_file(path, ["one", "two"]) == "two"
    path.write_bytes(b"\xff\n")
    assert changed_file(path, ["one"]) == "one"
    for missing in (path, tmp_path / "one"):
        missing.unlink()
        with pytest.raises(OSError, match=missing.name):
            changed_file(path, ["one"])
        write_digests(path, ["two"])
