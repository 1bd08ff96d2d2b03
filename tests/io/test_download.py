import hashlib

import pytest

from resemb_gnn import InputError
from resemb_gnn.io.download import fetch, verify

CONTENT = b"user item\n" * 300_000  # several chunks


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "publisher" / "log.txt"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    return path


@pytest.mark.parametrize("kind", ["md5", "sha256"])
def test_checked_file_lands_under_its_name(source, tmp_path, kind):
    target = tmp_path / "root" / "raw" / "log.txt"
    fetch(source.as_uri(), target, "the page", f"{kind}:{hashlib.new(kind, CONTENT).hexdigest()}")
    assert target.read_bytes() == CONTENT
    assert list(target.parent.iterdir()) == [target]
    assert target.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("kind", ["md5", "sha256"])
def test_wrong_checksum_leaves_nothing(source, tmp_path, kind):
    target = tmp_path / "raw" / "log.txt"
    with pytest.raises(InputError, match=rf"log\.txt has {kind} .*, the published file has 0123"):
        fetch(source.as_uri(), target, "the page", f"{kind}:0123")
    assert list(target.parent.iterdir()) == []


def test_unreachable_file_names_file_url_and_page(tmp_path):
    target = tmp_path / "raw" / "log.txt"
    url = (tmp_path / "nowhere.txt").as_uri()
    with pytest.raises(InputError, match=r"raw/log\.txt is not there .*nowhere\.txt.* the page"):
        fetch(url, target, "the page")
    assert not target.parent.exists()


def test_verify(source):
    verify(source, f"sha256:{hashlib.sha256(CONTENT).hexdigest()}")
    with pytest.raises(InputError, match=r"publisher/log\.txt has sha256"):
        verify(source, "sha256:00")
