"""Tables and sentences of docs/ and benchmarks/ that were written by hand, from the raw files."""

import json
import math
import re
from collections import defaultdict
from typing import Any

import numpy as np
import scipy.stats

from benchmarks.tables import mean_of
from resemb_gnn.io.json_text import read_json
from tests.test_readme_figures import RESULTS, ROOT, by_round

ACCURACY = "benchmarks/accuracy/README.md"
NUMBER = re.compile(r"[-+]?\d*\.?\d+")


def told(page: str, title: str, number: int = 1) -> list[tuple[str, list[str]]]:
    """Name and figures of each row of a table: of the one whose first row begins with the title,
    the first or another.
    """
    text = (ROOT / page).read_text().replace("−", "-").replace("`", "")
    lines = text.split(f"| {title} |")[number].partition("\n\n")[0].splitlines()[2:]
    rows = [line.strip(" |").partition(" | ") for line in lines]
    return [(name, NUMBER.findall(row.replace(",", ""))) for name, _, row in rows]


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
    table = dict(told("docs/scale.md", "rows"))
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
        rows = told(ACCURACY, "model", number)
        for arm, (_, shown) in zip(arms, rows, strict=True):
            days = [[run["auc"] for run in runs[arm, day]] for day in range(1, 8)]
            made = [*mean_and_deviation(days[0]), *mean_and_deviation(days[-1]), np.mean(days)]
            if arm != "stale":
                later = [run for day in range(2, 8) for run in runs[arm, day]]
                made += [mean_of(later, "auc_of_new"), mean_of(later, "seconds")]
            check(shown, made)


def test_encoders_and_crosscheck() -> None:
    runs = runs_in("accuracy/results/encoders/results.json", "embedding")
    for name, shown in told(ACCURACY, "encoder"):
        own = runs[name.removesuffix(", ours")]
        less = aucs(own) - aucs(runs["plain"])
        versus = () if name == "plain" else mean_and_interval(less)
        parts = [mean_and_deviation(aucs(own, part)) for part in ("valid", "test")]
        check(shown, *parts, versus)
    runs = runs_in("accuracy/results/crosscheck/results.json", "arm")
    (_, theirs), *rows = told(ACCURACY, "DIN")
    made = {name: np.array([run["test"] for run in own]) for name, own in runs.items()}
    check(theirs, mean_and_deviation(made["FuxiCTR"]))
    for (_, shown), name in zip(rows, ("resemb_gnn, FuxiCTR's layers", "resemb_gnn"), strict=True):
        check(
            shown, mean_and_deviation(made[name]), mean_and_interval(made[name] - made["FuxiCTR"])
        )


def test_features() -> None:
    runs = runs_in("accuracy/results/features/features_kuairand.json", "embedding", "features")
    for name, shown in told(ACCURACY, "DIN with"):
        own = runs[name.partition(",")[0], "tab" in name]
        check(shown, mean_and_range(own), mean_of(own, "test", "gauc"))
    runs = runs_in("accuracy/results/features/features_shop.json", "embedding", "features")
    rows = told(ACCURACY, "model", 3)
    for name, (_, shown) in zip(("plain", "gcn", "boosting"), rows, strict=True):
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
    figures, shares = (dict(told("docs/theory.md", "data", number)) for number in (1, 2))
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


def test_capacity() -> None:
    runs = read_json(RESULTS / "theory/results/capacity-world.json")["runs"]
    arms = {json.dumps(run["arm"]): run["arm"] for run in runs}.values()
    by_hand = [arm for arm in arms if arm["kind"] == "within" and arm["cells"] > 1]
    rest = [arm for arm in arms if arm["kind"] != "across" and arm not in by_hand]
    for (_, shown), arm in zip(told("docs/theory.md", "items of an interest"), rest, strict=True):
        own = [run for run in runs if run["arm"] == arm]
        names = ("trained", "rms", "gap", "test_auc")
        check([*shown[:3], shown[-1]], [mean_of(own, name) for name in names])


def test_cold_items() -> None:
    runs = read_json(RESULTS / "accuracy/results/cold-items-features/cold_items.json")["runs"]
    neighbors = "mean of the neighbours, co-visits"
    vectors = [
        "mean of the neighbours, attributes",
        "mean of the neighbours, attributes, by root of counts",
        "regression to the vectors",
        "embed_new, features",
        neighbors,
        "embed_new, co-visits",
        "embed_new, features and co-visits",
        f"embed_new, features, and {neighbors}",
        f"regression to the vectors, and {neighbors}",
    ]
    for (_, shown), name in zip(told(ACCURACY, "known of a cold item"), vectors, strict=True):
        check(shown[-1:], mean_of(runs, "auc", name))


def test_sentences_on_speed() -> None:
    text = (RESULTS / "speed/README.md").read_text()
    raw = {path.stem: read_json(path) for path in (RESULTS / "speed/results").glob("*.json")}

    def shown(pattern: str) -> list[str]:
        found = re.search(pattern, text)
        assert found is not None, pattern
        return NUMBER.findall(found[0])

    cpu = by_round(raw["negatives"]["turns"], "cpu")
    more = [cpu[f"{name}, 4"] / cpu[f"{name}, 1"] for name in ("plain", "mlp", "gcn")]
    medians = np.median(more, axis=1)
    gat = np.median(cpu["gat, 4"] / cpu["gat, 1"])
    of_table = [np.median(cpu[f"{name}, 4"] / cpu["plain, 4"]) for name in ("mlp", "gcn", "gat")]
    check(shown("four take .*?(?= [|])"), medians.min(), medians.max(), gat, of_table)
    cpu = by_round(raw["features"]["turns"], "cpu")
    low, middle, high = np.percentile(cpu["DIN with features"] / cpu["DIN"], [25, 50, 75])
    rounds = len(cpu["DIN"])
    check(shown(r"with them is .*? rounds"), middle, low, high, rounds)
    begun = raw["startup"]["seconds"]
    names = ("help", "similar", "predict", "export")
    check(
        shown(r"help \.13.*?(?= [|])"), [np.median(begun[name]["this"]["wall"]) for name in names]
    )
    one, two = (turn["wall"] for turn in raw["jobs"]["turns"])
    check(shown("[0-9]+ s with two .*? times"), two, one, one / two)
    every, *blocks = raw["recommend"]["turns"]
    exact = sum(block["cpu"] for block in blocks)
    assert sum(block["users"] for block in blocks) == every["users"]
    best = 100 * raw["recommend"]["agreement"]["recall"]
    check(shown("22,363: .*?%")[2:], every["cpu"], exact, best)


def test_two_processes() -> None:
    rows = told("docs/distributed.md", "times as long as one process")
    for name, (_, shown) in zip(("cores", "cores-8192", "cores-items"), rows, strict=True):
        turns = read_json(RESULTS / f"speed/results/{name}.json")["turns"]
        made = []
        for clock in ("wall", "fit"):
            for embedding in ("plain", "mlp"):
                one, two = (
                    [
                        np.mean(turn[clock])
                        for turn in turns
                        if (turn["embedding"], turn["processes"]) == (embedding, number)
                    ]
                    for number in (1, 2)
                )
                made.append(np.median(np.divide(two, one)))
        check(shown, made)
