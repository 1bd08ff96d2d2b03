"""What reports and model cards say of the features."""

from typing import Any

from resemb_gnn.io.text_tables import NONE, markdown_table, one_line

_TITLES = ["feature", "of", "kind", "values", "missing"]


def feature_rows(data: dict[str, Any]) -> list[list[str]]:
    """A row a feature: its name, what it is of, its kind, how many values it has and how often it
    is missing.

    Args:
        data: the facts on the data, of :func:`~resemb_gnn.pipeline.facts.describe_data`.
    """
    return [
        [
            one_line(str(one["name"])),
            str(one["of"]),
            str(one["kind"]),
            NONE if one["num_values"] is None else f"{one['num_values']:,}",
            f"{one['missing']:.1%}",
        ]
        for one in data.get("features", [])
    ]


def features_section(data: dict[str, Any]) -> list[str]:
    """Heading and table in Markdown; nothing if there are no features."""
    rows = feature_rows(data)
    return ["## Features", markdown_table(_TITLES, rows)] if rows else []


def feature_pairs(data: dict[str, Any]) -> list[tuple[str, str]]:
    """Each feature's name, and the rest in words."""
    found = []
    for name, of, kind, values, missing in feature_rows(data):
        counted = "" if values == NONE else f"{values} values, "
        found.append((name, f"of {of}, {kind}, {counted}{missing} missing"))
    return found
