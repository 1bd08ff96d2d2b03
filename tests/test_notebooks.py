"""The notebooks' cells run, on less data; `make docs` executes them as they stand."""

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
import polars as pl
import pytest

import resemb_gnn as rg
from resemb_gnn import BehaviorLog, datasets
from resemb_gnn.settings import CompareSettings
from resemb_gnn.settings.own_embeddings import own_embeddings

FOLDER = Path(__file__).parents[1] / "docs/notebooks"


def run(name: str, shorter: dict[str, str]) -> dict[str, Any]:
    """What the cells leave, with words of theirs replaced."""
    cells = json.loads((FOLDER / f"{name}.ipynb").read_text())["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    for words, instead in shorter.items():
        assert words in code
        code = code.replace(words, instead)
    names: dict[str, Any] = {}
    exec(code, names)
    return names


def test_own_log(log: BehaviorLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "read_complete_journey", lambda: log)
    found = run("own_log", {"epochs=3": "epochs=1"})
    assert found["log"].num_behaviors == log.num_behaviors
    assert 0 < found["result"].test.auc < 1
    nearest = found["serving"].ItemIndex.load(found["folder"], exact=True)
    assert isinstance(nearest.similar(found["item"], k=1), pl.DataFrame)


def test_compare_encoders(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it asks of ``rg.compare``, and makes of the results, which would take seconds."""
    given: list[Any] = []

    def compare(log: BehaviorLog, parts: dict[str, Any], **settings: Any) -> dict[str, Any]:
        given.append(CompareSettings(data="log", embeddings=tuple(parts), **settings))
        figures = {"test": {"auc": 0.6}, "gap": 0.1, "num_parameters": 9}
        return {"runs": [{"embedding": one, "seed": 0, **figures} for one in parts]}

    monkeypatch.setattr(rg, "compare", compare)
    with mpl.rc_context({"backend": "agg"}), own_embeddings({"sage": lambda graph, settings: None}):
        found = run("compare_encoders", {})
    (settings,) = given
    assert settings.num_centers == found["parts"]["sage"].out_channels
    assert found["runs"]["embedding"].to_list() == list(found["parts"])
    assert len(found["axes"].collections) == len(found["parts"])
