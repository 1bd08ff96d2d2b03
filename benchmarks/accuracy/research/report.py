"""RESULTS.md and its figure, from the raw results of the cells and of tuning alone.

python -m benchmarks.accuracy.research.report --readme README.md    # its table, too
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.lines import Line2D

from benchmarks.accuracy.research.claims import CENTERS, RES, best_res, claims, controls
from benchmarks.accuracy.research.one_for_all import (
    against_tuned_there,
    one_for_all,
    one_for_all_table,
)
from benchmarks.accuracy.research.readme import MARKS, README_CELLS, readme_table
from benchmarks.accuracy.research.settings import BUDGET, FINALISTS, SEEDS
from benchmarks.accuracy.research.tables import (
    Runs,
    against,
    best_against_each,
    cell_table,
    overview,
    own_edges,
    settings_table,
)
from benchmarks.tables import section, write_between
from resemb_gnn.experiment.results import read_results
from resemb_gnn.experiment.summary import Results, by_embedding
from resemb_gnn.io.atomic import write_atomically

MODEL_CELLS = {
    "beauty-uniform-pooled-mlp": "pooled MLP",
    "beauty-uniform-wide-deep": "Wide & Deep",
    "beauty-uniform-pnn": "PNN",
    "beauty-uniform-din": "DIN",
    "beauty-uniform-dien": "DIEN",
}
CELL = "python -m benchmarks.accuracy.research --data-folder FOLDER --only"


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
        Line2D([], [], color="#0072b2", marker="o", label="Res-embedding"),
        Line2D([], [], color="#d55e00", marker="s", label="baseline or ablation"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def results_below(folder: Path) -> dict[str, Results]:
    """The results of each cell in a folder, by its name."""
    paths = sorted(folder.glob("*/results.json"))
    return {path.parent.name: read_results(path) for path in paths}


def page(
    found: dict[str, Results],
    own: dict[str, Results],
    four: tuple[list[str], dict[str, Runs]],
    options: argparse.Namespace,
) -> list[str]:
    """Lines of RESULTS.md."""
    cells = {name: by_embedding(results) for name, results in found.items()}
    order, runs_of_four = four
    image = options.results / "differences.png"
    picture(cells, image)
    lines = [
        "# Does Res-embedding help, where, and against what? (the earlier study)",
        "",
        "**Read [CONTEST.md](CONTEST.md) first.** Here rivals read less than the graph arms do"
        " (tables no count, `plain:spectral` the full graph, no map without centres stands beside"
        " them), one negative a positive was drawn once, KuaiRand was modelled without the"
        " features that decide its clicks, and intervals cover model seeds alone. On Complete"
        " Journey histories held products of the target's own basket, in the order of their ids:"
        " so an item's place in the list told of its neighbours. These runs were made before that"
        " was mended.",
        "",
        "Made by `python -m benchmarks.accuracy.research.report` from the raw results in"
        " `results/research*` and `results/tuning*`; the protocol is in README.md. Mean ± standard"
        " deviation over seeds; differences are paired by seed, in points of test AUC with a 95 %"
        " interval, bold where it leaves out zero. Arms stand in the order of validation AUC."
        " Rare targets: candidates with at most 3 training behaviours.",
        "",
    ]
    best = best_res(cells)
    if best is not None:
        held = [line for arm in dict.fromkeys([best, *CENTERS]) for line in claims(cells, arm)]
        if order:
            settings = " with settings chosen on all four data sets"
            held += claims(runs_of_four, order[0], settings)
        lines += section("What holds", [*held, *controls(cells)])
    if image.exists():
        note = "Points of test AUC over `plain` with 95 % intervals, arms with at least 3 seeds."
        lines += [f"![differences]({os.path.relpath(image, options.out.parent)})", "", note, ""]
    for title, names in (("data set", README_CELLS), ("model", MODEL_CELLS)):
        if any(name in cells for name in names):
            note = f"Mean test AUC over {SEEDS} seeds, or as many as stand in brackets."
            lines += section(f"Every embedding by {title}", note, overview(cells, names))
    for name, runs in cells.items():
        lines += section(name, f"`{CELL} {name}`", cell_table(runs))
    lines += own_edges(cells)
    lines += section(
        "Tuned settings",
        f"Of each arm's {BUDGET} trials on Beauty, the best {FINALISTS} by validation AUC (seed 0)"
        " were trained on Sports too; the best mean of both was chosen, for all data sets and"
        " models.",
        settings_table(options.tuning),
    )
    if order:
        lines += section(
            "One configuration for all four data sets",
            f"The same {FINALISTS} finalists of some arms, trained on KuaiRand and on Complete"
            " Journey too (`tuning --final`, seed 0), and the best mean of the four validation"
            " AUCs chosen (`--chosen-on four`). Test figures of these settings come from"
            " `results/research`, where the choice is the same as above, else from"
            " `results/research-four`; seeds in brackets.",
            one_for_all_table(order, runs_of_four, README_CELLS),
            *against_tuned_there(order[0], runs_of_four, own),
            settings_table(options.tuning, "four"),
        )
    for name, results in own.items():
        runs = by_embedding(results)
        lines += section(
            f"{name}, tuned on itself",
            f"`{CELL} {name} --tuning benchmarks/accuracy/results/tuning-own/{name} --out"
            f" benchmarks/accuracy/results/research-own`: the same {BUDGET} trials an arm, made on"
            " this data set, chosen by its validation AUC.",
            cell_table(runs),
            best_against_each(runs, cells.get(name, {})),
            settings_table(options.own_tuning / name),
        )
    return lines


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    folder = Path("benchmarks/accuracy")
    raw = folder / "results"
    parser.add_argument("--results", type=Path, default=raw / "research")
    parser.add_argument("--tuning", type=Path, default=raw / "tuning")
    parser.add_argument("--own", type=Path, default=raw / "research-own")
    parser.add_argument("--own-tuning", type=Path, default=raw / "tuning-own")
    parser.add_argument("--four", type=Path, default=raw / "research-four")
    parser.add_argument("--out", type=Path, default=folder / "RESULTS.md")
    parser.add_argument("--readme", type=Path, help="file whose table to make anew")
    options = parser.parse_args(argv)
    found, own = results_below(options.results), results_below(options.own)
    four = one_for_all(options.tuning, list(README_CELLS), found, results_below(options.four))
    write_atomically(options.out, "\n".join(page(found, own, four, options)))
    if options.readme is not None:
        order, runs = four
        table = readme_table(found, own, order[0] if order else None, runs)
        write_between(options.readme, table, MARKS)


if __name__ == "__main__":
    main()
