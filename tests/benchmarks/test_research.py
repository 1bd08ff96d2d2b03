"""The research table: commands, tuned settings, and the figures of RESULTS.md by hand."""

import argparse
import importlib
import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from resemb_gnn.pipeline.arms import ARMS, make_embedding
from scipy import stats

from resemb_gnn import BehaviorLog, covisit_graph
from resemb_gnn.cli import add_settings
from resemb_gnn.experiment import CompareSettings
from resemb_gnn.experiment.results import SCHEMA
from resemb_gnn.graph import NodeFeatures

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
AUC = {  # by arm, of seeds 0 to 2
    "plain": (0.70, 0.71, 0.72),
    "plain-l2": (0.71, 0.73, 0.72),
    "spectral-start": (0.80, 0.81, 0.82),
    "gcn": (0.83, 0.85, 0.84),
    "centers-only": (0.84, 0.83, 0.86),
}


@pytest.fixture(autouse=True)
def path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)


@pytest.fixture
def report() -> ModuleType:
    return importlib.import_module("research_report")


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


def make(report: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *more: str) -> str:
    monkeypatch.setattr(report, "RES", ("gcn",))
    words = ["x", "--results", str(tmp_path / "results"), "--tuning", str(tmp_path / "tuning")]
    for flag in ("own", "own-tuning", "four", "earlier"):
        words += [f"--{flag}", str(tmp_path / flag)]
    monkeypatch.setattr("sys.argv", [*words, "--out", str(tmp_path / "RESULTS.md"), *more])
    report.main()
    return (tmp_path / "RESULTS.md").read_text()


