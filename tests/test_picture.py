"""The picture of the whole agrees with the log that it shows."""

import importlib.util
from itertools import chain, pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

DOCS = Path(__file__).parents[1] / "docs"


def test_picture(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("picture", DOCS / "picture.py")
    picture = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(picture)
    steps = [frozenset(pair) for pair in chain(*map(pairwise, picture.HISTORIES))]
    assert picture.edges() == {tuple(sorted(pair)): steps.count(pair) for pair in set(steps)}
    assert picture.shares() == pytest.approx([0.2, 0.8, 0])
    picture.main(["--out", str(tmp_path / "picture.svg")])
    drawn, committed = (folder / "picture.svg" for folder in (tmp_path, DOCS))
    sizes = [ElementTree.parse(path).getroot().get("viewBox") for path in (drawn, committed)]
    assert sizes[0] == sizes[1]
    assert committed.stat().st_size < 150_000
