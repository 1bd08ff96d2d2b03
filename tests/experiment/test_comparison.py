"""A whole comparison on a small log: files, resumption, honesty of the figures."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import resemb_gnn.experiment.run as module
import resemb_gnn.pipeline.task as training
from resemb_gnn import BehaviorLog, InputError, evaluate, fit
from resemb_gnn.experiment import compare
from resemb_gnn.experiment.comparison import command
from resemb_gnn.experiment.ranking import ranked_examples, ranking_figures
from resemb_gnn.experiment.results import read_results
from resemb_gnn.models import CTRModel
from resemb_gnn.pipeline.task import read_task
from resemb_gnn.settings import CompareSettings
from resemb_gnn.theory import GapCurve
from resemb_gnn.training.metrics import auc, log_loss

pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.fixture
def table(tmp_path: Path, log: BehaviorLog) -> Path:
    return write_table(log, tmp_path / "log.parquet")


def write_table(log: BehaviorLog, path: Path) -> Path:
    users = log.user_ids.gather(log.users.numpy())
    items = log.item_ids.gather(log.items.numpy())
    frame = pl.DataFrame({"u": users, "i": items, "t": log.times.numpy()})
    frame.with_columns(c=pl.col("i") // 8).write_parquet(path)
    return path


def settings(table: Path, out: Path, **changes: object) -> CompareSettings:
    options = {
        "data": str(table),
        "user": "u",
        "item": "i",
        "time": "t",
        "embeddings": ("plain", "gcn"),
        "seeds": 2,
        "epochs": 2,
        "out": str(out),
        "quiet": True,
    }
    return CompareSettings(**(options | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def whole(
    log: BehaviorLog, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], Path, list[str]]:
    """What a comparison returns, its folder, and what it says."""
    folder = tmp_path_factory.mktemp("comparison")
    table = write_table(log, folder / "log.parquet")
    lines: list[str] = []
    return compare(settings(table, folder / "out"), log=lines.append), folder / "out", lines


def test_compare_writes_what_the_schema_says(
    whole: tuple[dict[str, Any], Path, list[str]],
) -> None:
    results, out, lines = whole
    assert read_results(out / "results.json") == results
    assert results["schema"] == 1
    assert [(run["embedding"], run["seed"]) for run in results["runs"]] == [
        ("plain", 0), ("gcn", 0), ("plain", 1), ("gcn", 1),
    ]  # fmt: skip
    for run in results["runs"]:
        assert run["model"] == "din"
        assert run["gap"] == pytest.approx(run["test"]["logloss"] - run["train"]["logloss"])
        assert run["epochs"] == len(run["curve"]) <= 2
        assert run["valid"]["auc"] == max(epoch["valid"]["auc"] for epoch in run["curve"])
        best = run["curve"][run["best_epoch"] - 1]
        assert best["gap"] == pytest.approx(run["valid"]["logloss"] - run["train"]["logloss"])
        assert run["examples_per_second"] == pytest.approx(
            results["data"]["train_examples"] / 2 * 5 / run["seconds_per_epoch"]
        )
    assert results["data"]["num_items"] == 40
    assert results["data"]["split"]["negatives"] == "uniform"
    assert results["settings"]["max_history"] == 50
    assert any("gcn, seed 1" in line for line in lines)
    page = (out / "report.html").read_text()
    for run in results["runs"][:2]:
        assert f"{run['embedding']}" in page
    assert "gcn" in (out / "results.md").read_text()
    assert (out / "geometry" / "gcn.npz").exists()
    assert not list(out.glob(".results*"))  # no temporary file is left


def test_a_stopped_comparison_goes_on_where_it_was(
    whole: tuple[dict[str, Any], Path, list[str]],
    table: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = []
    true_fit = fit

    def fit_then_stop(*args: object, **kwargs: object) -> object:
        if len(calls) == 3:
            raise KeyboardInterrupt
        calls.append(1)
        return true_fit(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(training, "fit", fit_then_stop)
    with pytest.raises(KeyboardInterrupt):
        compare(settings(table, tmp_path / "out"))
    assert len(read_results(tmp_path / "out" / "results.json")["runs"]) == 3
    monkeypatch.setattr(training, "fit", true_fit)
    resumed = compare(settings(table, tmp_path / "out", resume=True))
    for one, other in zip(whole[0]["runs"], resumed["runs"], strict=True):
        assert {key: one[key] for key in ("embedding", "seed", "test", "valid", "train")} == {
            key: other[key] for key in ("embedding", "seed", "test", "valid", "train")
        }


def without_times(results: dict[str, Any]) -> dict[str, Any]:
    """The contents of a results.json without what is measured by the clock."""

    def figures(run: dict[str, Any]) -> dict[str, Any]:
        curve = [{k: v for k, v in epoch.items() if k != "seconds"} for epoch in run["curve"]]
        times = ("seconds_per_epoch", "examples_per_second")
        return {k: v for k, v in run.items() if k not in times} | {"curve": curve}

    kept = {k: v for k, v in results.items() if k != "command"}
    return kept | {"runs": [figures(run) for run in results["runs"]]}


def test_a_run_stopped_between_epochs_goes_on_from_its_checkpoint(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"embeddings": ("gcn",), "seeds": 1, "epochs": 3}
    whole = compare(settings(table, tmp_path / "whole", **options))
    assert not (tmp_path / "whole" / "checkpoints").exists()
    measure, epochs = GapCurve.__call__, []

    def measure_then_stop(self: Any, number: int, epoch: Any) -> None:
        if stops and number == 3:
            raise RuntimeError("the machine stops")
        epochs.append(number)
        measure(self, number, epoch)

    monkeypatch.setattr(GapCurve, "__call__", measure_then_stop)
    out, stops = tmp_path / "out", True
    with pytest.raises(RuntimeError, match="the machine stops"):
        compare(settings(table, out, **options))
    assert (out / "checkpoints" / "gcn-0").is_dir()
    stops = False
    with pytest.raises(InputError, match="checkpoints exists: add --resume"):
        compare(settings(table, out, **options))
    with pytest.raises(InputError, match=r"another run: .*lr was 0.004 and is 0.01"):
        compare(settings(table, out, resume=True, **options | {"lr": 0.01}))
    resumed = compare(settings(table, out, resume=True, **options))
    assert epochs == [1, 2, 3]
    assert without_times(resumed) == without_times(whole)
    assert not (out / "checkpoints").exists()


def test_the_same_seed_gives_the_same_results_file(table: Path, tmp_path: Path) -> None:
    """All but times and paths: with the same seed, machine and number of threads."""
    options = {"embeddings": ("plain:l2", "gat", "plain:adamar"), "seeds": 1, "model": "dien"}
    for name in ("one", "other"):
        compare(settings(table, tmp_path / name, **options))
    one, other = (
        without_times(json.loads((tmp_path / name / "results.json").read_text()))
        for name in ("one", "other")
    )
    assert one == other
    assert one["runs"]


def test_resume_may_add_embeddings_and_seeds(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    compare(settings(table, out, embeddings=("plain",), seeds=1, epochs=1))
    first = read_results(out / "results.json")["runs"][0]
    results = compare(settings(table, out, epochs=1, resume=True))
    assert len(results["runs"]) == 4
    assert results["runs"][0] == first


def test_runs_of_another_process_are_kept(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    stopped = out / "checkpoints" / "gat-0" / "of a run that was stopped"

    def meanwhile(line: str) -> None:
        if line.startswith("plain, seed 0"):
            compare(settings(table, out, embeddings=("average",), seeds=1, resume=True))
            stopped.mkdir(parents=True)

    results = compare(settings(table, out, embeddings=("plain",)), log=meanwhile)
    assert [(run["embedding"], run["seed"]) for run in results["runs"]] == [
        ("plain", 0), ("average", 0), ("plain", 1),
    ]  # fmt: skip
    assert read_results(out / "results.json") == results
    assert [path.name for path in (out / "checkpoints").iterdir()] == ["gat-0"]


def test_resume_refuses_other_settings_and_other_data(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    compare(settings(table, out, embeddings=("plain",), seeds=1, epochs=1))
    before = (out / "results.json").read_text()
    with pytest.raises(InputError, match=r"results.json exists: add --resume"):
        compare(settings(table, out, epochs=1))
    with pytest.raises(InputError, match=r"lr was 0.004 and is 0.01"):
        compare(settings(table, out, epochs=1, lr=0.01, resume=True))
    older = json.loads(before)  # of before these were settings
    del older["settings"]["attention"], older["settings"]["ema_decay"]
    (out / "results.json").write_text(json.dumps(older))
    with pytest.raises(InputError, match=r"attention was 'none' .*ema_decay was None"):
        compare(settings(table, out, epochs=1, resume=True))
    (out / "results.json").write_text(before)
    frame = pl.read_parquet(table)
    frame[:-1].write_parquet(table)
    with pytest.raises(InputError, match="data fingerprint"):
        compare(settings(table, out, epochs=1, resume=True))
    assert (out / "results.json").read_text() == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read"),
        ("[]", "not a results file"),
        ('{"schema": 7}', "not a results file of schema 1"),
        ('{"schema": 1, "data": {}}', "lacks command, runs, settings, versions"),
    ],
)
def test_resume_refuses_a_damaged_file(
    table: Path, tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(InputError, match=message):
        compare(settings(table, tmp_path, resume=True))
    assert (tmp_path / "results.json").read_text() == text


def test_permuted_graph_and_category_change_the_model(table: Path, tmp_path: Path) -> None:
    plain = compare(settings(table, tmp_path / "a", embeddings=("gcn",), seeds=1, epochs=1))
    permuted = compare(
        settings(table, tmp_path / "b", embeddings=("gcn",), seeds=1, epochs=1, graph="permuted")
    )
    category = compare(
        settings(table, tmp_path / "c", embeddings=("gcn",), seeds=1, epochs=1, category="c")
    )
    without = compare(
        settings(
            table, tmp_path / "d", embeddings=("gcn",), seeds=1, epochs=1, category="c",
            use_category=False,
        )
    )  # fmt: skip
    counts = compare(
        settings(
            table, tmp_path / "e", embeddings=("gcn",), seeds=1, epochs=1,
            graph="permuted-with-counts",
        )
    )  # fmt: skip
    runs = [results["runs"][0] for results in (plain, permuted, category, without, counts)]
    assert runs[4]["test"] not in (runs[0]["test"], runs[1]["test"])
    assert runs[0]["test"] != runs[1]["test"]
    assert runs[2]["num_parameters"] > runs[0]["num_parameters"]
    assert runs[3]["test"] == runs[0]["test"]


def test_figures_are_those_of_the_best_weights(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = []
    true_fit = fit

    def keep(model, split, **options):  # type: ignore[no-untyped-def]
        result = true_fit(model, split, **options)
        kept.append((result.model, split))
        return result

    monkeypatch.setattr(training, "fit", keep)
    results = compare(settings(table, tmp_path / "out", embeddings=("gcn",), seeds=1))
    model, split = kept[0]
    assert evaluate(model, split.test).auc == results["runs"][0]["test"]["auc"]


def test_not_a_number_is_written_as_null(tmp_path: Path) -> None:
    from resemb_gnn.experiment.results import write_results

    path = tmp_path / "results.json"
    figures = {"test": {"auc": float("nan")}, "gap": float("inf")}
    run = {"embedding": "plain", "seed": 0}
    write_results(
        path,
        {"schema": 1, "data": {"name": "log"}, "settings": {"user": None}, "runs": [run | figures],
         "versions": {}, "command": ""},
    )  # fmt: skip
    assert json.loads(path.read_text())["runs"] == [run | {"test": {"auc": None}, "gap": None}]
    results = read_results(path)
    assert np.isnan(results["runs"][0]["test"]["auc"])
    assert results["settings"]["user"] is None


def test_a_compiled_run_begins_with_nothing_compiled(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its figures would depend on the runs that were made in the same process before."""
    seen: list[str] = []
    monkeypatch.setattr(torch.compiler, "reset", lambda: seen.append("reset"))
    monkeypatch.setattr(CTRModel, "compile", lambda self: seen.append("compile"))
    options = {"embeddings": ("plain",), "epochs": 1}
    compare(settings(table, tmp_path / "out", compile=True, **options))
    assert seen == ["reset", "compile"] * 2
    compare(settings(table, tmp_path / "other", **options))
    assert len(seen) == 4


