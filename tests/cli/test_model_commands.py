"""From a newcomer's table to a model that is evaluated, asked and exported."""

import json
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file

import resemb_gnn as rg
from resemb_gnn import cli
from resemb_gnn.cli import model_commands
from resemb_gnn.errors import TrainingError
from resemb_gnn.io.tables import write_table

COLUMNS = ["--user", "user_id", "--item", "item_id", "--time", "ts"]
SMALL = ["--epochs", "1", "--folds", "2", "--embedding-dim", "4", "--num-centers", "8", "--quiet"]


def table(log: rg.BehaviorLog) -> pl.DataFrame:
    """String ids and ISO times, in no order."""
    start = datetime(2024, 5, 1)
    times = [(start + timedelta(hours=t)).isoformat() for t in log.times.tolist()]
    frame = pl.DataFrame(
        {
            "user_id": log.user_ids.gather(log.users.numpy()),
            "item_id": "P-" + log.item_ids.gather(log.items.numpy()).cast(pl.String),
            "ts": times,
        }
    )
    return frame.sample(fraction=1.0, shuffle=True, seed=1)


@pytest.fixture(scope="module")
def place(log: rg.BehaviorLog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``log.csv`` and the ``model`` that fit made of it."""
    folder = tmp_path_factory.mktemp("commands")
    table(log).write_csv(folder / "log.csv")
    data = ["--data", str(folder / "log.csv"), *COLUMNS]
    assert cli.main(["fit", *data, "--out", str(folder / "model"), *SMALL]) == 0
    return folder


def run(place: Path, command: str, *arguments: str) -> int:
    return cli.main([command, *arguments, "--model", str(place / "model"), "--quiet"])


def test_fit_leaves_the_model_alone(place: Path) -> None:
    assert (place / "model" / "weights.safetensors").is_file()
    assert not list(place.glob("*.checkpoints"))


def test_fit_does_not_train_over_a_model(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ["--data", str(place / "log.csv"), *COLUMNS]
    assert cli.main(["fit", *data, "--out", str(place / "model"), *SMALL]) == 2
    assert "holds a model: add --replace" in capsys.readouterr().err


def test_stopped_fit_goes_on(
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["fit", "--data", str(place / "log.csv"), *COLUMNS, *SMALL, "--epochs", "2"]
    assert cli.main([*words, "--out", str(tmp_path / "whole")]) == 0

    def stop(trained: rg.TrainedModel, *arguments: object, **options: object) -> None:
        raise KeyboardInterrupt  # after the last epoch, before the folder is written

    with monkeypatch.context() as patch:
        patch.setattr(rg.TrainedModel, "save", stop)
        assert cli.main([*words, "--out", str(tmp_path / "model")]) == 130
    assert {path.name for path in tmp_path.iterdir()} == {"whole", "model.checkpoints"}
    assert cli.main([*words, "--out", str(tmp_path / "model")]) == 2
    assert "model.checkpoints" in capsys.readouterr().err
    assert cli.main([*words, "--out", str(tmp_path / "model"), "--resume"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"whole", "model"}
    one, other = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "model"))
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_evaluate_gives_what_fit_measured(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(place, "evaluate", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    saved = json.loads((place / "model" / "settings.json").read_text())
    assert found["test"] == saved["figures"]["test"]
    assert found["training_data"] is True
    assert found["examples"] == saved["data"]["test_examples"]
    assert run(place, "evaluate") == 0
    lines = [line.split()[-3:] for line in capsys.readouterr().out.splitlines()]
    assert lines[-1] == lines[-2] == [
        f"{found['test'][name]:.4f}" for name in ("auc", "gauc", "logloss")
    ]  # fmt: skip


def test_evaluate_tells_where_the_test_rows_may_be_those_of_training(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", "--model", str(place / "model")]
    for more, told in ((["--split", "time"], True), (["--negatives", "popularity"], False)):
        assert cli.main([*words, *more]) == 0
        assert ("may have been trained on some of the test" in capsys.readouterr().err) == told


def test_evaluate_on_another_log(
    place: Path, log: rg.BehaviorLog, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = table(log).filter(pl.col("user_id") < "u30")
    new = more.head(20).with_columns(item_id=pl.lit("P-new"))
    pl.concat([more, new]).write_csv(tmp_path / "more.csv")
    assert run(place, "evaluate", "--data", str(tmp_path / "more.csv"), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["training_data"] is False
    assert (found["rows"], found["scored_rows"]) == (len(more) + 20, len(more))
    assert found["examples"] == 2 * len(more)  # a negative each
    assert found["rows_not_later"] == found["rows"]  # they are of the training's log
    assert 0 <= found["test"]["auc"] <= 1
    assert run(place, "evaluate", "--data", str(tmp_path / "more.csv"), "--split", "last") == 2
    assert "every row of it is scored" in capsys.readouterr().err
    pl.DataFrame({"user_id": ["a"] * 4, "item_id": list("wxyz"), "ts": range(4)}).write_csv(
        tmp_path / "strange.csv"
    )
    assert run(place, "evaluate", "--data", str(tmp_path / "strange.csv")) == 2
    assert "holds no item that the model knows" in capsys.readouterr().err


def test_evaluate_on_a_sequence_file_names_no_columns(
    place: Path, log: rg.BehaviorLog, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A ``.txt`` is a table where columns are named, and those of training do not count."""
    users = table(log).sort("ts").group_by("user_id", maintain_order=True).agg("item_id")
    lines = [f"{user} {' '.join(items)}\n" for user, items in users.rows()]
    (tmp_path / "log.txt").write_text("".join(lines))
    assert run(place, "evaluate", "--data", str(tmp_path / "log.txt"), "--json") == 0
    assert json.loads(capsys.readouterr().out)["data"] == "log.txt"
    assert run(place, "evaluate", "--data", str(tmp_path / "log.txt"), "--user", "who") == 2
    assert "log.txt (tabs) has no column 'who'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("form", "ending"),
    [("pairs.csv", "csv"), ("pairs.txt", "parquet"), ("pairs.TSV.gz", "csv"), ("pairs", "parquet")],
)
def test_predict_writes_the_models_scores(
    form: str, ending: str, place: Path, tmp_path: Path
) -> None:
    pairs = pl.DataFrame({"user_id": ["u01", "u02", "u01"], "item_id": ["P-100", "P-101", "P-139"]})
    if form == "pairs":
        (tmp_path / form).mkdir()
        pairs.write_parquet(tmp_path / form / "part-0.parquet")
    else:
        write_table(pairs, tmp_path / form)
    out = tmp_path / f"scores.{ending}"
    assert run(place, "predict", "--data", str(tmp_path / form), "--out", str(out)) == 0
    table = pl.read_csv(out) if ending == "csv" else pl.read_parquet(out)
    assert table.drop("score").equals(pairs)
    expected = rg.load(place / "model").predict(pairs["user_id"], pairs["item_id"])
    np.testing.assert_allclose(table["score"], expected, rtol=1e-6)


