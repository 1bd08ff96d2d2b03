"""Tables of RESULTS.md: the runs of a cell, of all cells side by side, and the tuned settings."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.accuracy.research.settings import ARMS, CHOSEN_ON, SEEDS, best_trial
from benchmarks.tables import mean_and_std, mean_of, points, section, table
from resemb_gnn.experiment.summary import (
    Difference,
    difference,
    number,
    paired_differences,
)
from resemb_gnn.io.json_text import read_json
from resemb_gnn.io.text_tables import NONE

Runs = dict[str, list[dict[str, Any]]]
BASELINES = ("plain", "plain:l2", "plain:spectral")
DATA_TITLES = {
    "Sports_and_Outdoors.txt": "Sports",
    "kuairand_pure": "KuaiRand",
    "complete-journey": "Complete Journey",
}


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


def figure_of(runs: Iterable[dict[str, Any]], *path: str) -> str:
    return mean_and_std([number(run, *path) for run in runs])


def cell_table(runs: Runs) -> list[str]:
    """A cell's arms, the best by validation AUC first."""
    titles = ["embedding", "seeds", "valid AUC", "test AUC", *(f"to {name}" for name in BASELINES)]
    titles += ["GAUC", "log loss", "gap", "rare targets: AUC", "rare: to plain"]
    rows = [
        [
            arm,
            len(runs[arm]),
            f"{mean_of(runs[arm], 'valid', 'auc'):.4f}",
            figure_of(runs[arm], "test", "auc"),
            *(points(against(runs, arm, other)) for other in BASELINES),
            f"{mean_of(runs[arm], 'test', 'gauc'):.4f}",
            f"{mean_of(runs[arm], 'test', 'logloss'):.4f}",
            f"{mean_of(runs[arm], 'gap'):.3f}",
            figure_of(runs[arm], "test_rare", "auc"),
            points(against(runs, arm, "plain", "test_rare", "auc")),
        ]
        for arm in sorted(runs, key=lambda arm: -mean_of(runs[arm], "valid", "auc"))
    ]
    return table(titles, rows)


def best_against_each(runs: Runs, carried: Runs) -> list[str]:
    """The arm with the best mean validation AUC, less each other one, also with the settings that
    these carry over from elsewhere.
    """
    best = max(runs, key=lambda arm: mean_of(runs[arm], "valid", "auc"))

    def gains(others: Runs) -> str:
        arms = [arm for arm in runs if arm in others and arm != best]
        return ", ".join(f"`{arm}` {points(gained(runs[best], others[arm]))}" for arm in arms)

    return [
        f"`{best}`, the best by validation AUC, less each other one: {gains(runs)}.",
        "",
        f"The same, less the others with the settings that they carry over: {gains(carried)}.",
    ]


def overview(cells: dict[str, Runs], titles: dict[str, str]) -> list[str]:
    """Mean test AUC of every arm in the cells of ``titles``, and of how many seeds if not all."""
    shown = {title: cells[name] for name, title in titles.items() if name in cells}
    some = {arm: [runs.get(arm, []) for runs in shown.values()] for arm in ARMS}
    rows = [[arm, *map(_mean_and_seeds, runs)] for arm, runs in some.items() if any(runs)]
    return table(["embedding", *shown], rows)


def _mean_and_seeds(runs: list[dict[str, Any]]) -> str:
    if not runs:
        return NONE
    seeds = "" if len(runs) == SEEDS else f" ({len(runs)})"
    return f"{mean_of(runs, 'test', 'auc'):.4f}{seeds}"


def own_edges(cells: dict[str, Runs]) -> list[str]:
    """Arms whose training examples do not see their own edges (folds), less the same with them."""
    lines: list[str] = []
    for name, runs in cells.items():
        folds = cells.get(name.removesuffix("-one-graph"), {})
        rows = [
            [
                arm,
                len(some),
                *(text for each in (some, folds[arm]) for text in _auc_and_gap(each)),
                points(gained(folds[arm], some)),
            ]
            for arm, some in runs.items()
            if name.endswith("-one-graph") and arm in folds
        ]
        if rows:
            titles = ["embedding", "seeds", "one graph: AUC", "gap", "folds: AUC", "gap"]
            lines += section(
                f"Own edges: {name}",
                "Test AUC and gap with one graph for all training examples, which then see the"
                " edges that they put there themselves; and with 10 folds, as everywhere else.",
                table([*titles, "folds less one"], rows),
            )
    return lines


def _auc_and_gap(runs: list[dict[str, Any]]) -> tuple[str, str]:
    return figure_of(runs, "test", "auc"), f"{mean_of(runs, 'gap'):.3f}"


def settings_table(tuning: Path, chosen_on: str = "two") -> list[str]:
    """What each arm's search chose; with four data sets, of the arms that were trained on them."""
    found = searches(tuning, chosen_on)
    others = [name for best in found.values() for name in best.get("finals", {})]
    names = [DATA_TITLES[name] for name in dict.fromkeys(others)]
    rows = []
    for arm, best in found.items():
        chosen = ", ".join(
            f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in best["params"].items()
        )
        figures = [f"{auc:.4f}" for auc in (best["valid_auc"], *best.get("finals", {}).values())]
        rows.append([arm, *figures, chosen])
    first = "valid AUC, Beauty" if names else "valid AUC"
    return table(["embedding", first, *names, "settings"], rows)


def searches(tuning: Path, chosen_on: str) -> dict[str, dict[str, Any]]:
    """The choice of each arm whose finals are there on all the data sets that shall count."""
    found = {}
    for path in tuning.glob("*.json"):
        contents = read_json(path)
        made = {final["data"] for final in contents.get("finals", [])}
        if chosen_on == "two" or made.issuperset(CHOSEN_ON[chosen_on]):
            found[contents["arm"]] = best_trial(path, chosen_on)
    return {arm: found[arm] for arm in ARMS if arm in found}