def test_command_names_what_differs_from_the_defaults() -> None:
    one = CompareSettings(
        data="my log.csv", user="u", embeddings=("plain", "gat"), use_category=False, resume=True
    )
    assert command(one) == (
        "resemb-gnn compare --data 'my log.csv' --user u --no-use-category --embeddings plain gat"
    )
    assert command(CompareSettings(seeds=1)) == (
        "resemb-gnn compare --data complete-journey --seeds 1"
    )


def test_a_finished_comparison_is_only_reported_again(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"embeddings": ("gcn",), "seeds": 1, "epochs": 1}
    first = compare(settings(table, tmp_path / "out", **options))
    (tmp_path / "out" / "report.html").unlink()

    def refuse(*args: object) -> None:
        raise AssertionError("the graph is built although nothing is left to train")

    monkeypatch.setattr(training, "covisits", refuse)
    again = compare(settings(table, tmp_path / "out", resume=True, **options))
    assert again["runs"] == first["runs"]
    assert "gcn" in (tmp_path / "out" / "report.html").read_text()


def test_a_comparison_is_replaced_when_asked_and_keeps_what_lies_beside(
    table: Path, tmp_path: Path
) -> None:
    options = {"embeddings": ("gcn",), "seeds": 1, "epochs": 1}
    out = tmp_path / "out"
    compare(settings(table, out, save_predictions=True, **options))
    assert (out / "predictions" / "gcn-0.parquet").exists()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="add --resume to go on with it, --replace to begin anew"):
        compare(settings(table, out, **options))
    with pytest.raises(InputError, match="resume goes on with the comparison"):
        settings(table, out, resume=True, replace=True)
    options |= {"embeddings": ("plain",)}
    found = compare(settings(table, out, replace=True, **options))
    assert [run["embedding"] for run in found["runs"]] == ["plain"]
    assert read_results(out / "results.json")["runs"] == found["runs"]
    names = {"notes.txt", "report.html", "results.json", "results.md"}
    assert {path.name for path in out.iterdir()} == names