def test_predict_with_unknown_ids(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "pairs.csv", tmp_path / "scores.csv"
    path.write_text("who,what\nu01,P-100\nu01,P-7\n")
    words = ["--data", str(path), "--user", "who", "--item", "what", "--out", str(out)]
    assert run(place, "predict", *words) == 2
    assert "column 'what', line 3: 'P-7' is unknown" in capsys.readouterr().err
    assert not out.exists()
    assert run(place, "predict", *words, "--unknown", "skip") == 0
    assert pl.read_csv(out)["score"].is_null().to_list() == [False, True]
    assert run(place, "predict", *words[:-1], "scores.txt") == 2


@pytest.mark.parametrize("kind", [pl.Binary, pl.Duration, pl.List(pl.String)])
def test_predict_tells_what_no_csv_can_hold_before_it_scores(
    kind: Any, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = pl.Series("more", [None], dtype=kind)
    pairs = pl.DataFrame({"user_id": ["nobody"], "item_id": ["P-100"], "more": more})
    pairs.write_parquet(tmp_path / "pairs.parquet")
    words = ["--data", str(tmp_path / "pairs.parquet"), "--out", str(tmp_path / "scores.csv")]
    assert run(place, "predict", *words) == 2
    assert "column 'more' of" in (told := capsys.readouterr().err)
    assert "name a .parquet by --out" in told


def test_similar_prints_the_nearest(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(place, "similar", "P-100", "--k", "3") == 0
    printed = [line.split() for line in capsys.readouterr().out.splitlines()[2:]]
    found = rg.load(place / "model").similar("P-100", 3)
    assert printed == [[item, f"{cosine:.4f}"] for item, cosine in found.rows()]
    assert run(place, "similar", "P-7") == 2
    assert "item 'P-7' is unknown" in capsys.readouterr().err


def test_export_writes_what_serving_reads(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "served"
    words = ["--out", str(out), "--no-index", "--no-onnx"]
    assert run(place, "export", *words) == 0
    names = {path.name for path in out.iterdir()}
    assert names == {"items.parquet", "scorer.pt2", "scorer.json"}
    printed = capsys.readouterr().out
    assert all(name in printed for name in names)
    assert run(place, "export", *words) == 2
    assert run(place, "export", *words, "--replace") == 0
    # A model's folder has an items.parquet too, and is no exported one.
    assert run(place, "export", "--out", str(place / "model"), "--replace") == 2


def test_a_model_without_a_scorer_is_told_before_its_vectors_are_made(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small: dict[str, Any] = {"epochs": 1, "quiet": True, "embedding_dim": 4, "embedding": "plain"}
    small |= {"data": str(place / "log.csv"), "model": "dien"}
    rg.train(user="user_id", item="item_id", time="ts", **small).save(tmp_path / "dien")
    words = ["--model", str(tmp_path / "dien"), "--out", str(tmp_path / "served")]
    assert cli.main(["export", *words, "--no-index", "--no-onnx"]) == 2
    told = capsys.readouterr().err
    assert "no export" in told
    assert "item vectors" not in told
    assert not (tmp_path / "served").exists()


def test_a_quiet_export_has_an_empty_standard_error(place: Path, tmp_path: Path) -> None:
    """In a process of its own: PyTorch's log handlers write past pytest's capture."""
    for extra in ("onnxscript", "usearch"):
        pytest.importorskip(extra, reason=f"needs {extra}")
    words = [sys.executable, "-m", "resemb_gnn", "export", "--model", str(place / "model")]
    words += ["--out", str(tmp_path / "served"), "--quiet"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "scorer.onnx" in done.stdout


@pytest.mark.parametrize(
    ("words", "stages"),
    [
        (["similar", "P-100"], ["reading", "searching"]),
        (["export", "--out", "served", "--no-index", "--no-onnx"], ["item vectors", "scorer"]),
        (["evaluate"], ["reading"]),
    ],
)
def test_stages_are_shown_unless_quiet(
    words: list[str],
    stages: list[str],
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    words += ["--model", str(place / "model")]
    assert cli.main(words) == 0
    shown = capsys.readouterr().err
    assert all(stage in shown for stage in stages)
    assert cli.main([*words, "--quiet", *(["--replace"] if words[0] == "export" else [])]) == 0
    assert not capsys.readouterr().err


def test_a_missing_extra_is_named(
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    assert run(place, "export", "--out", str(tmp_path / "served")) == 2
    assert "pip install 'resemb-gnn[serve]'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_what_must_be_given(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["similar", "--model", "model"]) == 2
    assert "ITEM_ID is missing" in capsys.readouterr().err
    assert cli.main(["predict", "--data", "x.csv"]) == 2
    assert "--model is missing" in capsys.readouterr().err
    assert cli.main(["evaluate", "--model", "nowhere"]) == 2
    assert "nowhere/settings.json cannot be read" in capsys.readouterr().err


def test_training_that_cannot_go_on_ends_with_1(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise TrainingError("no memory")

    monkeypatch.setattr(model_commands, "train", fail)
    assert cli.main(["fit", "--data", "complete-journey", "--out", str(tmp_path / "model")]) == 1
