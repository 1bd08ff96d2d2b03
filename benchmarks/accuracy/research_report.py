"""RESULTS.md and its figure, from the raw results of research.py and tuning.py alone.

python benchmarks/research_report.py --readme README.md    # its table, too
"""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from research_settings import ABLATIONS, BUDGET, CHOSEN_ON, FINALISTS, SEEDS, best_trial, worth

from resemb_gnn.experiment.results import read_results, write_atomically
from resemb_gnn.experiment.summary import (
    Difference,
    Results,
    by_embedding,
    describe,
    difference,
    missing_seeds,
    number,
    paired_differences,
)
from resemb_gnn.pipeline.arms import ARMS

Runs = dict[str, list[dict[str, Any]]]
BASELINES = ("plain", "plain-l2", "spectral-start")
README_CELLS = {
    "beauty-uniform-din": "Beauty, uniform negatives",
    "beauty-popularity-din": "Beauty, negatives by popularity",
    "sports-uniform-din": "Sports, uniform negatives",
    "sports-popularity-din": "Sports, negatives by popularity",
    "kuairand-clicks-din": "KuaiRand, real impressions",
    "complete-journey-din": "Complete Journey, uniform negatives",
}
DATA_TITLES = {
    "Sports_and_Outdoors.txt": "Sports",
    "kuairand_pure": "KuaiRand",
    "complete-journey": "Complete Journey",
}
MODEL_CELLS = {
    "beauty-uniform-pooled-mlp": "pooled MLP",
    "beauty-uniform-wide-deep": "Wide & Deep",
    "beauty-uniform-pnn": "PNN",
    "beauty-uniform-din": "DIN",
    "beauty-uniform-dien": "DIEN",
}
README_ARMS = {
    "plain": "a table",
    "plain-l2": "a table with a tuned L2 penalty",
    "spectral-start": "a table started from the spectral features",
    "centers-only": "centres, no residual",
    "gcn": "centres and a small residual",
    "gcn-skip-staged": "centres first, then a free residual; weights from an item's features too",
}
MARKS = (
    "<!-- table: python benchmarks/research_report.py --readme README.md -->",
    "<!-- end of table -->",
)
# The same encoder's centres without a residual, where they are not `centers-only`'s. They have the
# settings of gcn-skip-staged; gcn-skip has its own.
CENTERS = {"gcn-skip": "gcn-skip-centers-only", "gcn-skip-staged": "gcn-skip-centers-only"}
# Centres and residual:
RES = ("gcn", "gcn-staged", "gcn-skip-staged", "gat", "gcn-skip", "average", "kmeans", "category")


def signed(found: Difference | None) -> str:
    """A paired difference in points of AUC with its 95 % interval; bold if it leaves out zero."""
    if found is None:
        return "–"
    text = f"{100 * found.mean:+.2f} [{100 * found.low:+.2f}, {100 * found.high:+.2f}]"
    return f"**{text}**" if found.low > 0 or found.high < 0 else text


def against(runs: Runs, arm: str, baseline: str, *path: str) -> Difference | None:
    """Paired difference of an arm to another, `test auc` if no path is given."""
    if arm == baseline or baseline not in runs or arm not in runs:
        return None
    return gained(runs[arm], runs[baseline], *path)


def gained(
    runs: list[dict[str, Any]], baseline: list[dict[str, Any]], *path: str
) -> Difference | None:
    """Paired difference of runs to others of the same seeds, `test auc` if no path is given."""
    pairs = paired_differences(runs, baseline, *(path or ("test", "auc")))
    return difference(pairs) if len(pairs) > 1 else None  # one seed has no interval


def figure_of(runs: Iterable[dict[str, Any]], *path: str, factor: float = 1.0) -> str:
    values = [factor * number(run, *path) for run in runs]
    stat = describe(values)
    return f"{stat.mean:.4f} ± {stat.std:.4f}" if len(values) > 1 else f"{stat.mean:.4f}"


