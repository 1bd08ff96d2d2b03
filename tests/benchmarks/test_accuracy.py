"""benchmarks/accuracy at toy size: what encoders, link prediction and the contest do not cover."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.accuracy import cold_items, crosscheck, parts
from resemb_gnn import BehaviorLog


@pytest.mark.usefixtures("no_pictures")
def test_parts_are_compared_with_one_thing_changed_each(sequences: Path, tmp_path: Path) -> None:
    words = ["--data", str(sequences), "--seeds", "1", "--epochs", "1", "--out", str(tmp_path)]
    parts.main([*words, "--variants", "one-graph", "permuted"])
    settings = {
        name: json.loads((tmp_path / name / "results.json").read_text())["settings"]
        for name in ("one-graph", "permuted")
    }
    changed = {
        key for key in settings["permuted"] if len({repr(s[key]) for s in settings.values()}) > 1
    }
    assert changed == {"folds", "graph"}
    table = (tmp_path / "README.md").read_text().splitlines()[-4:]
    rows = [line.strip("| ").split(" | ") for line in table]
    assert [row[1] for row in rows] == ["plain", "gcn"] * 2
    assert rows[3][0] == "control: graph with its nodes permuted"


def test_our_din_is_trained_as_fuxictrs(batches: Path, tmp_path: Path) -> None:
    arms = [name for name in crosscheck.ARMS if name != crosscheck.THEIRS]
    words = ["--data", str(batches), "--seeds", "1", "--epochs", "1", "--out", str(tmp_path)]
    crosscheck.main([*words, "--arms", *arms])
    path = tmp_path / "results.json"
    runs = json.loads(path.read_text())["runs"]
    assert [run["arm"] for run in runs] == arms
    assert runs[0]["test"] != runs[1]["test"]  # other layers
    for run in runs:
        assert 0 < run["test"] < 1
        assert len(run["valid"]) == run["best_epoch"] == 1
    before = path.read_text()
    crosscheck.main([*words, "--arms", *arms])
    assert path.read_text() == before  # not made again


@pytest.mark.skipif(
    importlib.util.find_spec("fuxictr") is None, reason="needs benchmarks/speed/requirements.txt"
)
def test_fuxictrs_din_is_trained_on_our_examples(batches: Path, tmp_path: Path) -> None:
    words = ["--data", str(batches), "--seeds", "1", "--epochs", "2", "--out", str(tmp_path)]
    crosscheck.main([*words, "--arms", crosscheck.THEIRS])
    (run,) = json.loads((tmp_path / "results.json").read_text())["runs"]
    assert run["test"] > 0.5


@pytest.mark.parametrize("features", [False, True])
def test_cold_items_are_ranked_by_each_kind_of_vector(
    log: BehaviorLog, sequences: Path, tmp_path: Path, features: bool
) -> None:
    attributes = {str(item): [item // 8, 100 + item % 8] for item in range(log.num_items)}
    path = tmp_path / "attributes.json"
    path.write_text(json.dumps(attributes))
    words = ["--data", str(sequences), "--attributes", str(path), "--out", str(tmp_path)]
    words += ["--share", "0.4", "--seeds", "2", "--epochs", "1", "--quiet"]
    cold_items.main([*words, "--features"] if features else words)
    found = json.loads((tmp_path / "cold_items.json").read_text())
    assert found["settings"]["data"] == sequences.name
    names = list(found["runs"][0]["auc"])
    assert {"random", "popularity mean", "embed_new, attributes, scaled"} < set(names)
    assert ("embed_new, features and co-visits" in names) == features
    assert ("regression to the vectors" in names) == features
    for run in found["runs"]:
        assert run["num_cold"] == round(0.4 * log.num_items)
        # The same vector for all cold items; sums are rounded.
        assert run["auc"]["popularity mean"] == pytest.approx(0.5, abs=1e-3)
    text = (tmp_path / "cold_items.md").read_text()
    values = [run["auc"]["random"] for run in found["runs"]]
    row = f"| random | {np.mean(values):.4f} | {min(values):.4f} to {max(values):.4f} |"
    assert row in text.splitlines()


def test_cold_items_need_an_encoder_of_centres() -> None:
    with pytest.raises(SystemExit):  # before anything is read
        cold_items.main(["--data", "nowhere.txt", "--encoder", "plain"])
    with pytest.raises(SystemExit):
        cold_items.main(["--data", "nowhere.txt", "--features"])
