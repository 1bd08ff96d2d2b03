"""A results file is refused where the report could not use it."""

import json
from pathlib import Path
from typing import Any

import pytest

from resemb_gnn import InputError
from resemb_gnn.experiment.results import read_results

METRICS = {"auc": 0.7, "gauc": None, "logloss": 0.6}
RUN: dict[str, Any] = {"embedding": "plain", "seed": 0, "test": METRICS, "gap": 0.1}
RUN["curve"] = [{"train_loss": 0.5, "valid": METRICS}]


def write(path: Path, run: Any) -> None:
    results = {"schema": 1, "data": {"name": "log"}, "settings": {}, "runs": [RUN, run]}
    path.write_text(json.dumps(results | {"versions": {}, "command": ""}))


def test_a_good_file(tmp_path: Path) -> None:
    write(tmp_path / "results.json", RUN | {"seed": 1})
    assert [run["seed"] for run in read_results(tmp_path / "results.json")["runs"]] == [0, 1]


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ([], r"\[\] is no run"),
        (RUN | {"embedding": None}, "embedding is None, not a name"),
        (RUN | {"seed": True}, "seed is True, not a whole number"),
        (RUN | {"gap": {}}, r"gap is \{\}, not a figure"),
        (RUN | {"gap": 1e301}, r"gap is 1e\+301, not a figure"),
        (RUN | {"test": {"auc": {"auc": 0.7}}}, "test is .*, not a figure"),
        (RUN | {"curve": 3}, "curve is 3, not a list of epochs"),
        (RUN | {"curve": [{"train_loss": {}}]}, r"curve holds .*, not an epoch's figures"),
        (RUN | {"curve": [{"valid": {"auc": []}}]}, r"curve holds .*, not an epoch's figures"),
    ],
)
def test_what_no_report_could_use(tmp_path: Path, run: Any, message: str) -> None:
    write(tmp_path / "results.json", run)
    with pytest.raises(InputError, match=rf"results\.json: run 1 \(from 0\): {message}"):
        read_results(tmp_path / "results.json")
