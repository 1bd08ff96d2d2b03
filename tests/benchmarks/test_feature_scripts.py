"""The scripts on features, at toy size."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks.accuracy import features_kuairand, features_shop
from benchmarks.speed import features, negatives, ours, preparation, ranking
from resemb_gnn.io.json_text import read_json

FORMS = ("1", "4", "4, copied")


def test_shop(tmp_path: Path) -> None:
    words = ["--rows", "3000", "--seeds", "1", "--epochs", "1", "--quiet"]
    path = tmp_path / "shop.json"
    features_shop.main([*words, "--out", str(path)])
    first = path.read_bytes()
    runs = read_json(path)["runs"]
    arms = [(run["embedding"], run["features"]) for run in runs]
    assert arms == [
        ("boosting", True),
        *((arm, known) for arm in ("plain", "gcn") for known in (True, False)),
    ]
    assert all(0 < run["test"]["auc"] < 1 for run in runs)
    features_shop.main([*words, "--out", str(path)])  # every run stands there
    assert path.read_bytes() == first


def test_columns_of_the_boosting_are_those_of_the_examples() -> None:
    log = features_shop.make_log(2000)
    split = log.split(by="time")
    found = features_shop.columns(log, split.test)
    assert found.shape == (len(split.test), 7)
    position = log.features.context.features["position"].values
    assert (found[:, 3] == position[split.test.row].numpy()).all()
    assert (found[:, -2] == split.test.target.numpy()).all()


def test_speed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "speed.json"
    words = ["--rounds", "2", "--steps", "1", "--size", "300", "150", "4000"]
    features.main([*words, "--out", str(path)])
    turns = read_json(path)["turns"]
    assert [turn["round"] for turn in turns] == [0, 0, 1, 1]
    assert "ratio: " in capsys.readouterr().out


def test_negatives(sequences: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "negatives.json"
    words = ["--data", str(sequences), "--rounds", "1", "--steps", "2", "--out", str(path)]
    negatives.main(words)
    names = [turn["name"] for turn in read_json(path)["turns"]]
    assert names == [f"{kind}, {form}" for kind in negatives.KINDS for form in FORMS]
    assert "gcn, 4: " in capsys.readouterr().out


def test_ranking(
    sequences: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "ranking.json"
    words = ["--data", str(sequences), "--rounds", "2", "--users", "3", "--out", str(path)]
    monkeypatch.setattr(ours, "BATCH_SIZE", 64)
    ranking.main(words)
    assert [turn["round"] for turn in read_json(path)["turns"]] == [0, 0, 1, 1]
    assert "ratio: " in capsys.readouterr().out


def test_kuairand(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    start, day = 1_650_816_000_000, 86_400_000  # midnight of 25 April in Beijing
    for name, first, days in (("val", 0, 6), ("test", 6, 3)):
        rows = 600
        pl.DataFrame(
            {
                "user_id": rng.integers(20, size=rows),
                "video_id": rng.integers(30, size=rows),
                "time_ms": start + first * day + rng.integers(days * day, size=rows),
                "is_click": rng.integers(2, size=rows),
                "tab": rng.integers(3, size=rows),
            }
        ).write_parquet(tmp_path / f"exposures_{name}.parquet")
    pl.DataFrame(
        {
            "user_id": range(20),
            "last_time_ms": [start - day] * 20,
            "positive_history": [rng.integers(30, size=4).tolist() for _ in range(20)],
        }
    ).write_parquet(tmp_path / "histories.parquet")
    pl.DataFrame(
        {
            "video_id": range(30),
            "author_id": [video % 7 for video in range(30)],
            "tag": [str(video % 4) for video in range(30)],
            "video_duration": [1000.0 * video for video in range(30)],
            "upload_dt": ["2022-04-01"] * 30,
        }
    ).write_parquet(tmp_path / "items.parquet")
    source, _ = features_kuairand.read(tmp_path)
    log = source.log
    assert log.features is not None
    assert log.features.context is not None
    tab = log.features.context.features["tab"]
    before = log.times < start * 1000
    assert before.sum() == 80
    assert bool((tab.missing() == before).all())  # histories have no tab, exposures have one
    path = tmp_path / "runs.json"
    words = ["--data", str(tmp_path), "--seeds", "1", "--epochs", "1", "--quiet"]
    features_kuairand.main([*words, "--out", str(path)])
    assert [run["features"] for run in read_json(path)["runs"]] == [True, False] * 2


@pytest.mark.parametrize("kind", ["sequences", "synthetic"])
def test_preparation(
    kind: str, sequences: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "preparation.json"
    words = ["--items", "300"]
    if kind == "sequences":
        words = ["--data", str(sequences), "--epochs", "1", "--seeds", "1"]
    preparation.main([*words, "--rounds", "2", "--out", str(path)])
    found = read_json(path)
    names = [turn["name"] for turn in found["turns"]]
    assert names == ["10 folds", "one graph", "one graph", "10 folds"]
    assert len(found["errors"]) == 10
    trained = ["ours", "exact"] if kind == "sequences" else []
    assert [fit["features"] for fit in found["fits"]] == trained
    assert all(row["ours_error"] <= row["full_error"] for row in found["errors"])
    assert "one graph: " in capsys.readouterr().out
