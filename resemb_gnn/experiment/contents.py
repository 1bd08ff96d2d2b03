"""What the report says beside its figures, as text."""

from datetime import UTC, datetime
from typing import Any

from resemb_gnn.experiment.columns import NONE
from resemb_gnn.experiment.summary import Results, missing_seeds


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


def data_card(data: dict[str, Any]) -> dict[str, Any]:
    """The facts on the data that are not free text."""
    return {key: value for key, value in data.items() if key not in ("name", "description")}


def pairs(values: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Names and values as text; the names within a part carry the part's name."""
    found: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, dict):
            found += pairs(value, f"{prefix}{key}.")
        else:
            found.append((f"{prefix}{key}", _value(str(key), value)))
    return found


def _value(key: str, value: Any) -> str:
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(_value(key, part) for part in value)
    if isinstance(value, int) and (key.startswith("num_") or key.endswith("_examples")):
        return f"{value:,}"
    if key.endswith("_from") and isinstance(value, int | float) and 1e14 <= value < 1e17:
        moment = datetime.fromtimestamp(value / 1e6, UTC)  # a log's dates are microseconds
        return moment.isoformat(" ", "minutes").removesuffix("+00:00") + " UTC"
    return str(value)


def one_line(text: str) -> str:
    """The text with every run of white space made one blank."""
    return " ".join(text.split())
