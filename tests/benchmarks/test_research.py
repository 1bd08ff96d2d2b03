"""The research table: commands, tuned settings, and the figures of RESULTS.md by hand."""

import argparse
import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from scipy import stats

from benchmarks.accuracy.research import claims, report, tables, tuning
from benchmarks.accuracy.research import readme as readme_table
from benchmarks.accuracy.research import settings as chosen
from benchmarks.accuracy.research.__main__ import cells, main
from benchmarks.accuracy.research.readme import MARKS, README_ARMS
from benchmarks.tables import write_between
from resemb_gnn import BehaviorLog, covisit_graph
from resemb_gnn.cli import add_settings
from resemb_gnn.experiment import CompareSettings
from resemb_gnn.experiment.results import SCHEMA, read_results
from resemb_gnn.graph import NodeFeatures
from resemb_gnn.pipeline.embeddings import make_embedding
from resemb_gnn.settings.embedding import embedding_name, tuned_of

ROOT = Path(__file__).parents[2]
AUC = {  # by arm, of seeds 0 to 2
    "plain": (0.70, 0.71, 0.72),
    "plain:l2": (0.71, 0.73, 0.72),
    "plain:spectral": (0.80, 0.81, 0.82),
    "gcn": (0.83, 0.85, 0.84),
    "gcn:none": (0.84, 0.83, 0.86),
}


def write_cell(folder: Path, arms: list[str]) -> None:
    runs = [
        {
            "embedding": arm,
            "seed": seed,
            "test": {"auc": auc, "gauc": auc, "logloss": 0.5},
            "valid": {"auc": auc},
            "test_rare": {"auc": auc - 0.1},
            "gap": 0.1,
        }
        for arm in arms
        for seed, auc in enumerate(AUC[arm])
    ]
    head = {
        "schema": SCHEMA,
        "data": {"name": "log"},
        "settings": {},
        "versions": {},
        "command": "compare",
    }
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps(head | {"runs": runs}))


def drop_last_run(path: Path) -> None:
    """As if the comparison had been stopped before its last run."""
    stopped = json.loads(path.read_text())
    stopped["runs"].pop()
    path.write_text(json.dumps(stopped))


def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *more: str) -> str:
    monkeypatch.setattr(claims, "RES", ("gcn",))
    words = ["--results", str(tmp_path / "results"), "--tuning", str(tmp_path / "tuning")]
    for flag in ("own", "own-tuning", "four"):
        words += [f"--{flag}", str(tmp_path / flag)]
    report.main([*words, "--out", str(tmp_path / "RESULTS.md"), *more])
    return (tmp_path / "RESULTS.md").read_text()


def test_differences_are_paired_by_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cell(tmp_path / "results" / "beauty-uniform-din", list(AUC))
    text = make(tmp_path, monkeypatch)
    # gcn less plain: 13, 14 and 12 points.
    half = float(stats.t.ppf(0.975, 2)) / 3**0.5
    text = text.split("## beauty-uniform-din\n")[1]
    row = next(line for line in text.splitlines() if line.startswith("| gcn "))
    assert f"**+13.00 [{13 - half:+.2f}, {13 + half:+.2f}]**" in row
    assert "0.8400 ± 0.0100" in row
    assert (tmp_path / "results" / "differences.png").stat().st_size > 10_000
    # Arms in the order of validation AUC.
    order = [line.split()[1] for line in text.splitlines() if " ± 0" in line]
    assert order == ["gcn:none", "gcn", "plain:spectral", "plain:l2", "plain"]


def test_overviews_of_data_sets_and_of_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "SEEDS", 3)
    write_cell(tmp_path / "results" / "beauty-uniform-din", list(AUC))
    write_cell(tmp_path / "results" / "beauty-uniform-pnn", ["plain", "gcn"])
    path = tmp_path / "results" / "kuairand-clicks-din"
    write_cell(path, ["plain", "gcn"])
    drop_last_run(path / "results.json")
    text = make(tmp_path, monkeypatch)
    sets, models = (
        text.split(f"## Every embedding by {what}\n")[1] for what in ("data set", "model")
    )
    rows = [line for line in sets.split("##")[0].splitlines() if line.startswith("| ")]
    assert rows == [
        "| embedding | Beauty, uniform negatives | KuaiRand, real impressions |",
        "| plain | 0.7100 | 0.7100 |",
        "| plain:l2 | 0.7200 | – |",
        "| plain:spectral | 0.8100 | – |",
        "| gcn | 0.8400 | 0.8400 (2) |",
        "| gcn:none | 0.8433 | – |",
    ]
    rows = [line for line in models.split("##")[0].splitlines() if line.startswith("| ")]
    assert rows[0] == "| embedding | PNN | DIN |"
    assert rows[4] == "| gcn | 0.8400 | 0.8400 |"
    assert rows[5] == "| gcn:none | – | 0.8433 |"


