"""CONTEST.md, from the raw files of the contest alone.

python -m benchmarks.accuracy.contest.report --readme README.md    # its table, too
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy.contest.__main__ import RESULTS
from benchmarks.accuracy.contest.draws import Draws, over_users, read_draws
from benchmarks.accuracy.contest.rule import ARMS, BESIDE, FORMS, SEEDS, SETS
from benchmarks.accuracy.contest.tuned import Runs, of_seeds, tuned_table
from benchmarks.tables import mean_and_std, mean_of, points, section, table, write_between
from resemb_gnn.experiment.results import read_results
from resemb_gnn.experiment.run import Run
from resemb_gnn.experiment.summary import (
    by_embedding,
    difference,
    number,
    paired_differences,
    seconds_to_best,
)
from resemb_gnn.io.atomic import write_atomically
from resemb_gnn.io.json_text import read_json
from resemb_gnn.io.text_tables import NONE

Simple = dict[str, dict[str, Any]]
SIMPLE = {
    "popularity": "popularity",
    "recent": "popularity in the last tenth of training",
    "co-visits": "cosine co-visits with the history",
    "click rate": "smoothed click rate of the item",
    "click rates": "log-odds of the click rates of item and context, added",
    "counts": "logistic regression on counts",
    "later counts": "the same, of validation's behaviours too",
    "logistic": "logistic regression on untrained scores",
}
FITTED = "logistic"
DEFAULT = "mlp:held"
README_ARMS = (FITTED, "plain", "plain:item2vec", "spectral", "frozen", "linear", "gcn", DEFAULT)
MARKS = (
    "<!-- table: python -m benchmarks.accuracy.contest.report --readme README.md -->",
    "<!-- end of table -->",
)
# Of the table of S3-Rec's paper, its runs of the others too: its draw of the 99, our files.
PUBLISHED = {
    "beauty": {"SASRec": (0.4696, 0.3156), "FDSA": (0.5096, 0.3324), "S3-Rec": (0.5506, 0.3732)},
    "sports": {"SASRec": (0.4622, 0.2869), "FDSA": (0.5136, 0.3170), "S3-Rec": (0.5614, 0.3538)},
}
# What came out on the same files later: by reproduce/README.md of S3-Rec's repository
# (aHuiWang/CIKM2020-S3Rec), and by its issue 11, with pmixer/SASRec.pytorch.
RERUN = {
    "beauty": {
        "S3-Rec, run again by its authors": (0.5687, 0.3816),
        "SASRec, run again by a reader of S3-Rec": (0.5059, 0.3384),
    },
    "sports": {"SASRec, run again by a reader of S3-Rec": (0.5058, 0.3139)},
}


def simple_scores(folder: Path) -> Simple:
    """What simple.py found of a set; nothing if it was not run."""
    path = folder / "simple.json"
    found: Simple = read_json(path)["scores"] if path.exists() else {}
    return found


def choice(sets: dict[str, Runs]) -> list[str]:
    """What the rule chooses by: the forms from the best, over the seeds that all have of a set."""
    shared = {
        name: min(SEEDS, *(len(runs.get(form, [])) for form in FORMS))
        for name, runs in sets.items()
    }
    if not shared or not all(shared.values()):
        return ["Not all forms have been run on all sets."]
    found = {
        form: [mean_of(of_seeds(sets[name], shared[name])[form], "valid", "auc") for name in sets]
        for form in FORMS
    }
    means = {form: float(np.mean(values)) for form, values in found.items()}
    rows = [
        [f"`{form}`", *(f"{value:.4f}" for value in found[form]), f"{means[form]:.5f}"]
        for form in sorted(means, key=lambda form: -means[form])
    ]
    titles = [f"{SETS[name].title} (seeds: {seeds})" for name, seeds in shared.items()]
    return table(["form", *titles, "mean"], rows)


def more_seeds(name: str, runs: Runs, draws: Draws) -> list[str]:
    """The arms of a set that have more seeds than the rule asks for, with all of them."""
    most = max(map(len, runs.values()))
    if most <= SEEDS:
        return []
    some = {arm: own for arm, own in runs.items() if len(own) == most}
    title = f"{SETS[name].title}, {most} seeds of some arms"
    return section(title, set_table(name, some, {}, draws, most))


def seconds_to_reach(runs: list[dict[str, Any]], others: list[dict[str, Any]]) -> float:
    """Mean seconds of training until a run is as good in validation AUC as the other of its seed
    ever is; NaN if one of them never is, or there is none of its seed.
    """
    best = {run["seed"]: number(run, "valid", "auc") for run in others}
    found = []
    for run in runs:
        aim = best.get(run["seed"], math.inf)
        good = (number(epoch, "valid", "auc") >= aim for epoch in run["curve"])
        reached = next((epoch for epoch, is_good in enumerate(good, 1) if is_good), 0)
        found.append(seconds_to_best(run | {"best_epoch": reached}))  # NaN of epoch 0
    return float(np.mean(found))


def set_table(name: str, runs: Runs, simple: Simple, draws: Draws, seeds: int = SEEDS) -> list[str]:
    """The simple scores, a set's arms in the order of the rule, and what others published."""
    runs = of_seeds(runs, seeds)
    ranked = any(run.get("ranking") for some in runs.values() for run in some)
    titles = ["embedding", "seeds", "valid AUC", "AUC", "GAUC", "GAUC less `plain`'s, over users"]
    titles += ["over users and seeds"] if seeds > SEEDS else []
    titles += ["over seeds", *(("HR@10", "NDCG@10") if ranked else ("log loss",))]
    rows = []

    def over_both(arm: str) -> str:
        return points(over_users(draws, arm, "plain", "gauc", seeds, with_seeds=True))

    for score, found in simple.items():
        test, ranking = found["test"], found.get("ranking", {})
        loss = f"{test['logloss']:.4f}" if score == FITTED else NONE  # the others are no log-odds
        gain = points(over_users(draws, score, "plain", "gauc", seeds))
        cells = [f"{test['auc']:.4f}", f"{test['gauc']:.4f}", gain, NONE]
        cells += [loss] if not ranked else []
        cells += [f"{ranking[key]:.4f}" for key in ("hr_10", "ndcg_10") if ranked]
        rows.append([SIMPLE[score], NONE, NONE, *cells, NONE, NONE])
    for arm in (arm for arm in ARMS if arm in runs):
        own = runs[arm]
        paired = paired_differences(own, runs.get("plain", []), "test", "gauc")
        versus = arm != "plain" and "plain" in runs
        reached = seconds_to_reach(own, runs.get("plain", []))
        rows.append(
            [
                f"`{arm}`",
                str(len(own)),
                f"{mean_of(own, 'valid', 'auc'):.4f}",
                mean_and_std([number(run, "test", "auc") for run in own]),
                f"{mean_of(own, 'test', 'gauc'):.4f}",
                points(over_users(draws, arm, "plain", "gauc", seeds)) if versus else NONE,
                *([over_both(arm) if versus else NONE] if seeds > SEEDS else []),
                points(difference(paired)) if versus and len(paired) > 1 else NONE,
                *([f"{mean_of(own, 'test', 'logloss'):.4f}"] if not ranked else []),
                *(f"{mean_of(own, 'ranking', key):.4f}" for key in ("hr_10", "ndcg_10") if ranked),
                f"{np.mean([seconds_to_best(run) for run in own]):.0f}",
                NONE if math.isnan(reached) else f"{reached:.0f}",
            ]
        )
    published = {f"{rival}, published": told for rival, told in PUBLISHED.get(name, {}).items()}
    for rival, figures in (published | RERUN.get(name, {})).items():
        shown = [f"{figure:.4f}" for figure in figures]
        rows.append([f"*{rival}*", *[NONE] * 6, *shown, NONE, NONE])
    titles += ["seconds to the chosen epoch", "to `plain`'s best validation AUC"]
    return table(titles, rows)