def table(runs: Runs) -> list[str]:
    """A cell's arms, the best by validation AUC first."""
    order = sorted(runs, key=lambda arm: -_mean(runs[arm], "valid", "auc"))
    lines = [
        "| embedding | seeds | valid AUC | test AUC | to plain | to plain-l2 | to spectral-start |"
        " GAUC | log loss | gap | rare targets: AUC | rare: to plain |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for arm in order:
        some = runs[arm]
        cells = [
            arm,
            str(len(some)),
            f"{_mean(some, 'valid', 'auc'):.4f}",
            figure_of(some, "test", "auc"),
            *(signed(against(runs, arm, other)) for other in BASELINES),
            f"{_mean(some, 'test', 'gauc'):.4f}",
            f"{_mean(some, 'test', 'logloss'):.4f}",
            f"{_mean(some, 'gap'):.3f}",
            figure_of(some, "test_rare", "auc"),
            signed(against(runs, arm, "plain", "test_rare", "auc")),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def best_against_each(runs: Runs, carried: Runs) -> list[str]:
    """The arm with the best mean validation AUC, less each other one, also with the settings that
    these carry over from elsewhere.
    """
    best = max(runs, key=lambda arm: _mean(runs[arm], "valid", "auc"))

    def gains(others: Runs) -> str:
        arms = [arm for arm in runs if arm in others and arm != best]
        return ", ".join(f"`{arm}` {signed(gained(runs[best], others[arm]))}" for arm in arms)

    return [
        f"`{best}`, the best by validation AUC, less each other one: {gains(runs)}.",
        "",
        f"The same, less the others with the settings that they carry over: {gains(carried)}.",
    ]


def overview(cells: dict[str, Runs], titles: dict[str, str]) -> list[str]:
    """Mean test AUC of every arm in the cells of ``titles``, and of how many seeds if not all."""
    shown = {title: cells[name] for name, title in titles.items() if name in cells}
    lines = [f"| embedding | {' | '.join(shown)} |", f"|---{'|---' * len(shown)}|"]
    for arm in ARMS:
        some = [runs.get(arm, []) for runs in shown.values()]
        if any(some):
            lines.append(f"| {arm} | {' | '.join(map(_mean_and_seeds, some))} |")
    return lines


def _mean_and_seeds(runs: list[dict[str, Any]]) -> str:
    if not runs:
        return "–"
    seeds = "" if len(runs) == SEEDS else f" ({len(runs)})"
    return f"{_mean(runs, 'test', 'auc'):.4f}{seeds}"


def best_res(cells: dict[str, Runs]) -> str | None:
    """The Res-embedding with the best mean validation AUC over the cells that have them all."""
    full = [runs for name, runs in cells.items() if name.endswith("-din")]
    arms = [arm for arm in RES if full and all(arm in runs for runs in full)]

    def mean(arm: str) -> float:
        return float(np.mean([_mean(r[arm], "valid", "auc") for r in full]))

    return max(arms, key=mean) if arms else None


def claims(cells: dict[str, Runs], best: str, settings: str = "") -> list[str]:
    """What was to be shown, and whether it holds; ``settings`` tells of others than usual."""
    lines = []
    name_of_best = f"`{best}`{settings}"

    def say(title: str, found: Difference | None, at_least: float = 0.0) -> None:
        if found is not None:
            holds = (
                "holds" if found.low > 0 and 100 * found.mean >= at_least else "**does not hold**"
            )
            lines.append(f"- {title}: {signed(found).strip('*')} points, {holds}.")

    if "beauty-uniform-din" in cells:
        gain = against(cells["beauty-uniform-din"], best, "plain-l2")
        say(
            f"{name_of_best} beats `plain-l2` by 10 points on Beauty, uniform negatives", gain, 10.0
        )
    for other in ("spectral-start", CENTERS.get(best, "centers-only")):
        for name, runs in cells.items():
            if name.endswith("-din"):
                say(f"{name_of_best} beats `{other}` on {name}", against(runs, best, other))
    for name, runs in cells.items():
        if "-uniform-" in name and "permuted" not in name and "one-graph" not in name:
            say(f"{name_of_best} beats `plain` in {name}", against(runs, best, "plain"))
    return lines


def controls(cells: dict[str, Runs]) -> list[str]:
    """What each arm gains on a permuted graph, without co-visits, and how much more on the graph
    itself.
    """
    lines = []
    for name, runs in cells.items():
        real = cells.get(name.split("-permuted")[0], {})
        for arm in runs if "permuted" in name else ():
            found = against(runs, arm, "plain")
            if found is not None:
                verdict = "gains without co-visits" if found.low > 0 else "does not gain"
                more = signed(gained(real.get(arm, []), runs[arm])).strip("*")
                lines.append(
                    f"- control {name}, `{arm}`: {signed(found).strip('*')}, {verdict}; with the"
                    f" graph itself {more} more."
                )
    return lines


def own_edges(cells: dict[str, Runs]) -> list[str]:
    """Arms whose training examples do not see their own edges (folds), less the same with them."""
    lines = []
    for name, runs in cells.items():
        if not name.endswith("-one-graph"):
            continue
        folds = cells.get(name.removesuffix("-one-graph"), {})
        rows = [
            f"| {arm} | {len(some)} | {figure_of(some, 'test', 'auc')} | {_mean(some, 'gap'):.3f} |"
            f" {figure_of(folds[arm], 'test', 'auc')} | {_mean(folds[arm], 'gap'):.3f} |"
            f" {signed(gained(folds[arm], some))} |"
            for arm, some in runs.items()
            if arm in folds
        ]
        if rows:
            lines += [
                f"## Own edges: {name}",
                "",
                "Test AUC and gap with one graph for all training examples, which then see the"
                " edges that they put there themselves; and with 10 folds, as everywhere else.",
                "",
                "| embedding | seeds | one graph: AUC | gap | folds: AUC | gap | folds less one |",
                "|---|---|---|---|---|---|---|",
                *rows,
                "",
            ]
    return lines


def picture(cells: dict[str, Runs], path: Path) -> None:
    """Differences to plain with their intervals, a panel a cell; arms with three seeds or more."""
    shown = {name: runs for name, runs in cells.items() if name.endswith("-din")}
    if not shown:
        return
    tallest = max(len(runs) for runs in shown.values())
    size = (4.2 * len(shown), 1.2 + 0.3 * tallest)
    figure, axes = plt.subplots(1, len(shown), figsize=size, squeeze=False, layout="constrained")
    for axis, (name, runs) in zip(axes[0], shown.items(), strict=True):
        # The interval of two seeds would take up the whole panel.
        found = {arm: against(runs, arm, "plain") for arm in runs if len(runs[arm]) > 2}
        rows = sorted(
            ((arm, gain) for arm, gain in found.items() if gain is not None),
            key=lambda row: row[1].mean,
        )
        for place, (arm, gain) in enumerate(rows):
            color, marker = ("#0072b2", "o") if arm in RES else ("#d55e00", "s")
            low, middle, high = (100 * value for value in (gain.low, gain.mean, gain.high))
            axis.plot([low, high], [place, place], color=color, linewidth=1.5)
            axis.plot([middle], [place], marker, color=color, markersize=5)
        axis.axvline(0, color="#666666", linewidth=0.8)
        axis.set_yticks(range(len(rows)), [arm for arm, _ in rows])
        axis.set_xlabel("points of test AUC over plain")
        axis.set_title(name)
    handles = [
        plt.Line2D([], [], color="#0072b2", marker="o", label="Res-embedding"),
        plt.Line2D([], [], color="#d55e00", marker="s", label="baseline or ablation"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def settings_table(tuning: Path, chosen_on: str = "two") -> list[str]:
    """What each arm's search chose; with four data sets, of the arms that were trained on them."""
    found = {path.stem: best_trial(path, chosen_on) for path in searches(tuning, chosen_on)}
    others = [name for best in found.values() for name in best.get("finals", {})]
    names = [DATA_TITLES[name] for name in dict.fromkeys(others)]
    first = "valid AUC, Beauty" if names else "valid AUC"
    lines = [
        f"| {' | '.join(['embedding', first, *names, 'settings'])} |",
        f"|---|---|---|{'---|' * len(names)}",
    ]
    for arm, best in found.items():
        chosen = ", ".join(
            f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in best["params"].items()
        )
        figures = [f"{auc:.4f}" for auc in (best["valid_auc"], *best.get("finals", {}).values())]
        lines.append(f"| {arm} | {' | '.join(figures)} | {chosen} |")
    return lines


def searches(tuning: Path, chosen_on: str) -> list[Path]:
    """The files of the arms whose finals are there on all the data sets that shall count."""

    def there(path: Path) -> bool:
        made = {final["data"] for final in json.loads(path.read_text()).get("finals", [])}
        return chosen_on == "two" or made.issuperset(CHOSEN_ON[chosen_on])

    return [path for path in sorted(tuning.glob("*.json")) if there(path)]


def one_for_all(tuning: Path, *folders: dict[str, Results]) -> tuple[list[str], dict[str, Runs]]:
    """Arms with the settings that all four data sets' validation chose, the best one first, with
    ablations of that one last; and their runs by cell, from whichever of the ``folders`` has most.
    """
    chosen = {path.stem: best_trial(path, "four") for path in searches(tuning, "four")}
    order = sorted(chosen, key=lambda arm: -worth(chosen[arm]))
    order += [arm for arm, whole in ABLATIONS.items() if order and whole == order[0]]
    cells: dict[str, Runs] = {}
    for name in README_CELLS:
        for arm in order:
            params = chosen[ABLATIONS.get(arm, arm)]["params"]
            every = [by_embedding(found[name]).get(arm, []) for found in folders if name in found]
            same = [[run for run in runs if run["overrides"] == params] for runs in every]
            most = max(same, key=len, default=[])
            if most:
                cells.setdefault(name, {})[arm] = most
    return order, cells


def one_for_all_table(order: list[str], cells: dict[str, Runs]) -> list[str]:
    """Test AUC of every arm in every cell, and what the first one gains over each other one."""
    titles = [README_CELLS[name] for name in cells]
    lines = [f"| embedding | {' | '.join(titles)} |", f"|---{'|---' * len(titles)}|"]
    for arm in order:
        values = [
            f"{figure_of(runs[arm], 'test', 'auc')} ({len(runs[arm])})" if arm in runs else "–"
            for runs in cells.values()
        ]
        lines.append(f"| {arm} | {' | '.join(values)} |")
    best, *others = order
    for arm in others:
        gains = [signed(against(runs, best, arm)) for runs in cells.values()]
        lines.append(f"| *`{best}` less `{arm}`* | {' | '.join(gains)} |")
    return lines


def against_tuned_there(best: str, cells: dict[str, Runs], own: dict[str, Results]) -> list[str]:
    """An arm with one configuration for all, less those tuned on the data set itself."""
    lines = []
    for name, results in own.items():
        runs = cells.get(name, {}).get(best)
        if runs:
            others = by_embedding(results).items()
            gains = ", ".join(f"`{arm}` {signed(gained(runs, some))}" for arm, some in others)
            lines += [f"The same on {name}, less what was tuned there itself: {gains}.", ""]
    return lines


def other_settings(cells: dict[str, Runs], others: dict[str, Runs]) -> list[str]:
    """Arms with other settings than the chosen ones, against spectral-start and these."""
    lines = [
        "| cell | embedding | seeds | valid AUC | its choice's | test AUC | to spectral-start |"
        " to its choice |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, runs in others.items():
        chosen = cells.get(name, {})
        for arm, some in runs.items():
            seeds = {run["seed"] for run in some}
            same = [run for run in chosen.get(arm, []) if run["seed"] in seeds]
            row = [
                name,
                arm,
                str(len(some)),
                f"{_mean(some, 'valid', 'auc'):.4f}",
                f"{_mean(same, 'valid', 'auc'):.4f}" if same else "–",
                figure_of(some, "test", "auc"),
                *(signed(gained(some, chosen.get(each, []))) for each in ("spectral-start", arm)),
            ]
            lines.append(f"| {' | '.join(row)} |")
    return lines


def _values(runs: Iterable[dict[str, Any]], *path: str) -> list[float]:
    return [number(run, *path) for run in runs]


def _mean(runs: Iterable[dict[str, Any]], *path: str) -> float:
    return describe(_values(runs, *path)).mean


def readme_table(
    found: dict[str, Results], own: dict[str, Results], best: str | None, four: dict[str, Runs]
) -> list[str]:
    """The README's table: DIN with each embedding on every data set where it ran on all seeds, and
    where arms were tuned on the data set itself; last, the ``best`` one with the settings that all
    four data sets chose.
    """
    shown = {}
    for results, more in ((found, ""), (own, ", tuned there")):
        for name, title in README_CELLS.items():
            if name in results:
                runs, lacking = by_embedding(results[name]), missing_seeds(results[name])
                kept = {arm: some for arm, some in runs.items() if arm not in lacking}
                shown[title + more] = kept
    arms = [arm for arm in README_ARMS if any(arm in runs for runs in shown.values())]
    lines = [f"| DIN with | {' | '.join(shown)} |", f"|---{'|---' * len(shown)}|"]
    for arm, meaning in README_ARMS.items():
        if arm not in arms:
            continue
        cells = [_value_and_gain(runs, arm) for runs in shown.values()]
        lines.append(f"| `{arm}`: {meaning} | {' | '.join(cells)} |")
    for arm in (name for name in ("gcn", "gcn-skip-staged") if name in arms):
        gains = [signed(against(runs, arm, "spectral-start")) for runs in shown.values()]
        lines.append(f"| *`{arm}` less `spectral-start`* | {' | '.join(gains)} |")
    if best is not None:
        columns = [four.get(name, {}) for name in README_CELLS if name in found]
        columns += [{}] * (len(shown) - len(columns))
        cells = [_value_and_gain(runs, best) for runs in columns]
        lines.append(f"| `{best}`, one choice for all four data sets | {' | '.join(cells)} |")
        gains = [signed(against(runs, best, "spectral-start")) for runs in columns]
        lines.append(f"| *the same less `spectral-start`* | {' | '.join(gains)} |")
    return lines


def _value_and_gain(runs: Runs, arm: str) -> str:
    """Test AUC and, below it, the gain over ``plain``."""
    if arm not in runs:
        return "–"
    few = f" ({len(runs[arm])} seeds)" if len(runs[arm]) != SEEDS else ""
    value = figure_of(runs[arm], "test", "auc") + few
    gain = signed(against(runs, arm, "plain"))
    return value if gain == "–" else f"{value}<br>{gain}"


def write_between(path: Path, lines: list[str]) -> None:
    """Puts the lines in the place of those between the file's two marks."""
    before, _, rest = path.read_text(encoding="utf-8").partition(MARKS[0])
    _, mark, after = rest.partition(MARKS[1])
    if not mark:
        raise SystemExit(f"{path} lacks the lines {MARKS[0]!r} and {MARKS[1]!r}")
    write_atomically(path, "\n".join([before + MARKS[0], "", *lines, "", MARKS[1] + after]))


def results_below(folder: Path) -> dict[str, Results]:
    """The results of each cell in a folder, by its name."""
    paths = sorted(folder.glob("*/results.json"))
    return {path.parent.name: read_results(path) for path in paths}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    folder = Path("benchmarks")
    raw = folder / "results"
    parser.add_argument("--results", type=Path, default=raw / "research")
    parser.add_argument("--tuning", type=Path, default=raw / "tuning")
    parser.add_argument("--own", type=Path, default=raw / "research-own")
    parser.add_argument("--own-tuning", type=Path, default=raw / "tuning-own")
    parser.add_argument("--four", type=Path, default=raw / "research-four")
    parser.add_argument("--earlier", type=Path, default=raw / "research-earlier")
    parser.add_argument("--out", type=Path, default=folder / "RESULTS.md")
    parser.add_argument("--readme", type=Path, help="file whose table to make anew")
    options = parser.parse_args()
    found = results_below(options.results)
    cells = {name: by_embedding(results) for name, results in found.items()}
    own, earlier = results_below(options.own), results_below(options.earlier)
    order, four = one_for_all(options.tuning, found, earlier, results_below(options.four))
    image = options.results / "differences.png"
    picture(cells, image)
    lines = [
        "# Does Res-embedding help, where, and against what?",
        "",
        "Made by `python benchmarks/research_report.py` from the raw results in"
        " `results/research*` and `results/tuning*`; the protocol is in README.md. Mean ± standard"
        " deviation over seeds; differences are paired by seed, in points of test AUC with a 95 %"
        " interval, bold where it leaves out zero. Arms stand in the order of validation AUC."
        " Rare targets: candidates with at most 3 training behaviours.",
        "",
    ]
    best = best_res(cells)
    if best is not None:
        lines += ["## What holds", ""]
        for arm in dict.fromkeys([best, *CENTERS]):
            lines += claims(cells, arm)
        if order:
            lines += claims(four, order[0], " with settings chosen on all four data sets")
        lines += [*controls(cells), ""]
    if image.exists():
        lines += [
            f"![differences]({image.relative_to(options.out.parent)})",
            "",
            "Points of test AUC over `plain` with 95 % intervals, arms with at least 3 seeds.",
            "",
        ]
    for title, names in (("data set", README_CELLS), ("model", MODEL_CELLS)):
        if any(name in cells for name in names):
            note = f"Mean test AUC over {SEEDS} seeds, or as many as stand in brackets."
            lines += [f"## Every embedding by {title}", "", note, "", *overview(cells, names), ""]
    for name in cells:
        command = f"`python benchmarks/research.py --data-folder FOLDER --only {name}`"
        lines += [f"## {name}", "", command, "", *table(cells[name]), ""]
    lines += own_edges(cells)
    lines += [
        "## Tuned settings",
        "",
        f"Of each arm's {BUDGET} trials on Beauty, the best {FINALISTS} by validation AUC (seed 0)"
        " were trained on Sports too; the best mean of both was chosen, for all data sets and"
        " models.",
        "",
        *settings_table(options.tuning),
        "",
    ]
    if order:
        lines += [
            "## One configuration for all four data sets",
            "",
            f"The same {FINALISTS} finalists of some arms, trained on KuaiRand and on Complete"
            " Journey too (`tuning.py --final`, seed 0), and the best mean of the four validation"
            " AUCs chosen (`research.py --chosen-on four`). Test figures of these settings come"
            " from `results/research`, where the choice is the same as above, else from"
            " `results/research-earlier` or `results/research-four`; seeds in brackets.",
            "",
            *one_for_all_table(order, four),
            "",
            *against_tuned_there(order[0], four, own),
            *settings_table(options.tuning, "four"),
            "",
        ]
    for name, results in own.items():
        runs = by_embedding(results)
        lines += [
            f"## {name}, tuned on itself",
            "",
            f"`python benchmarks/research.py --data-folder FOLDER --only {name} --tuning"
            f" benchmarks/results/tuning-own/{name} --out benchmarks/results/research-own`: the"
            f" same {BUDGET} trials an arm, made on this data set, chosen by its validation AUC.",
            "",
            *table(runs),
            "",
            *best_against_each(runs, cells.get(name, {})),
            "",
            *settings_table(options.own_tuning / name),
            "",
        ]
    if earlier:
        lines += [
            "## Settings that an earlier search chose",
            "",
            "A first search looked at Beauty alone and lacked the defaults of `average` and"
            " `gcn-skip-staged`. Where it chose other settings (they stand in"
            " results/research-earlier with each run), here they are against the chosen ones, over"
            " the seeds in common:",
            "",
            *other_settings(cells, {name: by_embedding(some) for name, some in earlier.items()}),
            "",
        ]
    write_atomically(options.out, "\n".join(lines))
    if options.readme is not None:
        best = order[0] if order else None
        write_between(options.readme, readme_table(found, own, best, four))


if __name__ == "__main__":
    main()
