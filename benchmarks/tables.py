"""What the tables of all benchmarks have in common."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from resemb_gnn.experiment.report.columns import difference_cell, stat_cell
from resemb_gnn.experiment.summary import Difference, describe, number
from resemb_gnn.io.atomic import write_atomically
from resemb_gnn.io.text_tables import NONE


def table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Lines of a table in Markdown; cells may hold Markdown themselves."""
    lines = [titles, *rows]
    texts = [f"| {' | '.join(map(str, line))} |" for line in lines]
    return [texts[0], f"|{'---|' * len(titles)}", *texts[1:]]


def mean_and_std(values: Sequence[float]) -> str:
    """Over seeds, with four digits; of a single value, that alone."""
    return stat_cell(describe(values)).text


def with_interval(found: Difference | None) -> str:
    """A difference with its 95 % interval; of a single pair, that alone."""
    return difference_cell(found).text


def points(found: Difference | None) -> str:
    """A difference in points (hundredths) with its 95 % interval; bold if that leaves out zero."""
    if found is None:
        return NONE
    text = f"{100 * found.mean:+.2f} [{100 * found.low:+.2f}, {100 * found.high:+.2f}]"
    return f"**{text}**" if found.low > 0 or found.high < 0 else text


def mean_of(runs: Iterable[dict[str, Any]], *path: str) -> float:
    """Mean of a figure over runs."""
    return describe([number(run, *path) for run in runs]).mean


def section(title: str, *parts: str | list[str]) -> list[str]:
    """Lines of a part of a page: its title, and paragraphs or tables with a blank line between."""
    lines = [f"## {title}", ""]
    for part in parts:
        lines += [*([part] if isinstance(part, str) else part), ""]
    return lines


def write_between(path: Path, lines: list[str], marks: tuple[str, str]) -> None:
    """Puts the lines in the place of those between the file's two marks."""
    before, _, rest = path.read_text(encoding="utf-8").partition(marks[0])
    _, mark, after = rest.partition(marks[1])
    if not mark:
        raise SystemExit(f"{path} lacks the lines {marks[0]!r} and {marks[1]!r}")
    write_atomically(path, "\n".join([before + marks[0], "", *lines, "", marks[1] + after]))
