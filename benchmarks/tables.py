"""What the tables of all benchmarks have in common."""

from collections.abc import Iterable, Sequence

from resemb_gnn.experiment.summary import Difference, describe
from resemb_gnn.io.text_tables import NONE


def table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Lines of a table in Markdown; cells may hold Markdown themselves."""
    lines = [titles, *rows]
    texts = [f"| {' | '.join(map(str, line))} |" for line in lines]
    return [texts[0], f"|{'---|' * len(titles)}", *texts[1:]]


def mean_and_std(values: Sequence[float]) -> str:
    """Over seeds, with four digits; of a single value, that alone."""
    stat = describe(values)
    return f"{stat.mean:.4f} ± {stat.std:.4f}" if len(values) > 1 else f"{stat.mean:.4f}"


def with_interval(found: Difference | None) -> str:
    """A difference with its 95 % interval."""
    if found is None:
        return NONE
    return f"{found.mean:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"


def section(title: str, *parts: str | list[str]) -> list[str]:
    """Lines of a part of a page: its title, and paragraphs or tables with a blank line between."""
    lines = [f"## {title}", ""]
    for part in parts:
        lines += [*([part] if isinstance(part, str) else part), ""]
    return lines
