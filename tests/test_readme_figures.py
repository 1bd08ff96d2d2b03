"""The figures in README's sentences, from the raw files; its table is held by
tests/benchmarks/test_contest.py, what docs/ and benchmarks/ say by test_docs_figures.py.
"""

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import scipy.stats

from benchmarks.accuracy.contest.draws import over_users, read_draws
from benchmarks.tables import mean_of
from resemb_gnn.experiment.results import read_results
from resemb_gnn.experiment.summary import by_embedding
from resemb_gnn.io.json_text import read_json

ROOT = Path(__file__).parents[1]
README = " ".join((ROOT / "README.md").read_text().split())
RESULTS = ROOT / "benchmarks"


def figures(pattern: str) -> list[float]:
    found = re.search(pattern, README)
    assert found is not None, pattern
    return [float(text) for text in found.groups()]


def by_round(turns: list[dict[str, Any]], clock: str) -> dict[str, Any]:
    """Seconds of each contender, in the order of the rounds."""
    found: dict[str, dict[int, float]] = defaultdict(dict)
    for turn in turns:
        found[turn["name"]][turn["round"]] = turn[clock]
    return {name: np.array([own[key] for key in sorted(own)]) for name, own in found.items()}


def test_steps_of_embeddings() -> None:
    seconds = by_round(read_json(RESULTS / "speed/results/negatives.json")["turns"], "cpu")
    told = figures(
        r"takes ([\d.]+) times as long with `mlp:held` .* ([\d.]+) times with `gcn` and"
        r" ([\d.]+) times with `gat`"
    )
    made = [
        np.median(seconds[f"{name}, 4"] / seconds["plain, 4"]) for name in ("mlp", "gcn", "gat")
    ]
    assert [round(float(ratio), 2) for ratio in made] == told


def test_other_libraries() -> None:
    every = read_json(RESULTS / "speed/results/speed.json")["turns"]
    turns = [t for t in every if (t["group"], t["threads"]) == ("peers-end-to-end", 1)]
    each = {turn["name"]: turn["examples"] for turn in turns}
    seconds = {name: own / each[name] for name, own in by_round(turns, "wall").items()}
    ours = seconds.pop("resemb_gnn, plain table")
    del seconds["resemb_gnn, plain table, compiled"]
    ratios = [np.median(theirs / ours) for theirs in seconds.values()]
    assert figures(r"a (\d+)th to an (\d+)th") == [round(min(ratios)), round(max(ratios))]


def test_memory_and_minutes() -> None:
    sizes = read_json(RESULTS / "scale/results/defaults.json")["sizes"]
    largest = max(sizes, key=lambda size: size["rows"])
    peak = max(stage["peak_bytes"] for stage in largest["stages"]) / 2**30
    told = figures(
        r"(\d+) million behaviours of a million items are prepared and trained on within"
        r" ([\d.]+) GiB"
    )
    assert told == [largest["rows"] / 1e6, round(peak, 1)]
    jobs = {t["name"]: t["wall"] for t in read_json(RESULTS / "speed/results/jobs.json")["turns"]}
    assert figures(r"`make compare` takes (\d+) minutes") == [round(jobs["--jobs 2"] / 60)]


def test_correlations() -> None:
    world = read_json(RESULTS / "theory/results/radius-world.json")["runs"]
    sets = [
        [run for run in world if (run["users"], run["folds"]) == (users, 10)]
        for users in (100, 300, 1000)
    ]
    for name in ("Beauty", "Sports_and_Outdoors"):
        sets.append(read_json(RESULTS / f"theory/results/radius-{name}.json")["runs"])
    assert [len(runs) for runs in sets[:4]] == [75] * 4
    for measure, pattern in (
        (
            "rms",
            r"rank correlation ([\d.]+) to ([\d.]+) in three synthetic worlds and on Beauty,"
            r" ([\d.]+) on Sports",
        ),
        ("residual_share", r"share of an embedding \(([\d.]+) to ([\d.]+); ([\d.]+)\)"),
    ):
        found = [
            scipy.stats.spearmanr(*([run[key] for run in runs] for key in (measure, "gap")))[0]
            for runs in sets
        ]
        *others, sports = (round(each, 2) for each in found)
        assert figures(pattern) == [min(others), max(others), sports]


def runs_of(name: str) -> dict[str, list[dict[str, Any]]]:
    return by_embedding(read_results(RESULTS / f"accuracy/results/contest/{name}/results.json"))


def test_sentences_on_the_contest() -> None:
    attributes = [runs_of(f"{name}-attributes-nodes")["mlp:held"] for name in ("beauty", "sports")]
    told = figures(r"comes to ([\d.]+) \(Beauty\) and ([\d.]+) \(Sports\)")
    assert [round(mean_of(runs, "ranking", "hr_10"), 3) for runs in attributes] == told
    (permuted,) = runs_of("beauty-permuted")["mlp"]
    (table,) = (run for run in runs_of("beauty")["plain"] if run["seed"] == permuted["seed"])
    points = 100 * (table["test"]["gauc"] - permuted["test"]["gauc"])
    assert figures(r"falls (\d+) points below the table on Beauty") == [round(points)]
    rates = read_json(RESULTS / "accuracy/results/contest/kuairand/simple.json")["scores"]
    gauc = rates["click rates"]["test"]["gauc"]
    assert figures(r"two click rates added up \(([\d.]+)\)") == [round(gauc, 3)]
    told = figures(
        r"the default gains ([\d.]+) points on Beauty, ([\d.]+) on Complete Journey and ([\d.]+) on"
        r" Sports"
    )
    gains = []
    for name in ("beauty", "complete-journey", "sports"):
        runs = runs_of(name)
        pairs = zip(runs["mlp:held"], runs["plain"], strict=True)
        each = [
            (one["seed"] == two["seed"], one["test"]["gauc"] - two["test"]["gauc"])
            for one, two in pairs
        ]
        assert [same for same, _ in each] == [True] * 3
        gains.append(round(100 * float(np.mean([gain for _, gain in each])), 1))
    assert gains == told


def test_what_is_level() -> None:
    folder = RESULTS / "accuracy/results/contest"
    drawn = read_draws(folder / "complete-journey")
    found = over_users(drawn, "mlp:held", "counts", "gauc", seeds=3)
    assert found is not None
    assert found.low < 0 < found.high
    sums, softmax = runs_of("kuairand"), runs_of("kuairand-softmax")
    valid = {
        (arm, way): mean_of(runs[arm], "valid", "auc")
        for arm in ("plain", "mlp:held")
        for way, runs in (("none", sums), ("softmax", softmax))
    }
    assert valid["plain", "none"] > valid["plain", "softmax"]
    assert valid["mlp:held", "none"] < valid["mlp:held", "softmax"]
    ours, table = (
        np.array([run["test"]["gauc"] for run in runs])
        for runs in (softmax["mlp:held"], sums["plain"])
    )
    assert len(ours) == 8
    told = figures(r"level with the table \(\+([\d.]+), eight seeds\)")
    assert told == [round(100 * float(np.mean(ours - table)), 2)]
