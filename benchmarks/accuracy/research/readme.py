"""The table of the repository's README: DIN with some embeddings on every data set."""

from benchmarks.accuracy.research.settings import SEEDS
from benchmarks.accuracy.research.tables import Runs, against, figure_of
from benchmarks.tables import points, table
from resemb_gnn.experiment.summary import Results, by_embedding, missing_seeds
from resemb_gnn.io.text_tables import NONE

README_CELLS = {
    "beauty-uniform-din": "Beauty, uniform negatives",
    "beauty-popularity-din": "Beauty, negatives by popularity",
    "sports-uniform-din": "Sports, uniform negatives",
    "sports-popularity-din": "Sports, negatives by popularity",
    "kuairand-clicks-din": "KuaiRand, real impressions",
    "complete-journey-din": "Complete Journey, uniform negatives",
}
README_ARMS = {
    "plain": "a table",
    "plain:l2": "a table with a tuned L2 penalty",
    "plain:spectral": "a table started from the spectral features",
    "gcn:none": "centres, no residual",
    "gcn": "centres and a small residual",
    "sign:staged": "centres first, then a free residual; weights from an item's features too",
}
MARKS = (
    "<!-- table: python -m benchmarks.accuracy.research.report --readme README.md -->",
    "<!-- end of table -->",
)


def readme_table(
    found: dict[str, Results], own: dict[str, Results], best: str | None, four: dict[str, Runs]
) -> list[str]:
    """DIN with each embedding on every data set where it ran on all seeds, and where arms were
    tuned on the data set itself; last, the ``best`` one with the settings that all four data sets
    chose.
    """
    shown = {}
    for results, more in ((found, ""), (own, ", tuned there")):
        for name, title in README_CELLS.items():
            if name in results:
                runs, lacking = by_embedding(results[name]), missing_seeds(results[name])
                kept = {arm: some for arm, some in runs.items() if arm not in lacking}
                shown[title + more] = kept
    arms = [arm for arm in README_ARMS if any(arm in runs for runs in shown.values())]
    rows = []
    for arm in arms:
        cells = [_value_and_gain(runs, arm) for runs in shown.values()]
        rows.append([f"`{arm}`: {README_ARMS[arm]}", *cells])
    for arm in (name for name in ("gcn", "sign:staged") if name in arms):
        gains = [points(against(runs, arm, "plain:spectral")) for runs in shown.values()]
        rows.append([f"*`{arm}` less `plain:spectral`*", *gains])
    if best is not None:
        columns = [four.get(name, {}) for name in README_CELLS if name in found]
        columns += [{}] * (len(shown) - len(columns))
        cells = [_value_and_gain(runs, best) for runs in columns]
        rows.append([f"`{best}`, one choice for all four data sets", *cells])
        gains = [points(against(runs, best, "plain:spectral")) for runs in columns]
        rows.append(["*the same less `plain:spectral`*", *gains])
    return table(["DIN with", *shown], rows)


def _value_and_gain(runs: Runs, arm: str) -> str:
    """Test AUC and, below it, the gain over ``plain``."""
    if arm not in runs:
        return NONE
    few = f" ({len(runs[arm])} seeds)" if len(runs[arm]) != SEEDS else ""
    value = figure_of(runs[arm], "test", "auc") + few
    gain = against(runs, arm, "plain")
    return value if gain is None else f"{value}<br>{points(gain)}"