def test_a_data_set_that_arms_were_tuned_on_has_its_own_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = "kuairand-clicks-din"
    write_cell(tmp_path / "results" / cell, ["plain", "plain:l2", "gcn"])
    write_cell(tmp_path / "own" / cell, ["plain", "gcn"])
    path = tmp_path / "results" / cell / "results.json"
    carried = json.loads(path.read_text())
    for run in carried["runs"]:
        run["test"]["auc"] += 0.02
    path.write_text(json.dumps(carried))
    trials = [{"valid_auc": 0.7 + 0.01 * i, "params": {"lr": 0.1 * i}} for i in range(7)]
    folder = tmp_path / "own-tuning" / cell
    folder.mkdir(parents=True)
    (folder / "gcn.json").write_text(json.dumps({"arm": "gcn", "trials": trials}))
    text = make(tmp_path, monkeypatch).split(f"## {cell}, tuned on itself\n")[1]
    assert "| gcn | 3 | 0.8400 | 0.8400 ± 0.0100 | **+13.00" in text
    assert "`gcn`, the best by validation AUC, less each other one: `plain` **+13.00 [" in text
    assert "settings that they carry over: `plain` **+11.00 [" in text
    assert text.splitlines()[-1] == "| gcn | 0.7500 | lr 0.5 |"  # the seventh does not count


def test_settings_for_all_four_data_sets_take_their_runs_from_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tuning").mkdir()
    data = ("Sports_and_Outdoors.txt", "kuairand_pure", "complete-journey")
    # The first lr is the best by two data sets; by four, the second one of gcn.
    for arm, worth in (("plain", (0.8, 0.7, 0.6)), ("gcn", (0.8, 0.95, 0.7))):
        trials = [{"valid_auc": auc, "params": {"lr": auc}} for auc in (0.9, 0.8, 0.7)]
        finals = []
        for name, some in zip(data, ((0.9, 0.8, 0.7), worth, worth), strict=True):
            made = [t | {"valid_auc": auc} for t, auc in zip(trials, some, strict=True)]
            finals.append({"data": name, "trials": made})
        trials += [{"valid_auc": 0.5, "params": {"lr": 0.5}}] * 3
        path = tmp_path / "tuning" / f"{arm}.json"
        path.write_text(json.dumps({"arm": arm, "trials": trials, "finals": finals}))
    (tmp_path / "tuning" / "kmeans.json").write_text(  # was not trained on the other two
        json.dumps({"arm": "kmeans", "trials": trials, "finals": finals[:1]})
    )
    for place, lr, arms in (("results", 0.9, ["plain", "gcn"]), ("four", 0.8, ["gcn"])):
        folder = tmp_path / place / "beauty-uniform-din"
        write_cell(folder, arms)
        found = json.loads((folder / "results.json").read_text())
        for run in found["runs"]:
            run["overrides"] = {"lr": lr}
            run["test"]["auc"] += place == "four"
        (folder / "results.json").write_text(json.dumps(found))
    write_cell(tmp_path / "own" / "beauty-uniform-din", ["plain:spectral"])
    readme = tmp_path / "README.md"
    readme.write_text("\n".join(MARKS))
    text = make(tmp_path, monkeypatch, "--readme", str(readme))
    claim = "- `gcn` with settings chosen on all four data sets beats `plain` in beauty-uniform-din"
    assert f"{claim}: +113.00 [+110.52, +115.48] points, holds." in text
    gain = "1.8400 ± 0.0100 (3 seeds)<br>**+113.00 [+110.52, +115.48]**"
    assert f"| `gcn`, one choice for all four data sets | {gain} | – |" in readme.read_text()
    section = text.split("## One configuration for all four data sets\n")[1].split("## ")[0]
    half = 100 * float(stats.t.ppf(0.975, 2)) * 0.01 / 3**0.5  # 103, 104 and 102 points
    gain = f"**+103.00 [{103 - half:+.2f}, {103 + half:+.2f}]**"
    assert f"less what was tuned there itself: `plain:spectral` {gain}." in section
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    assert rows == [
        "| embedding | Beauty, uniform negatives |",
        "| gcn | 1.8400 ± 0.0100 (3) |",
        "| plain | 0.7100 ± 0.0100 (3) |",
        "| *`gcn` less `plain`* | **+113.00 [+110.52, +115.48]** |",
        "| embedding | valid AUC, Beauty | Sports | KuaiRand | Complete Journey | settings |",
        "| plain | 0.9000 | 0.9000 | 0.8000 | 0.8000 | lr 0.9 |",
        "| gcn | 0.8000 | 0.8000 | 0.9500 | 0.9500 | lr 0.8 |",
    ]
    assert "| gcn | 0.9000 | 0.9000 | lr 0.9 |" in text.split("## Tuned settings")[1]


