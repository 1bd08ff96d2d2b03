"""Each arm of a set with that setting which its own validation prefers."""

from typing import Any

from benchmarks.accuracy.contest.draws import Draws, over_users
from benchmarks.accuracy.contest.rule import ARMS, SEEDS
from benchmarks.tables import mean_of, points, table
from resemb_gnn.experiment.run import Run
from resemb_gnn.io.text_tables import NONE

Runs = dict[str, list[dict[str, Any]]]


def of_seeds(runs: Runs, seeds: int) -> Runs:
    """The runs of the first seeds."""
    return {arm: [run for run in some if run["seed"] < seeds] for arm, some in runs.items()}


def tuned_table(
    runs: dict[str, Runs], draws: dict[str, Draws], default: str, title: str
) -> list[str]:
    """For each arm that was run with every setting: which has the better validation AUC, over the
    seeds it has with all, and what the test examples say of the arm with that one.

    Args:
        runs: the runs by what the setting is called.
        draws: the metrics over drawn users, likewise.
        default: the arm that is set against the others.
        title: what the setting is.
    """
    rows: list[list[str]] = []
    merged: Draws = {}
    for arm in (arm for arm in ARMS if all(arm in own for own in runs.values())):
        seeds = min(len(own[arm]) for own in runs.values())
        shared = {
            name: [run for run in own[arm] if run["seed"] < seeds] for name, own in runs.items()
        }
        valid = {name: mean_of(some, "valid", "auc") for name, some in shared.items()}
        best = max(valid, key=lambda name: valid[name])
        told = f"{best} ({', '.join(f'{value:.4f}' for value in valid.values())})"
        rows.append([arm, str(seeds), told, f"{mean_of(shared[best], 'test', 'gauc'):.4f}"])
        keys = [Run(arm, seed).file_name for seed in range(seeds)]
        merged |= {key: draws[best][key] for key in keys if key in draws[best]}

    def less(arm: str, other: str, seeds: int, with_seeds: bool = False) -> str:
        if arm == other:
            return NONE
        return points(over_users(merged, arm, other, "gauc", seeds, with_seeds))

    titles = ["embedding", "seeds", f"{title} (valid AUC of {' and '.join(runs)})", "GAUC"]
    titles += ["less `plain`'s, over users", "over users and seeds", f"`{default}` less it"]
    cells = []
    for arm, *row in rows:
        seeds = int(row[0])
        both = less(arm, "plain", seeds, with_seeds=True) if seeds > SEEDS else NONE
        cells.append([f"`{arm}`", *row, less(arm, "plain", seeds), both, less(default, arm, seeds)])
    return table(titles, cells)