def test_rare_targets_by_a_loop(log: BehaviorLog) -> None:
    split = log.split()
    items = split.history.items.tolist()
    rare = module.rare_targets(split)
    expected = [t for t in split.test.target.tolist() if items.count(t) <= module.RARE]
    assert rare.target.tolist() == expected


def test_rankings_and_predictions(table: Path, tmp_path: Path) -> None:
    """Each run's file holds what its figures were computed of."""
    more = {"ranking": 9, "save_predictions": True, "ranking_users": 30, "epochs": 1}
    results = compare(settings(table, tmp_path / "out", **more))
    assert read_results(tmp_path / "out" / "results.json") == results
    task = read_task(settings(table, tmp_path, **more), ["plain"])
    test = task.split.test
    for run in results["runs"]:
        assert run["ranking"]["among"] == 9
        assert run["ranking"]["examples"] == 30
        assert 0 <= run["ranking"]["hr_1"] <= run["ranking"]["mrr"] <= run["ranking"]["hr_10"] == 1
        name = f"{run['embedding']}-{run['seed']}.parquet"
        found = pl.read_parquet(tmp_path / "out" / "predictions" / name)
        logit, label = (found[part].to_torch() for part in ("logit", "label"))
        assert float(auc(logit, label)) == run["test"]["auc"]
        assert log_loss(logit, label.float()) == run["test"]["logloss"]
        rows = pl.read_parquet(table)[found["row"]]
        assert found["user"].to_list() == rows["u"].to_list()
        assert found["time"].to_list() == rows["t"].to_list()
        bought = (rows["i"] == found["item"]).to_list()
        assert bought == (found["label"] == 1).to_list()
        assert test.label.tolist() == found["label"].to_list()
    over_users = results["over_users"]["gcn"]
    for metric in ("auc", "gauc", "logloss"):
        plain, gcn = (
            np.mean([run["test"][metric] for run in results["runs"] if run["embedding"] == name])
            for name in ("plain", "gcn")
        )
        found = over_users[metric]
        assert found["mean"] == pytest.approx(gcn - plain, abs=1e-6)
        assert found["low"] < found["mean"] < found["high"]
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Ranking among 9 drawn items" in page
    assert "AUC, over users" in page
    with pytest.raises(InputError, match="ranking was '9' and is 'all'"):
        compare(settings(table, tmp_path / "out", resume=True, **more | {"ranking": "all"}))
    (tmp_path / "out" / "predictions" / "gcn-1.parquet").write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"gcn-1.parquet cannot be read"):
        compare(settings(table, tmp_path / "out", resume=True, **more))


