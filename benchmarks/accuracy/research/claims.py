"""What was to be shown, and whether it holds."""

import numpy as np

from benchmarks.accuracy.research.tables import Runs, against, gained
from benchmarks.tables import mean_of, points
from resemb_gnn.experiment.summary import Difference

# The same encoder's centres without a residual, where they are not `gcn:none`'s. They have the
# settings of sign:staged; sign has its own.
CENTERS = {"sign": "sign:none", "sign:staged": "sign:none"}
# Centres and residual:
RES = ("gcn", "gcn:staged", "sign:staged", "gat", "sign", "average", "kmeans", "category")


def best_res(cells: dict[str, Runs]) -> str | None:
    """The Res-embedding with the best mean validation AUC over the cells that have them all."""
    full = [runs for name, runs in cells.items() if name.endswith("-din")]
    arms = [arm for arm in RES if full and all(arm in runs for runs in full)]

    def mean(arm: str) -> float:
        return float(np.mean([mean_of(r[arm], "valid", "auc") for r in full]))

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
            lines.append(f"- {title}: {points(found).strip('*')} points, {holds}.")

    if "beauty-uniform-din" in cells:
        gain = against(cells["beauty-uniform-din"], best, "plain:l2")
        say(
            f"{name_of_best} beats `plain:l2` by 10 points on Beauty, uniform negatives", gain, 10.0
        )
    for other in ("plain:spectral", CENTERS.get(best, "gcn:none")):
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
                more = points(gained(real.get(arm, []), runs[arm])).strip("*")
                lines.append(
                    f"- control {name}, `{arm}`: {points(found).strip('*')}, {verdict}; with the"
                    f" graph itself {more} more."
                )
    return lines
