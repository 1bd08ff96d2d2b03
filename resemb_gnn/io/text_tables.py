"""Tables as text: aligned for a terminal, and in Markdown."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

NONE = "–"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells, the first of them the heading, in columns of equal width: the first column
    to the left, the others to the right.
    """
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    lines = [rows[0], ["-" * width for width in widths], *rows[1:]]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def markdown_table(titles: list[str], rows: list[Any]) -> str:
    """A table of any texts."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(
        "| " + " | ".join(escape_markdown(one_line(text)) for text in line) + " |" for line in lines
    )


def escape_markdown(text: str) -> str:
    """The text with the signs replaced that would end a cell or open a tag."""
    for sign, instead in (("&", "&amp;"), ("<", "&lt;"), ("|", "\\|")):
        text = text.replace(sign, instead)
    return text


def fenced(text: str) -> str:
    """The text as a block of code, whatever it holds."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}\n{text}\n{fence}"


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
    if (
        key.endswith(("_from", "_until"))
        and isinstance(value, int | float)
        and 1e14 <= value < 1e17
    ):
        moment = datetime.fromtimestamp(value / 1e6, UTC)  # a log's dates are microseconds
        return moment.isoformat(" ", "minutes").removesuffix("+00:00") + " UTC"
    return str(value)


def one_line(text: str) -> str:
    """The text with every run of white space made one blank."""
    return " ".join(text.split())
