"""The report of a comparison: for the terminal, as Markdown, and as a page."""

from collections.abc import Iterator

from resemb_gnn.experiment.report.columns import PROTOCOL, columns_of
from resemb_gnn.experiment.report.contents import (
    data_card,
    incomplete,
    report_title,
    spread_shown,
)
from resemb_gnn.experiment.report.page import html
from resemb_gnn.experiment.report.tables import further_tables
from resemb_gnn.experiment.report.verdict import verdict
from resemb_gnn.experiment.summary import Results, Row, summary
from resemb_gnn.io.text_tables import (
    aligned,
    escape_markdown,
    fenced,
    markdown_table,
    one_line,
    pairs,
)
from resemb_gnn.pipeline.feature_card import features_section

__all__ = ["Row", "html", "markdown", "summary", "text_table"]


def text_table(results: Results) -> str:
    """The main columns, aligned for a terminal, and further tables where there are such."""
    columns = [column for column in columns_of(results) if column.brief]
    rows = [[column.title for column in columns]]
    rows += [[one_line(c.cell(row).text) for c in columns] for row in summary(results)]
    further = [
        f"\n{table.title}\n"
        + aligned([table.titles, *([one_line(c.text) for c in row] for row in table.rows)])
        for table in further_tables(results)
        if table.brief
    ]
    return "\n".join([aligned(rows), *spread_shown(results), *incomplete(results), *further])


def markdown(results: Results) -> str:
    """Verdict, table, protocol, data, settings, command and versions, for ``results.md``."""
    data, columns = results["data"], columns_of(results)
    titles = [column.title for column in columns]
    rows = [[column.cell(row).text for column in columns] for row in summary(results)]
    parts = [
        f"# {escape_markdown(one_line(report_title(results)))}",
        *map(escape_markdown, incomplete(results)),
        "\n".join(f"- **{what}**: {escape_markdown(one_line(t))}" for what, t in verdict(results)),
        markdown_table(titles, rows),
        PROTOCOL,
        *_further(results),
        "\n".join(f"- **{column.title}**: {column.meaning}" for column in columns),
        "## Data",
        escape_markdown(str(data.get("description", ""))),
        markdown_table(["", "value"], pairs(data_card(data))),
        *features_section(data),
        "## Settings",
        markdown_table(["setting", "value"], pairs(results["settings"])),
        "## Command",
        fenced(str(results["command"])),
        "## Versions",
        markdown_table(["package", "version"], pairs(results["versions"])),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _further(results: Results) -> Iterator[str]:
    for table in further_tables(results):
        yield f"## {table.title}"
        yield markdown_table(table.titles, [[cell.text for cell in row] for row in table.rows])
        yield table.meaning
