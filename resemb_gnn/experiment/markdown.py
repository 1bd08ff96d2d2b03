"""Parts of a Markdown page."""

from typing import Any

from resemb_gnn.experiment.contents import one_line


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
