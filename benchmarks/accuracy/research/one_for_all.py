"""Arms with one configuration for all data sets, as the validation of all four chose it."""

from pathlib import Path

from benchmarks.accuracy.research.settings import ABLATIONS, worth
from benchmarks.accuracy.research.tables import Runs, against, figure_of, gained, searches
from benchmarks.tables import points, table
from resemb_gnn.experiment.summary import Results, by_embedding
from resemb_gnn.io.text_tables import NONE


def one_for_all(
    tuning: Path, names: list[str], *folders: dict[str, Results]
) -> tuple[list[str], dict[str, Runs]]:
    """Arms with the settings that all four data sets' validation chose, the best one first, with
    ablations of that one last; and their runs by cell, from whichever of the ``folders`` has most.
    """
    chosen = searches(tuning, "four")
    order = sorted(chosen, key=lambda arm: -worth(chosen[arm]))
    order += [arm for arm, whole in ABLATIONS.items() if order and whole == order[0]]
    cells: dict[str, Runs] = {}
    for name in names:
        for arm in order:
            params = chosen[ABLATIONS.get(arm, arm)]["params"]
            every = [by_embedding(found[name]).get(arm, []) for found in folders if name in found]
            same = [[run for run in runs if run["overrides"] == params] for runs in every]
            most = max(same, key=len, default=[])
            if most:
                cells.setdefault(name, {})[arm] = most
    return order, cells


def one_for_all_table(
    order: list[str], cells: dict[str, Runs], titles: dict[str, str]
) -> list[str]:
    """Test AUC of every arm in every cell, and what the first one gains over each other one."""
    rows = []
    for arm in order:
        values = [
            f"{figure_of(runs[arm], 'test', 'auc')} ({len(runs[arm])})" if arm in runs else NONE
            for runs in cells.values()
        ]
        rows.append([arm, *values])
    best, *others = order
    for arm in others:
        gains = [points(against(runs, best, arm)) for runs in cells.values()]
        rows.append([f"*`{best}` less `{arm}`*", *gains])
    return table(["embedding", *(titles[name] for name in cells)], rows)


def against_tuned_there(best: str, cells: dict[str, Runs], own: dict[str, Results]) -> list[str]:
    """An arm with one configuration for all, less those tuned on the data set itself."""
    lines = []
    for name, results in own.items():
        runs = cells.get(name, {}).get(best)
        if runs:
            others = by_embedding(results).items()
            gains = ", ".join(f"`{arm}` {points(gained(runs, some))}" for arm, some in others)
            text = f"The same on {name}, less what was tuned there itself: {gains}."
            lines.append(text)
    return lines
