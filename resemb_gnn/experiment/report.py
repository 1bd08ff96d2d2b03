"""The report of a comparison: for the terminal, as Markdown, and as a page."""

from typing import Any

from resemb_gnn.experiment.aligned import aligned
from resemb_gnn.experiment.columns import COLUMNS, PROTOCOL
from resemb_gnn.experiment.contents import data_card, incomplete, one_line, pairs, report_title
from resemb_gnn.experiment.page import html
from resemb_gnn.experiment.summary import BASELINE, Results, Row, summary

__all__ = ["Row", "html", "markdown", "summary", "text_table"]


def text_table(results: Results) -> str:
    """The main columns, aligned for a terminal."""
    columns = [column for column in COLUMNS if column.brief]
    rows = [[column.title for column in columns]]
    rows += [[one_line(c.cell(row).text) for c in columns] for row in summary(results)]
    notes = [
        f"mean ± standard deviation over seeds; [95 % interval of the difference to {BASELINE}]"
    ]
    return "\n".join([aligned(rows), *notes, *incomplete(results)])


def markdown(results: Results) -> str:
    """Table, protocol, data, settings, command and versions, for ``results.md``."""
    data = results["data"]
    titles = [column.title for column in COLUMNS]
    rows = [[column.cell(row).text for column in COLUMNS] for row in summary(results)]
    parts = [
        f"# {_escape_markdown(one_line(report_title(results)))}",
        *map(_escape_markdown, incomplete(results)),
        _markdown_table(titles, rows),
        PROTOCOL,
        "\n".join(f"- **{column.title}**: {column.meaning}" for column in COLUMNS),
        "## Data",
        _escape_markdown(str(data.get("description", ""))),
        _markdown_table(["", "value"], pairs(data_card(data))),
        "## Settings",
        _markdown_table(["setting", "value"], pairs(results["settings"])),
        "## Command",
        _fenced(str(results["command"])),
        "## Versions",
        _markdown_table(["package", "version"], pairs(results["versions"])),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _markdown_table(titles: list[str], rows: list[Any]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(
        "| " + " | ".join(_escape_markdown(one_line(text)) for text in line) + " |"
        for line in lines
    )


def _escape_markdown(text: str) -> str:
    for sign, instead in (("&", "&amp;"), ("<", "&lt;"), ("|", "\\|")):
        text = text.replace(sign, instead)
    return text


def _fenced(text: str) -> str:
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}\n{text}\n{fence}"
