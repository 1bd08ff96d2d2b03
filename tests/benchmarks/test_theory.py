"""benchmarks/theory at toy size: every question, from its runs to tables and pictures."""

import json
from pathlib import Path

import pytest

from benchmarks.theory import __main__ as theory
from benchmarks.theory import tasks
from benchmarks.theory.runs import LONG


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    arms = [{"residual": name, "num_centers": 8} for name in ("free", "penalty 10", "shrinkage 10")]
    monkeypatch.setitem(theory.ARMS, "radius", arms)
    monkeypatch.setattr(tasks, "NUM_ITEMS", 200)
    monkeypatch.setattr(tasks, "FRESH_USERS", 50)
    monkeypatch.setitem(theory.ARMS, "tune", [{"l2": 1.0}, {"l2": 0.1}])


def test_every_question_on_small_worlds(tmp_path: Path) -> None:
    words = ["--users", "30", "--seeds", "0", "--epochs", "2", "--out", str(tmp_path)]
    for question in theory.RUNS:
        theory.main([question, *words])
    theory.main(["radius", *words, "--folds", "1"])
    theory.main(["schematic", "--epochs", "1", "--out", str(tmp_path)])
    runs = {
        question: json.loads((tmp_path / f"{question}-world.json").read_text())["runs"]
        for question in theory.RUNS
    }
    assert [len(some) for some in runs.values()] == [6, 11, 2, 1, 4]
    assert [run["arm"]["embedding"] for run in runs["long"]] == list(LONG)
    assert all(len(run["gap"]) == 2 for run in runs["long"])
    assert {run["folds"] for run in runs["radius"]} == {1, 10}
    pictures = {path.name for path in tmp_path.glob("*.png")}
    assert pictures == {
        "radius-world-30.png", "capacity-world-30.png", "recovery.png", "long-gap-world-30.png",
        "long-test-auc-world-30.png", "schematic.png",
    }  # fmt: skip
    text = (tmp_path / "README.md").read_text()
    for title in (
        "Radius against gap",
        "Radius and capacity",
        "Planted interests found again",
        "Long training",
    ):
        assert f"\n## {title}" in text
    assert "python -m benchmarks.theory tune --users 30" in text
    order = [
        line.split(" | ")[0] for line in text.splitlines() if line.startswith(("| 0.1", "| 1 "))
    ]
    assert order == ["| 0.1", "| 1"]
    before = {path: path.read_text() for path in tmp_path.glob("*.json")}
    for question in theory.RUNS:
        theory.main([question, *words])
    assert {path: path.read_text() for path in before} == before  # not made again


def test_radius_of_a_sequence_file(sequences: Path, tmp_path: Path) -> None:
    attributes = {str(item): [item // 8] for item in range(40)}
    (sequences.parent / "log_item2attributes.json").write_text(json.dumps(attributes))
    out = tmp_path / "out"
    theory.main(
        ["radius", "--data", str(sequences), "--seeds", "0", "--epochs", "1", "--out", str(out)]
    )
    found = json.loads((out / "radius-log.json").read_text())
    assert len(found["runs"]) == 3
    assert all(run["bayes_auc"] is None for run in found["runs"])  # unknown
    assert (out / "radius-log.png").is_file()
    with pytest.raises(SystemExit):
        theory.main(["recovery", "--data", str(sequences)])