def test_controls_stand_against_the_cells_they_control(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = "beauty-uniform-din"
    write_cell(tmp_path / "results" / cell, ["plain", "gcn"])
    for control, less in (("permuted", 0.12), ("one-graph", 0.04)):
        path = tmp_path / "results" / f"{cell}-{control}"
        write_cell(path, ["plain", "gcn"])
        found = json.loads((path / "results.json").read_text())
        for run in found["runs"]:
            run["test"]["auc"] -= less * (run["embedding"] == "gcn")
        (path / "results.json").write_text(json.dumps(found))
    text = make(tmp_path, monkeypatch)
    half = float(stats.t.ppf(0.975, 2)) / 3**0.5  # of 1, 2 and 0 points
    assert (
        f"- control {cell}-permuted, `gcn`: +1.00 [{1 - half:+.2f}, {1 + half:+.2f}], does not"
        " gain; with the graph itself +12.00 [+12.00, +12.00] more." in text
    )
    rows = text.split(f"## Own edges: {cell}-one-graph\n")[1].split("##")[0]
    assert (
        "| gcn | 3 | 0.8000 ± 0.0100 | 0.100 | 0.8400 ± 0.0100 | 0.100 |"
        " **+4.00 [+4.00, +4.00]** |" in rows
    )
    assert "| plain | 3 | 0.7100 ± 0.0100 |" in rows


def test_claims_say_what_does_not_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cell(tmp_path / "results" / "beauty-uniform-din", list(AUC))
    lines = make(tmp_path, monkeypatch).splitlines()
    claims = {line.split(": ")[0]: line for line in lines if line.startswith("- `gcn` beats")}
    assert "+12.00" in claims["- `gcn` beats `plain:l2` by 10 points on Beauty, uniform negatives"]
    assert ", holds." in claims["- `gcn` beats `plain:spectral` on beauty-uniform-din"]
    # -1, +2 and -2 points
    assert "does not hold" in claims["- `gcn` beats `gcn:none` on beauty-uniform-din"]


def test_table_of_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cell(tmp_path / "results" / "beauty-uniform-din", list(AUC))
    write_cell(tmp_path / "results" / "kuairand-clicks-din", ["plain", "gcn"])
    path = tmp_path / "results" / "sports-uniform-din"
    write_cell(path, ["plain", "gcn"])
    drop_last_run(path / "results.json")
    write_cell(tmp_path / "own" / "kuairand-clicks-din", ["gcn:none"])
    monkeypatch.setattr(readme_table, "SEEDS", 3)
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{MARKS[0]}\nold\n{MARKS[1]}\nafter\n")
    for _ in range(2):  # made anew, not added
        make(tmp_path, monkeypatch, "--readme", str(readme))
        before, mark, _, head, rule, *rows, _, end, after = readme.read_text().splitlines()
        assert (before, mark, end, after) == ("before", *MARKS, "after")
    titles = [
        "Beauty, uniform negatives",
        "Sports, uniform negatives",
        "KuaiRand, real impressions",
        "KuaiRand, real impressions, tuned there",
    ]
    assert head == f"| DIN with | {' | '.join(titles)} |"
    assert rule == "|---|---|---|---|---|"
    by_arm = {row.split("`")[1]: [cell.strip() for cell in row.split("|")[2:-1]] for row in rows}
    assert list(by_arm) == [*(arm for arm in README_ARMS if arm in AUC), "gcn"][:-1]
    assert by_arm["plain"] == [*["0.7100 ± 0.0100"] * 3, "–"]
    assert by_arm["gcn:none"][1:] == ["–", "–", "0.8433 ± 0.0153"]
    assert by_arm["gcn"][1] == "–"  # stopped before its last seed
    half = float(stats.t.ppf(0.975, 2)) / 3**0.5
    less = rows[-1].split("|")[2:-1]
    assert less[0].strip() == f"**+3.00 [{3 - half:+.2f}, {3 + half:+.2f}]**"
    assert [cell.strip() for cell in less[1:]] == ["–"] * 3


def test_readme_without_marks_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text("nothing")
    with pytest.raises(SystemExit, match="lacks the lines"):
        write_between(path, ["x"], MARKS)
    assert path.read_text() == "nothing"


@pytest.mark.parametrize("arm", [name for name in chosen.ARMS if name != "category"])
def test_defaults_of_an_arm_make_what_it_is_without_them(arm: str, log: BehaviorLog) -> None:
    graph = NodeFeatures(4)(covisit_graph(log))
    settings = CompareSettings(embedding_dim=4, num_centers=8)
    found = chosen.defaults(arm, settings, graph)
    assert set(found) == {"lr", *tuned_of(arm)}
    assert None not in found.values()
    own = replace(settings, override=tuple(f"{arm}.{k}={v}" for k, v in found.items())).of(arm)
    built = []
    for each in (settings, own):
        torch.manual_seed(0)
        built.append(make_embedding(arm, graph, each))
    torch.testing.assert_close(*[emb.state_dict() for emb in built], rtol=0, atol=0)
    ids = torch.arange(5)
    torch.testing.assert_close(*[emb(ids) for emb in built], rtol=0, atol=0)


def write_search(
    path: Path, trials: list[dict[str, object]], **finals: list[dict[str, object]]
) -> None:
    names = {"sports": "Sports_and_Outdoors.txt", "kuairand": "kuairand_pure"}
    made = [{"data": names.get(key, key), "trials": some} for key, some in finals.items()]
    path.write_text(json.dumps({"trials": trials, "finals": made}))


def test_the_best_mean_over_the_data_sets_is_chosen(tmp_path: Path) -> None:
    lrs = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
    worth = (0.80, 0.86, 0.85, 0.70, 0.84, 0.60, 0.99)
    trials = [
        {"valid_auc": auc, "params": {"lr": lr, "num_centers": 256, "temperature": 0.2}}
        for lr, auc in zip(lrs, worth, strict=True)
    ]

    def finals(*worth: float) -> list[dict[str, object]]:
        places = zip((1, 2, 4), worth, strict=False)  # of the best three of the first six
        return [{"valid_auc": auc, "params": trials[i]["params"]} for i, auc in places]

    path = tmp_path / "gcn.json"
    sports = finals(0.80, 0.83, 0.80)  # means of .83, .84 and .82; the last trial is one too many
    write_search(path, trials, sports=sports)
    overrides = chosen.tuned_overrides(tmp_path, ["plain", "gcn"])
    own = CompareSettings(override=tuple(overrides)).of("gcn")
    assert (own.lr, own.num_centers, own.temperature) == (0.3, 256, 0.2)
    best = chosen.best_trial(path)
    assert (best["valid_auc"], best["finals"]) == (0.85, {"Sports_and_Outdoors.txt": 0.83})
    with pytest.raises(SystemExit, match=r"lacks the final of \{'lr': 0.2.* on kuairand_pure"):
        chosen.best_trial(path, "four")
    more = {"kuairand": finals(0.7, 0.7, 0.7), "complete-journey": finals(0.6, 0.6, 0.65)}
    write_search(path, trials, sports=sports, **more)  # sums of 2.96, 2.98 and 2.99
    assert chosen.best_trial(path)["params"]["lr"] == 0.3
    assert chosen.best_trial(path, "four")["params"]["lr"] == 0.5
    assert "gcn.lr=0.5" in chosen.tuned_overrides(tmp_path, ["gcn"], "four")
    path.write_text(json.dumps({"arm": "gcn", "trials": trials}))  # a search on one data set
    assert chosen.best_trial(path) == trials[1]
    write_search(path, trials, sports=sports[:2])
    with pytest.raises(SystemExit, match=r"lacks the final of \{'lr': 0.5"):
        chosen.best_trial(path)
    write_search(path, trials[: chosen.BUDGET - 1], sports=sports)
    with pytest.raises(
        SystemExit, match=f"gcn.json holds {chosen.BUDGET - 1} trials of {chosen.BUDGET}"
    ):
        chosen.tuned_overrides(tmp_path, ["gcn"])


def test_an_ablation_takes_the_settings_of_the_whole_model(tmp_path: Path) -> None:
    trials = [{"valid_auc": 0.8, "params": {"num_centers": 128}}] * chosen.BUDGET
    write_search(tmp_path / "sign-staged.json", trials, sports=trials[:1])
    found = chosen.tuned_overrides(tmp_path, ["sign:staged", "sign:none"])
    assert found == ["sign:staged.num_centers=128", "sign:none.num_centers=128"]
    CompareSettings(override=tuple(found))  # both read it


def test_searches_stand_under_the_name_of_their_arm() -> None:
    assert [embedding_name(arm) for arm in chosen.ARMS] == list(chosen.ARMS)
    paths = list((ROOT / "benchmarks" / "accuracy" / "results").glob("tuning*/**/*.json"))
    assert len(paths) > 20
    for path in paths:
        arm = json.loads(path.read_text())["arm"]
        assert arm in chosen.ARMS
        assert chosen.search_of(path.parent, arm) == path


def test_commands_of_raw_results_can_be_given_again() -> None:
    """But for where data and results lie: they name their embeddings as the runs do."""
    parser = argparse.ArgumentParser()
    add_settings(parser, CompareSettings)
    paths = list((ROOT / "benchmarks" / "accuracy" / "results").glob("research*/*/results.json"))
    assert len(paths) > 20
    for path in paths:
        results = read_results(path)
        found = vars(parser.parse_args(shlex.split(results["command"])[2:]))
        settings = CompareSettings(**{k: _tuple(value) for k, value in found.items()})
        assert {run["embedding"] for run in results["runs"]} >= set(settings.embeddings), path


def test_every_cell_is_a_command_that_compare_takes(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    add_settings(parser, CompareSettings)
    for name, cell in cells().items():
        words = cell.command(tmp_path, 5, tmp_path / name, [])
        assert words[1:4] == ["-m", "resemb_gnn", "compare"]
        found = vars(parser.parse_args(words[4:]))
        settings = CompareSettings(**{k: _tuple(value) for k, value in found.items()})
        assert settings.embeddings == cell.embeddings


def _tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def test_committed_pages_are_what_the_report_makes_of_the_committed_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(report, "picture", lambda cells, path: None)  # it lies among the results
    report.main(["--out", str(tmp_path / "RESULTS.md")])
    found = (tmp_path / "RESULTS.md").read_text().splitlines()
    expected = (ROOT / "benchmarks" / "accuracy" / "RESULTS.md").read_text().splitlines()
    links = [line for line in found if line.startswith("![differences](")]
    assert len(links) == 1
    assert [line for line in found if line not in links] == [
        line for line in expected if not line.startswith("![differences](")
    ]


def test_a_cell_runs_on_a_small_log(
    sequences: Path, tmp_path: Path, not_compiled: None, in_process: None
) -> None:
    folder = tmp_path / "data" / "amazon"
    folder.mkdir(parents=True)
    sequences.rename(folder / "Beauty.txt")
    words = ["--data-folder", str(tmp_path / "data"), "--out", str(tmp_path / "out")]
    words += ["--only", "beauty-uniform-pnn", "--arms", "plain", "gcn", "--seeds", "1"]
    assert main([*words, "--tuning", str(tmp_path)]) == 0
    found = read_results(tmp_path / "out" / "beauty-uniform-pnn" / "results.json")
    assert [run["embedding"] for run in found["runs"]] == ["plain", "gcn"]
    assert found["settings"]["model"] == "pnn"


def test_finalists_are_trained_on_another_data_set(
    sequences: Path, tmp_path: Path, not_compiled: None
) -> None:
    path = tmp_path / "tuning" / "plain.json"
    path.parent.mkdir()
    trials = [
        {"valid_auc": auc, "params": {"lr": lr, "table_std": 0.01}}
        for auc, lr in ((0.7, 3e-3), (0.9, 1e-3), (0.6, 4e-3), (0.8, 2e-3), (0.5, 1.0), (0.4, 1.0))
    ]
    write_search(path, trials, sports=trials[:0])
    words = ["--data", str(sequences), "--final", str(sequences), "--arms", "plain"]
    words += ["--epochs", "1", "--out", str(path.parent)]
    for _ in range(2):  # not made again
        tuning.main(words)
        found = json.loads(path.read_text())
        (final,) = [each for each in found["finals"] if each["data"] == sequences.name]
        assert [trial["params"]["lr"] for trial in final["trials"]] == [1e-3, 2e-3, 3e-3]
        assert all(0 < trial["valid_auc"] < 1 for trial in final["trials"])
    assert found["trials"] == trials


def test_tuning_begins_with_the_defaults(
    sequences: Path, tmp_path: Path, not_compiled: None
) -> None:
    pytest.importorskip("optuna", reason="needs benchmarks/accuracy/research/requirements.txt")
    words = ["--data", str(sequences), "--arms", "plain", "--epochs", "1", "--out", str(tmp_path)]
    for number in (1, 3):
        tuning.main([*words, "--trials", str(number)])
        trials = json.loads((tmp_path / "plain.json").read_text())["trials"]
        assert len(trials) == number
        defaults = CompareSettings()
        assert trials[0]["params"] == {"lr": defaults.lr, "table_std": defaults.table_std}