def test_differences_are_paired_by_seed(
    report: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cell(tmp_path / "results" / "beauty-uniform-din", list(AUC))
    text = make(report, tmp_path, monkeypatch)
    # gcn less plain: 13, 14 and 12 points.
    half = float(stats.t.ppf(0.975, 2)) / 3**0.5
    text = text.split("## beauty-uniform-din\n")[1]
    row = next(line for line in text.splitlines() if line.startswith("| gcn "))
    assert f"**+13.00 [{13 - half:+.2f}, {13 + half:+.2f}]**" in row
    assert "0.8400 ± 0.0100" in row
    assert (tmp_path / "results" / "differences.png").stat().st_size > 10_000
    # Arms in the order of validation AUC.
    order = [line.split()[1] for line in text.splitlines() if " ± 0" in line]
    assert order == ["centers-only", "gcn", "spectral-start", "plain-l2", "plain"]


def test_overviews_of_data_sets_and_of_models(
    report: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "SEEDS", 3)
    write_cell(tmp_path / "results" / "beauty-uniform-din", list(AUC))
    write_cell(tmp_path / "results" / "beauty-uniform-pnn", ["plain", "gcn"])
    path = tmp_path / "results" / "kuairand-clicks-din"
    write_cell(path, ["plain", "gcn"])
    drop_last_run(path / "results.json")
    text = make(report, tmp_path, monkeypatch)
    sets, models = (
        text.split(f"## Every embedding by {what}\n")[1] for what in ("data set", "model")
    )
    rows = [line for line in sets.split("##")[0].splitlines() if line.startswith("| ")]
    assert rows == [
        "| embedding | Beauty, uniform negatives | KuaiRand, real impressions |",
        "| plain | 0.7100 | 0.7100 |",
        "| plain-l2 | 0.7200 | – |",
        "| spectral-start | 0.8100 | – |",
        "| gcn | 0.8400 | 0.8400 (2) |",
        "| centers-only | 0.8433 | – |",
    ]
    rows = [line for line in models.split("##")[0].splitlines() if line.startswith("| ")]
    assert rows[0] == "| embedding | PNN | DIN |"
    assert rows[4] == "| gcn | 0.8400 | 0.8400 |"
    assert rows[5] == "| centers-only | – | 0.8433 |"


def test_settings_of_an_earlier_search_stand_against_the_chosen_ones(
    report: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cell(tmp_path / "results" / "kuairand-clicks-din", ["plain", "spectral-start", "gcn"])
    write_cell(tmp_path / "earlier" / "kuairand-clicks-din", ["gcn"])
    path = tmp_path / "earlier" / "kuairand-clicks-din" / "results.json"
    found = json.loads(path.read_text())
    for run, auc in zip(found["runs"], (0.81, 0.83, 0.82), strict=True):
        run["test"]["auc"], run["valid"]["auc"] = auc, 0.9
    path.write_text(json.dumps(found))
    text = make(report, tmp_path, monkeypatch)
    row = text.split("## Settings that an earlier search chose")[1].splitlines()[-1]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:6] == ["kuairand-clicks-din", "gcn", "3", "0.9000", "0.8400", "0.8200 ± 0.0100"]
    half = float(stats.t.ppf(0.975, 2)) / 3**0.5
    assert cells[6] == f"+1.00 [{1 - half:+.2f}, {1 + half:+.2f}]"  # 1, 2 and 0 points
    assert cells[7] == "**-2.00 [-2.00, -2.00]**"


def test_a_data_set_that_arms_were_tuned_on_has_its_own_table(
    report: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = "kuairand-clicks-din"
    write_cell(tmp_path / "results" / cell, ["plain", "plain-l2", "gcn"])
    write_cell(tmp_path / "own" / cell, ["plain", "gcn"])
    path = tmp_path / "results" / cell / "results.json"
    carried = json.loads(path.read_text())
    for run in carried["runs"]:
        run["test"]["auc"] += 0.02
    path.write_text(json.dumps(carried))
    trials = [{"valid_auc": 0.7 + 0.01 * i, "params": {"lr": 0.1 * i}} for i in range(7)]
    folder = tmp_path / "own-tuning" / cell
    folder.mkdir(parents=True)
    (folder / "gcn.json").write_text(json.dumps({"trials": trials}))
    text = make(report, tmp_path, monkeypatch).split(f"## {cell}, tuned on itself\n")[1]
    assert "| gcn | 3 | 0.8400 | 0.8400 ± 0.0100 | **+13.00" in text
    assert "`gcn`, the best by validation AUC, less each other one: `plain` **+13.00 [" in text
    assert "settings that they carry over: `plain` **+11.00 [" in text
    assert text.splitlines()[-1] == "| gcn | 0.7500 | lr 0.5 |"  # the seventh does not count


def test_settings_for_all_four_data_sets_take_their_runs_from_where_they_are(
    report: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
        path.write_text(json.dumps({"trials": trials, "finals": finals}))
    (tmp_path / "tuning" / "kmeans.json").write_text(  # was not trained on the other two
        json.dumps({"trials": trials, "finals": finals[:1]})
    )
    for place, lr, arms in (("results", 0.9, ["plain", "gcn"]), ("four", 0.8, ["gcn"])):
        folder = tmp_path / place / "beauty-uniform-din"
        write_cell(folder, arms)
        found = json.loads((folder / "results.json").read_text())
        for run in found["runs"]:
            run["overrides"] = {"lr": lr}
            run["test"]["auc"] += place == "four"
        (folder / "results.json").write_text(json.dumps(found))
    write_cell(tmp_path / "own" / "beauty-uniform-din", ["spectral-start"])
    readme = tmp_path / "README.md"
    readme.write_text("\n".join(report.MARKS))
    text = make(report, tmp_path, monkeypatch, "--readme", str(readme))
    claim = "- `gcn` with settings chosen on all four data sets beats `plain` in beauty-uniform-din"
    assert f"{claim}: +113.00 [+110.52, +115.48] points, holds." in text
    gain = "1.8400 ± 0.0100 (3 seeds)<br>**+113.00 [+110.52, +115.48]**"
    assert f"| `gcn`, one choice for all four data sets | {gain} | – |" in readme.read_text()
    section = text.split("## One configuration for all four data sets\n")[1].split("## ")[0]
    half = 100 * float(stats.t.ppf(0.975, 2)) * 0.01 / 3**0.5  # 103, 104 and 102 points
    gain = f"**+103.00 [{103 - half:+.2f}, {103 + half:+.2f}]**"
    assert f"less what was tuned there itself: `spectral-start` {gain}." in section
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    assert rows == [
        "| embedding | Beauty, uniform negatives |",
        "| gcn | 1.8400 ± 0.0100 (3) |",
        "| plain | 0.7100 ± 0.0100 (3) |",
        "| *`gcn` less `plain`* | **+113.00 [+110.52, +115.48]** |",
        "| embedding | valid AUC, Beauty | Sports | KuaiRand | Complete Journey | settings |",
        "| gcn | 0.8000 | 0.8000 | 0.9500 | 0.9500 | lr 0.8 |",
        "| plain | 0.9000 | 0.9000 | 0.8000 | 0.8000 | lr 0.9 |",
    ]
    assert "| gcn | 0.9000 | 0.9000 | lr 0.9 |" in text.split("## Tuned settings")[1]


def test_controls_stand_against_the_cells_they_control(
    report: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
    text = make(report, tmp_path, monkeypatch)
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


def test_claims_say_what_does_not_hold(
    report: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cell(tmp_path / "results" / "beauty-uniform-din", list(AUC))
    lines = make(report, tmp_path, monkeypatch).splitlines()
    claims = {line.split(":")[0]: line for line in lines if line.startswith("- `gcn` beats")}
    assert "+12.00" in claims["- `gcn` beats `plain-l2` by 10 points on Beauty, uniform negatives"]
    assert ", holds." in claims["- `gcn` beats `spectral-start` on beauty-uniform-din"]
    # -1, +2 and -2 points
    assert "does not hold" in claims["- `gcn` beats `centers-only` on beauty-uniform-din"]


def test_table_of_the_readme(
    report: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cell(tmp_path / "results" / "beauty-uniform-din", list(AUC))
    write_cell(tmp_path / "results" / "kuairand-clicks-din", ["plain", "gcn"])
    path = tmp_path / "results" / "sports-uniform-din"
    write_cell(path, ["plain", "gcn"])
    drop_last_run(path / "results.json")
    write_cell(tmp_path / "own" / "kuairand-clicks-din", ["centers-only"])
    monkeypatch.setattr(report, "SEEDS", 3)
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{report.MARKS[0]}\nold\n{report.MARKS[1]}\nafter\n")
    for _ in range(2):  # made anew, not added
        make(report, tmp_path, monkeypatch, "--readme", str(readme))
        before, mark, _, head, rule, *rows, _, end, after = readme.read_text().splitlines()
        assert (before, mark, end, after) == ("before", *report.MARKS, "after")
    titles = [
        "Beauty, uniform negatives",
        "Sports, uniform negatives",
        "KuaiRand, real impressions",
        "KuaiRand, real impressions, tuned there",
    ]
    assert head == f"| DIN with | {' | '.join(titles)} |"
    assert rule == "|---|---|---|---|---|"
    by_arm = {row.split("`")[1]: [cell.strip() for cell in row.split("|")[2:-1]] for row in rows}
    assert list(by_arm) == [*(arm for arm in report.README_ARMS if arm in AUC), "gcn"][:-1]
    assert by_arm["plain"] == [*["0.7100 ± 0.0100"] * 3, "–"]
    assert by_arm["centers-only"][1:] == ["–", "–", "0.8433 ± 0.0153"]
    assert by_arm["gcn"][1] == "–"  # stopped before its last seed
    half = float(stats.t.ppf(0.975, 2)) / 3**0.5
    less = rows[-1].split("|")[2:-1]
    assert less[0].strip() == f"**+3.00 [{3 - half:+.2f}, {3 + half:+.2f}]**"
    assert [cell.strip() for cell in less[1:]] == ["–"] * 3


def test_readme_without_marks_is_left_alone(report: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text("nothing")
    with pytest.raises(SystemExit, match="lacks the lines"):
        report.write_between(path, ["x"])
    assert path.read_text() == "nothing"


@pytest.mark.parametrize("arm", [name for name in ARMS if name != "category"])
def test_defaults_of_an_arm_make_what_it_is_without_them(arm: str, log: BehaviorLog) -> None:
    module = importlib.import_module("research_settings")
    graph = NodeFeatures(4)(covisit_graph(log))
    settings = CompareSettings(embedding_dim=4, num_centers=8)
    found = module.defaults(arm, settings, graph)
    assert set(found) == set(ARMS[arm].tuned)
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
    module = importlib.import_module("research_settings")
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
    overrides = module.tuned_overrides(tmp_path, ["plain", "gcn"])
    own = CompareSettings(override=tuple(overrides)).of("gcn")
    assert (own.lr, own.num_centers, own.temperature) == (0.3, 256, 0.2)
    best = module.best_trial(path)
    assert (best["valid_auc"], best["finals"]) == (0.85, {"Sports_and_Outdoors.txt": 0.83})
    with pytest.raises(SystemExit, match=r"lacks the final of \{'lr': 0.2.* on kuairand_pure"):
        module.best_trial(path, "four")
    more = {"kuairand": finals(0.7, 0.7, 0.7), "complete-journey": finals(0.6, 0.6, 0.65)}
    write_search(path, trials, sports=sports, **more)  # sums of 2.96, 2.98 and 2.99
    assert module.best_trial(path)["params"]["lr"] == 0.3
    assert module.best_trial(path, "four")["params"]["lr"] == 0.5
    assert "gcn.lr=0.5" in module.tuned_overrides(tmp_path, ["gcn"], "four")
    path.write_text(json.dumps({"trials": trials}))  # a search on one data set
    assert module.best_trial(path) == trials[1]
    write_search(path, trials, sports=sports[:2])
    with pytest.raises(SystemExit, match=r"lacks the final of \{'lr': 0.5"):
        module.best_trial(path)
    write_search(path, trials[: module.BUDGET - 1], sports=sports)
    with pytest.raises(
        SystemExit, match=f"gcn.json holds {module.BUDGET - 1} trials of {module.BUDGET}"
    ):
        module.tuned_overrides(tmp_path, ["gcn"])


def test_an_ablation_takes_the_settings_of_the_whole_model(tmp_path: Path) -> None:
    module = importlib.import_module("research_settings")
    trials = [{"valid_auc": 0.8, "params": {"num_centers": 128}}] * module.BUDGET
    write_search(tmp_path / "gcn-skip-staged.json", trials, sports=trials[:1])
    found = module.tuned_overrides(tmp_path, ["gcn-skip-staged", "gcn-skip-centers-only"])
    assert found == ["gcn-skip-staged.num_centers=128", "gcn-skip-centers-only.num_centers=128"]
    CompareSettings(override=tuple(found))  # both read it


def test_every_cell_is_a_command_that_compare_takes(tmp_path: Path) -> None:
    research = importlib.import_module("research")
    parser = argparse.ArgumentParser()
    add_settings(parser, CompareSettings)
    for name, cell in research.cells().items():
        words = cell.command(tmp_path, 5, tmp_path / name, [])
        assert words[1:4] == ["-m", "resemb_gnn", "compare"]
        found = vars(parser.parse_args(words[4:]))
        settings = CompareSettings(**{k: _tuple(value) for k, value in found.items()})
        assert settings.embeddings == cell.embeddings


def _tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value
