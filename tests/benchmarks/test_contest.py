"""The contest at toy size: its comparison, its simple scores and its report."""

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.accuracy.contest import __main__ as contest
from benchmarks.accuracy.contest import counts, report, search, simple
from benchmarks.accuracy.contest.draws import over_users, read_draws
from benchmarks.accuracy.contest.rule import ARMS, BESIDE, FORMS, SETS
from benchmarks.accuracy.contest.tuned import tuned_table
from resemb_gnn import BehaviorLog, cli, covisit_graph
from resemb_gnn.experiment.results import read_results
from resemb_gnn.graph import NodeFeatures, gcn_adjacency
from resemb_gnn.io.json_text import read_json
from resemb_gnn.pipeline.task import fit_with
from resemb_gnn.settings.embedding import embedding_names
from tests.benchmarks.conftest import write_sequences

ROOT = Path(__file__).parents[2]
TOY = {"epochs": 1, "ranking": "9", "embedding_dim": 4}


def test_every_arm_is_an_embedding() -> None:
    assert set(ARMS) <= set(embedding_names())
    assert set(FORMS) <= set(ARMS)
    assert {arm for one in BESIDE.values() for arm in one.arms} <= set(ARMS)


def test_runs_simple_scores_and_the_report(
    log: BehaviorLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data" / "amazon").mkdir(parents=True)
    write_sequences(log, tmp_path / "data" / "amazon" / "Beauty.txt")

    def run(words: list[str], **_: Any) -> SimpleNamespace:
        assert words[1:4] == ["-m", "resemb_gnn", "compare"]
        few = ["--epochs", "1", "--ranking", "9", "--embedding-dim", "4"]  # the last ones count
        return SimpleNamespace(returncode=cli.main([*words[3:], *few]))

    monkeypatch.setattr(subprocess, "run", run)
    given = ["--data-folder", str(tmp_path / "data"), "--only", "beauty", "--out", str(tmp_path)]
    arms = ["plain", "mlp:held"]
    assert contest.main([*given, "--arms", *arms, "--seeds", "1", "--jobs", "1"]) == 0
    monkeypatch.setitem(SETS["beauty"].settings, "ranking", "9")
    simple.main(given)
    draws = read_draws(tmp_path / "beauty")
    runs = {run["embedding"]: run for run in read_results(tmp_path / "beauty/results.json")["runs"]}
    found = over_users(draws, "mlp:held", "plain", "gauc", seeds=3)
    assert found is not None
    gain = runs["mlp:held"]["test"]["gauc"] - runs["plain"]["test"]["gauc"]
    assert found.mean == pytest.approx(gain, abs=1e-6)
    assert found.low <= found.mean <= found.high
    assert over_users(draws, "logistic", "plain", "gauc", seeds=3) is not None
    assert over_users(draws, "gcn", "plain", "gauc", seeds=3) is None
    readme = tmp_path / "README.md"
    readme.write_text("\n".join(report.MARKS))
    page = tmp_path / "page.md"
    report.main(["--results", str(tmp_path), "--out", str(page), "--readme", str(readme)])
    assert f"| {runs['mlp:held']['test']['gauc']:.4f} |" in page.read_text()
    assert f"| {100 * gain:+.1f}" in readme.read_text().replace("**", "")


def test_an_interval_over_seeds_too_adds_their_variance() -> None:
    rng = np.random.default_rng(0)
    of_users, of_seeds = rng.normal(scale=0.003, size=1001), rng.normal(scale=0.01, size=40)
    draws = {}
    for seed, shift in enumerate(of_seeds):
        draws[f"plain-{seed}"] = np.zeros((3, 1001))
        draws[f"gcn-{seed}"] = np.tile(of_users + shift, (3, 1))
    for with_seeds in (False, True):
        found = over_users(draws, "gcn", "plain", "gauc", 40, with_seeds)
        assert found is not None
        variance = of_users[1:].var() + with_seeds * of_seeds.var() / 40
        assert found.high - found.low == pytest.approx(2 * 1.96 * variance**0.5, rel=0.08)


def test_the_search_scores_validation_alone_and_goes_on(
    log: BehaviorLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "amazon").mkdir()
    write_sequences(log, tmp_path / "amazon" / "Beauty.txt")
    for name, value in TOY.items():
        monkeypatch.setitem(SETS["beauty"].settings, name, value)
    tested: list[Any] = []

    def fit(settings: Any, model: Any, split: Any, **options: Any) -> Any:
        tested.append(split.test)
        assert split.test is split.valid
        return fit_with(settings, model, split, **options)

    monkeypatch.setattr(search, "fit_with", fit)
    given = ["--data-folder", str(tmp_path), "--only", "beauty", "--results", str(tmp_path)]
    forms = ["mlp", "mlp, 32 units"]
    search.main([*given, "--forms", forms[0]])
    search.main([*given, "--forms", *forms])
    runs = read_json(tmp_path / "beauty.json")["runs"]
    assert [run["form"] for run in runs] == forms
    assert len(tested) == 2
    page = tmp_path / "SEARCH.md"
    search.main(["--report", "--results", str(tmp_path), "--out", str(page)])
    first, second = sorted(runs, key=lambda run: -run["valid"]["auc"])
    assert f"| {first['form']} | 1 | {first['valid']['auc']:.4f} |" in page.read_text()
    assert page.read_text().index(first["form"]) < page.read_text().index(f"| {second['form']} |")


def test_committed_pages_are_what_the_report_makes_of_the_committed_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    readme = tmp_path / "README.md"
    readme.write_text("\n".join(report.MARKS))
    report.main(["--out", str(tmp_path / "CONTEST.md"), "--readme", str(readme)])
    search.main(["--report", "--out", str(tmp_path / "SEARCH.md")])
    for page in ("CONTEST.md", "SEARCH.md"):
        made = (tmp_path / page).read_text()
        assert made == (ROOT / "benchmarks" / "accuracy" / page).read_text(), page
    assert readme.read_text().strip() in (ROOT / "README.md").read_text()


def test_untrained_scores_against_a_loop(log: BehaviorLog) -> None:
    graph = NodeFeatures(8)(covisit_graph(log))
    split = log.split(by="last")
    examples = split.redrawn(2, 0)[torch.arange(5)]
    size = log.num_items
    dense = np.zeros((size, size))
    dense[tuple(graph.edge_index.numpy())] = graph.edge_weight
    degree = dense.sum(axis=1).clip(1)
    cosine = dense / np.sqrt(degree[:, None] * degree)
    x = graph.x[:, :-1].double().numpy()

    def likeness(table: np.ndarray) -> np.ndarray:
        table = table / np.linalg.norm(table, axis=1, keepdims=True).clip(1e-12)
        return table @ table.T

    propagated = gcn_adjacency(graph).matmul(torch.from_numpy(x)).numpy()
    matrices = [cosine, likeness(x), likeness(propagated)]
    rows = []
    for number in range(len(examples)):
        history = examples.items[examples.start[number] : examples.end[number]].numpy()
        for item in [int(examples.target[number]), *examples.negatives[number].tolist()]:
            row = [np.log1p(int(graph.count[item]))]
            for kind, matrix in enumerate(matrices):
                values = matrix[history, item]
                row += [values.sum() if kind == 0 else values.mean(), values.max(), values[-1]]
            rows.append([*row, np.log1p(history.size)])
    found = simple.scores_of(examples, [simple.View(graph)], None)
    np.testing.assert_allclose(found.numpy(), np.array(rows), atol=1e-5)


def test_each_arm_has_the_setting_of_its_own_validation() -> None:
    valid = {"one": {"plain": 0.7, "gcn": 0.6}, "other": {"plain": 0.6, "gcn": 0.8}}
    test = {"one": {"plain": 0.5, "gcn": 0.9}, "other": {"plain": 0.9, "gcn": 0.55}}
    runs = {
        way: {
            arm: [{"seed": 0, "valid": {"auc": value}, "test": {"gauc": test[way][arm]}}]
            for arm, value in arms.items()
        }
        for way, arms in valid.items()
    }
    draws = {
        way: {f"{arm}-0": np.full((3, 1001), value) for arm, value in arms.items()}
        for way, arms in test.items()
    }
    rows = tuned_table(runs, draws, "gcn", "attention")[2:]
    assert rows == [
        "| `plain` | 1 | one (0.7000, 0.6000) | 0.5000 | – | – | **+5.00 [+5.00, +5.00]** |",
        "| `gcn` | 1 | other (0.6000, 0.8000) | 0.5500 | **+5.00 [+5.00, +5.00]** | – | – |",
    ]


def test_counts_against_a_loop(log: BehaviorLog) -> None:
    split = log.split(by="time")
    examples = split.redrawn(2, 0)[torch.arange(0, 40, 5)]
    history = split.history
    category = torch.arange(log.num_items) % 3
    found = counts.counts_of(history.items, history.times, log.num_items)
    rows = []
    for number in range(len(examples)):
        past = examples.items[examples.start[number] : examples.end[number]]
        for item in [int(examples.target[number]), *examples.negatives[number].tolist()]:
            late = [
                (
                    history.items[history.times >= np.quantile(history.times, 1 - share)] == item
                ).sum()
                for share in (1.0, 0.1, 0.05)
            ]
            same = category == category[item]
            rows.append([*late, same[history.items].sum(), same[past].sum()])
    scores = counts.scores_of(examples, found, category)
    np.testing.assert_allclose(scores.numpy(), np.log1p(np.array(rows, dtype=float)))
    without = counts.scores_of(examples, found, None)
    np.testing.assert_array_equal(without.numpy(), scores[:, :3].numpy())


def test_one_set_of_weights_scores_by_the_counts_that_it_is_told(log: BehaviorLog) -> None:
    split = log.split(by="time")
    task = SimpleNamespace(source=SimpleNamespace(log=log), split=split)
    score = counts.fit_counts(task, split.redrawn(1, 0))

    def rows(items: torch.Tensor, times: torch.Tensor) -> np.ndarray:
        found = counts.counts_of(items, times, log.num_items)
        scores = counts.scores_of(split.test, found, log.item_category).numpy()
        return np.column_stack([scores, np.ones(len(scores))])

    of_training = rows(split.history.items, split.history.times)
    weights, *_ = np.linalg.lstsq(of_training, score(split.test, False).numpy())
    np.testing.assert_allclose(of_training @ weights, score(split.test, False).numpy())
    earlier = log.times < split.settings["test_from"]
    later = rows(log.items[earlier], log.times[earlier])
    assert (later != of_training).any()
    np.testing.assert_allclose(later @ weights, score(split.test, True).numpy())
