"""What the report says beside its figures, as text."""

from typing import Any

from resemb_gnn.experiment.summary import (
    Results,
    baseline_of,
    has_intervals,
    missing_seeds,
    several_seeds,
)
from resemb_gnn.io.text_tables import one_line


def report_title(results: Results) -> str:
    """Heading of the report."""
    return f"Embeddings compared on {results['data']['name']}"


def incomplete(results: Results) -> list[str]:
    """A line if the comparison was stopped before its end."""
    if not results["runs"]:
        return ["No run has ended yet."]
    missing = missing_seeds(results)
    if not missing:
        return []
    lacks = [f"{one_line(name)} lacks {', '.join(map(str, s))}" for name, s in missing.items()]
    return [f"Not complete, seeds are missing: {'; '.join(lacks)}."]


def spread_shown(results: Results) -> list[str]:
    """A line on what stands behind the figures of a table, where there are figures."""
    if not results["runs"]:
        return []
    if not several_seeds(results):
        return ["one seed: what another would change is not known"]
    line = "mean ± standard deviation over seeds"
    if has_intervals(results):
        line += f"; [95 % interval of the difference to {baseline_of(results)}]"
    return [line]


def data_card(data: dict[str, Any]) -> dict[str, Any]:
    """The facts on the data that are neither free text nor features."""
    left = ("name", "description", "features", "feature_fingerprints")
    return {key: value for key, value in data.items() if key not in left}