def verdicts(form: str, sets: dict[str, Runs], draws: dict[str, Draws]) -> list[str]:
    """The form against every other arm: win, level or loss in GAUC, and by how much."""
    rows = []
    for arm in (arm for arm in (FITTED, "counts", *ARMS) if arm != form):
        cells = []
        for name in sets:
            found = over_users(draws[name], form, arm, "gauc", SEEDS)
            word = ""
            if found is not None:
                word = "win " if found.low > 0 else "loss " if found.high < 0 else "level "
            cells.append(word + points(found).replace("**", ""))
        rows.append([SIMPLE.get(arm, f"`{arm}`"), *cells])
    return table([f"`{form}` against", *(SETS[name].title for name in sets)], rows)


def page(
    sets: dict[str, Runs], simple: dict[str, Simple], draws: dict[str, Draws], beside: list[str]
) -> list[str]:
    """Lines of CONTEST.md."""
    lines = [
        "# The contest",
        "",
        "Made by `python -m benchmarks.accuracy.contest.report` from the raw files in"
        " `results/contest`; the rule is in [contest/README.md](contest/README.md). Differences"
        " are in points (hundredths) of GAUC (users weighted by their examples) with 95 %"
        " intervals, bold where these leave out zero, not corrected for their number, over the"
        " seeds that both arms have; the other columns are over all of an arm's;"
        " *over users*: what another sample of test users would change, seeds held fixed; *over"
        " seeds*: what another start and order of the batches would; *over users and seeds*: both"
        " at once, where there are more seeds than the rule's. Sets and arms that are missing"
        " have yet to be run. Log loss is told where examples have labels of their own: elsewhere"
        " these runs were trained on more negatives than they were tested on. Seconds were taken"
        " beside much other work and say little. Published figures are S3-Rec's paper's, on its own"
        " draw of the 99; FDSA and S3-Rec read the items' attributes, which only the sections"
        " that say so do here.",
        "",
    ]
    lines += section("Validation AUC of the forms, by which the rule chooses", choice(sets))
    for one in FORMS:
        if all(one in runs for runs in sets.values()):
            title = f"`{one}` against every other arm"
            lines += section(title, verdicts(one, sets, draws))
    for name, runs in sets.items():
        lines += section(SETS[name].title, set_table(name, runs, simple[name], draws[name]))
        lines += more_seeds(name, runs, draws[name])
    return [*lines, *beside]