def test_the_whole_catalogue_is_ranked(table: Path, tmp_path: Path) -> None:
    """An untrained model ranks as chance does: of 40 items a quarter is among the first 10."""
    asked = settings(table, tmp_path, ranking="all", embeddings=("plain",))
    task = read_task(asked, ["plain"])
    model = task.make_model("plain", asked, seed=0)
    found = ranking_figures(model, task, asked)
    assert (found["among"], found["examples"]) == ("all", int(task.split.test.label.sum()))
    assert 0.1 < found["hr_10"] < 0.6
    few = ranking_figures(model, task, replace(asked, ranking_users=5))
    assert few["examples"] == 5
    drawn = ranked_examples(task.split.test, 5)
    assert drawn.user.unique().numel() == 5
    assert bool((drawn.label == 1).all())


def test_a_log_with_labels_is_not_ranked(table: Path, tmp_path: Path) -> None:
    labelled = tmp_path / "labelled.parquet"
    pl.read_parquet(table).with_columns(y=pl.int_range(pl.len()) % 2).write_parquet(labelled)
    with pytest.raises(InputError, match=r"ranking=99: labelled\.parquet has labels"):
        compare(settings(labelled, tmp_path / "out", label="y", ranking=99))
    with pytest.raises(InputError, match="ranking_users=3 is read with ranking alone"):
        settings(table, tmp_path, ranking_users=3)
    with pytest.raises(InputError, match="ranking='some' is neither a whole number above 0 nor"):
        settings(table, tmp_path, ranking="some")
