"""The figures in README's sentences, and those in tables of docs/ and benchmarks/ that were written
by hand, from the raw files; README's table is held by tests/benchmarks/test_contest.py.
"""

import math
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import scipy.stats

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
    told = figures(r"(\d+) million behaviours of a million items train within ([\d.]+) GiB")
    assert told == [largest["rows"] / 1e6, round(peak, 1)]
    jobs = {t["name"]: t["wall"] for t in read_json(RESULTS / "speed/results/jobs.json")["turns"]}
    assert figures(r"`make compare` takes (\d+) minutes") == [round(jobs["--jobs 2"] / 60)]


def test_correlations() -> None:
    world = read_json(RESULTS / "theory/results/radius-world.json")["runs"]
    sets = [
        [run for run in world if (run["users"], run["folds"]) == (users, 10)]
        for users in (100, 300, 1000)
    ]
    sets.append(read_json(RESULTS / "theory/results/radius-Beauty.json")["runs"])
    for measure, pattern in (
        ("rms", r"rank correlation ([\d.]+) to ([\d.]+) in three synthetic worlds and on Beauty"),
        ("residual_share", r"residual's share of an embedding \(([\d.]+) to ([\d.]+)\)"),
    ):
        found = [
            scipy.stats.spearmanr(*([run[key] for run in runs] for key in (measure, "gap")))[0]
            for runs in sets
        ]
        assert [len(runs) for runs in sets] == [75] * 4
        assert figures(pattern) == [round(min(found), 2), round(max(found), 2)]


def runs_of(name: str) -> dict[str, list[dict[str, Any]]]:
    return by_embedding(read_results(RESULTS / f"accuracy/results/contest/{name}/results.json"))


def test_sentences_on_the_contest() -> None:
    attributes = [runs_of(f"{name}-attributes-nodes")["mlp:held"] for name in ("beauty", "sports")]
    told = figures(r"comes to ([\d.]+) \(Beauty\) and ([\d.]+) \(Sports\)")
    assert [round(mean_of(runs, "ranking", "hr_10"), 3) for runs in attributes] == told
    (permuted,) = runs_of("beauty-permuted")["mlp"]
    (table,) = (run for run in runs_of("beauty")["plain"] if run["seed"] == permuted["seed"])
    points = 100 * (table["test"]["gauc"] - permuted["test"]["gauc"])
    assert figures(r"`mlp` falls (\d+) points below the table on Beauty") == [round(points)]
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


ACCURACY = "benchmarks/accuracy/README.md"
NUMBER = re.compile(r"[-+]?\d*\.?\d+")


def told(page: str, title: str, number: int = 1) -> dict[str, list[str]]:
    """The figures of each row of a table, by the row's name: of the table whose first row begins
    with the title, the first or another one.
    """
    text = (ROOT / page).read_text().replace("−", "-").replace("`", "")
    lines = text.split(f"| {title} |")[number].partition("\n\n")[0].splitlines()[2:]
    rows = [line.strip(" |").partition(" | ") for line in lines]
    return {name: NUMBER.findall(row.replace(",", "")) for name, _, row in rows}


def check(shown: list[str], *made: Any) -> None:
    """Each figure to the places that are shown."""
    figures = np.hstack(made).tolist()
    places = [len(text.partition(".")[2]) for text in shown]
    rounded = [f"{figure:.{number}f}" for figure, number in zip(figures, places, strict=True)]
    assert [float(text) for text in rounded] == [float(text) for text in shown]


def runs_in(path: str, *names: str) -> dict[Any, list[dict[str, Any]]]:
    """The runs of a raw file by what stands in them under the names, in the order of the seeds."""
    found = defaultdict(list)
    for run in sorted(read_json(RESULTS / path)["runs"], key=lambda run: int(run["seed"])):
        key = tuple(run[name] for name in names)
        found[key if len(key) > 1 else key[0]].append(run)
    return found


def mean_and_deviation(values: Any) -> tuple[Any, Any]:
    return np.mean(values), np.std(values, ddof=1)


def mean_and_interval(values: Any) -> tuple[Any, ...]:
    around = scipy.stats.t(len(values) - 1, np.mean(values), scipy.stats.sem(values))
    return np.mean(values), *around.interval(0.95)


def aucs(runs: list[dict[str, Any]], part: str = "test") -> Any:
    return np.array([run[part]["auc"] for run in runs])


def mean_and_range(runs: list[dict[str, Any]]) -> tuple[Any, ...]:
    return aucs(runs).mean(), aucs(runs).min(), aucs(runs).max()