def beside_tables(results: Path, sets: dict[str, Runs], draws: dict[str, Draws]) -> list[str]:
    """What was run beside the contest; where `plain` was not, it is that of the set beside which
    it was run.
    """
    lines: list[str] = []
    sets, draws = dict(sets), dict(draws)
    for name, beside in BESIDE.items():
        file = results / name / "results.json"
        if not file.exists():
            continue
        runs, drawn = by_embedding(read_results(file)), read_draws(file.parent)
        if "plain" not in runs and "plain" in sets.get(beside.of, {}):
            runs["plain"] = sets[beside.of]["plain"]
            tables = (Run("plain", run["seed"]).file_name for run in runs["plain"])
            drawn |= {key: draws[beside.of][key] for key in tables if key in draws[beside.of]}
        sets[name], draws[name] = runs, drawn
        lines += section(beside.title, set_table(name, runs, {}, drawn, beside.seeds))
    ways = {"none": "kuairand", "softmax": "kuairand-softmax"}
    if all(name in sets for name in ways.values()):
        runs_by = {way: sets[name] for way, name in ways.items()}
        draws_by = {way: draws[name] for way, name in ways.items()}
        lines += section(
            "KuaiRand, each arm with the attention that its own validation prefers",
            tuned_table(runs_by, draws_by, DEFAULT, "attention"),
        )
    return lines


def readme_table(sets: dict[str, Runs], draws: dict[str, Draws]) -> list[str]:
    """Points of GAUC over ``plain``, bold where the interval over users leaves out zero; over the
    seeds that all of the arms have.
    """
    shared = {
        name: min(SEEDS, *(len(runs[arm]) for arm in README_ARMS if arm in runs))
        for name, runs in sets.items()
    }
    rows = []
    for arm in README_ARMS:
        cells = []
        for name, runs in sets.items():
            found = over_users(draws[name], arm, "plain", "gauc", shared[name])
            if arm == "plain":
                own = of_seeds(runs, shared[name])[arm]
                cells.append(f"{mean_of(own, 'test', 'gauc'):.3f}")
            elif found is None:
                cells.append(NONE)
            else:
                sure = found.low > 0 or found.high < 0
                text = f"{100 * found.mean:+.1f}"
                cells.append(f"**{text}**" if sure else text)
        rows.append([SIMPLE.get(arm) or f"`{arm}`: {ARMS[arm]}", *cells])
    return [*table(["DIN with", *(SETS[name].title for name in sets)], rows), *readme_ranking(sets)]


def readme_ranking(sets: dict[str, Runs]) -> list[str]:
    """HR@10 and NDCG@10 of the sets that others have published figures of, beside these."""
    found = []
    for name, rivals in PUBLISHED.items():
        own = of_seeds(sets.get(name, {}), SEEDS)
        for arm in (arm for arm in ("plain", DEFAULT) if own.get(arm)):
            ours = [mean_of(own[arm], "ranking", key) for key in ("hr_10", "ndcg_10")]
            found.append(f"`{arm}` {ours[0]:.3f} / {ours[1]:.3f}")
        if found:
            others = (
                ", ".join(f"{rival} {hr:.3f} / {ndcg:.3f}" for rival, (hr, ndcg) in some.items())
                for some in (rivals, RERUN[name])
            )
            found[-1] += f" ({SETS[name].title}; published: {'; since: '.join(others)})"
    if not found:
        return []
    return ["", "Held-out item among 99, HR@10 / NDCG@10: " + ", ".join(found) + "."]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/accuracy/CONTEST.md"))
    parser.add_argument("--readme", type=Path, help="file whose table to make anew")
    options = parser.parse_args(argv)
    files = {name: options.results / name / "results.json" for name in SETS}
    sets = {name: by_embedding(read_results(file)) for name, file in files.items() if file.exists()}
    draws = {name: read_draws(files[name].parent) for name in sets}
    simple = {name: simple_scores(files[name].parent) for name in sets}
    beside = beside_tables(options.results, sets, draws)
    write_atomically(options.out, "\n".join(page(sets, simple, draws, beside)))
    if options.readme is not None:
        write_between(options.readme, readme_table(sets, draws), MARKS)


if __name__ == "__main__":
    main()
