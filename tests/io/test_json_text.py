"""Documents of JSON that are laid out a record a line."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resemb_gnn.io.json_text import read_json, write_json

PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
PLAIN = PLAIN.filter(lambda value: not isinstance(value, float) or math.isfinite(value))
VALUES = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=3), VALUES, max_size=5), st.integers(0, 4))
def test_any_document_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, contents: dict[str, Any], depth: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "document.json"
    write_json(path, contents, depth)
    assert read_json(path) == contents
    assert json.loads(path.read_text()) == contents


def test_a_run_stands_on_a_line_of_its_own(tmp_path: Path) -> None:
    runs = [{"seed": seed, "curve": [{"auc": 0.5}, {"auc": 0.6}]} for seed in range(3)]
    path = tmp_path / "results.json"
    write_json(path, {"schema": 1, "settings": {"lr": 0.1, "of": [1, 2]}, "runs": runs, "last": []})
    assert path.read_text().splitlines() == [
        "{",
        '"schema": 1,',
        '"settings": {"lr": 0.1, "of": [1, 2]},',
        '"runs": [',
        '{"seed": 0, "curve": [{"auc": 0.5}, {"auc": 0.6}]},',
        '{"seed": 1, "curve": [{"auc": 0.5}, {"auc": 0.6}]},',
        '{"seed": 2, "curve": [{"auc": 0.5}, {"auc": 0.6}]}',
        "],",
        '"last": []',
        "}",
    ]


def test_records_below_other_names_stand_on_lines_as_deep_as_asked(tmp_path: Path) -> None:
    path = tmp_path / "mutants.json"
    write_json(path, {"1": {"each": 2, "mutants": {"a": {"status": "killed"}, "b": {}}}}, depth=3)
    lines = path.read_text().splitlines()
    assert lines[:3] == ["{", '"1": {', '"each": 2,']
    assert lines[3:6] == ['"mutants": {', '"a": {"status": "killed"},', '"b": {}']


@pytest.mark.parametrize("value", [math.nan, math.inf, [{"auc": -math.inf}]])
def test_what_is_not_finite_is_not_written(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "results.json"
    path.write_text("before")
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"value": value})
    assert path.read_text() == "before"