def test_scale_of_the_defaults() -> None:
    table = told("docs/scale.md", "rows")
    made = {}
    for size in read_json(RESULTS / "scale/results/defaults.json")["sizes"]:
        minutes = {stage["stage"]: stage["cpu"] / 60 for stage in size["stages"]}
        before = sum(minutes[name] for name in ("read", "split", "graph", "features", "encoder"))
        peak = max(stage["peak_bytes"] for stage in size["stages"]) / 2**30
        figures = [before, minutes["plain"], minutes["gcn"], peak]
        made[size["rows"]] = np.array(figures)
        edges, *shown = table[f"{size['rows']:,}"]
        assert int(edges) == size["stages"][-1]["edges"]
        assert [float(text) for text in shown] == [float(f"{one:.2g}") for one in figures]
    each = np.sort([10 * made[10_000_000], 5 * made[20_000_000]], axis=0).T.flatten()
    shown = table["100,000,000, extrapolated"][1:]
    assert [float(text) for text in shown] == [float(f"{one:.2g}") for one in each]


def test_seven_days() -> None:
    for number, name in ((1, "daily"), (2, "daily-mlp-held")):
        runs = runs_in(f"accuracy/results/daily/{name}.json", "arm", "day")
        arms = ("stale", "joined", "updated", "retrained")
        rows = told(ACCURACY, "model", number).values()
        for arm, shown in zip(arms, rows, strict=True):
            days = [[run["auc"] for run in runs[arm, day]] for day in range(1, 8)]
            made = [*mean_and_deviation(days[0]), *mean_and_deviation(days[-1]), np.mean(days)]
            if arm != "stale":
                later = [run for day in range(2, 8) for run in runs[arm, day]]
                made += [mean_of(later, "auc_of_new"), mean_of(later, "seconds")]
            check(shown, made)


def test_encoders_and_crosscheck() -> None:
    runs = runs_in("accuracy/results/encoders/results.json", "embedding")
    for name, shown in told(ACCURACY, "encoder").items():
        own = runs[name.removesuffix(", ours")]
        less = aucs(own) - aucs(runs["plain"])
        versus = () if name == "plain" else mean_and_interval(less)
        parts = [mean_and_deviation(aucs(own, part)) for part in ("valid", "test")]
        check(shown, *parts, versus)
    runs = runs_in("accuracy/results/crosscheck/results.json", "arm")
    theirs, *rows = told(ACCURACY, "DIN").values()
    made = {name: np.array([run["test"] for run in own]) for name, own in runs.items()}
    check(theirs, mean_and_deviation(made["FuxiCTR"]))
    for shown, name in zip(rows, ("resemb_gnn, FuxiCTR's layers", "resemb_gnn"), strict=True):
        check(
            shown, mean_and_deviation(made[name]), mean_and_interval(made[name] - made["FuxiCTR"])
        )


def test_features() -> None:
    runs = runs_in("accuracy/results/features/features_kuairand.json", "embedding", "features")
    for name, shown in told(ACCURACY, "DIN with").items():
        own = runs[name.partition(",")[0], "tab" in name]
        check(shown, mean_and_range(own), mean_of(own, "test", "gauc"))
    runs = runs_in("accuracy/results/features/features_shop.json", "embedding", "features")
    rows = told(ACCURACY, "model", 3).values()
    for name, shown in zip(("plain", "gcn", "boosting"), rows, strict=True):
        alone = mean_and_range(runs[name, False]) if name != "boosting" else ()
        check(shown, alone, mean_and_range(runs[name, True]))


def test_radius_and_gap() -> None:
    world = read_json(RESULTS / "theory/results/radius-world.json")["runs"]
    sets = {
        f"interest-delay model, {users:,} users": [
            run for run in world if (run["users"], run["folds"]) == (users, 10)
        ]
        for users in (100, 300, 1000)
    }
    for name in ("Beauty", "Sports_and_Outdoors"):
        path = RESULTS / f"theory/results/radius-{name}.json"
        sets[f"Amazon {name}"] = read_json(path)["runs"]
    figures, shares = (told("docs/theory.md", "data", number) for number in (1, 2))
    for name, runs in sets.items():
        columns = ["gap", "rms", "residual_share", "test_auc"]
        each = [[run[key] for key in columns] + [run["arm"]["num_centers"]] for run in runs]
        found = scipy.stats.spearmanr(each).statistic
        first = next(row for head, row in figures.items() if head.startswith(name))
        check([first[0], first[-3]], found[0, 1], found[1, 3])
        # The correlation of two with the third taken out of both.
        partial = [
            (found[0, one] - found[0, third] * found[one, third])
            / math.sqrt((1 - found[0, third] ** 2) * (1 - found[one, third] ** 2))
            for one, third in ((2, 1), (1, 2), (1, 4))
        ]
        check(shares[name][::3], found[0, 2], partial)
