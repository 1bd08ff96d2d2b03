"""A behaviour log, where it is from, and how it is split."""

from dataclasses import dataclass, field
from typing import Any

from resemb_gnn.data import BehaviorLog, Split
from resemb_gnn.errors import InputError


@dataclass(frozen=True)
class DataSource:
    """A behaviour log, what it is, and how it is split unless asked otherwise.

    Args:
        name: name or file name.
        description: one or two sentences for the report.
        log: the log.
        split: options of :func:`~resemb_gnn.data.split_log`, ``by`` included.
        graph: options of :func:`~resemb_gnn.covisit_graph`.
        published: the examples, where a benchmark comes with its own; they take the place of
            ``split``.
    """

    name: str
    description: str
    log: BehaviorLog
    split: dict[str, Any] = field(default_factory=lambda: {"by": "last"})
    graph: dict[str, Any] = field(default_factory=dict)
    published: Split | None = None

    def __str__(self) -> str:
        """A line on the log, and on its repeated rows, if it has any."""
        repeated = self.log.num_repeated
        told = f"; repeated rows (user, item and time), which are kept: {repeated:,}"
        return f"{self.name}: {self.log}{told if repeated else ''}"

    def make_split(self, by: str | None = None, negatives: str = "uniform") -> Split:
        """The examples: the published ones, or the log split as asked for.

        Args:
            by: how to split, if not as :attr:`split` says.
            negatives: how negatives are drawn (a log without labels).

        Raises:
            InputError: if published examples are asked to be split, or the log cannot be.
        """
        if self.published is not None:
            if by is not None:
                raise InputError(f"{self.name} comes with its own examples: leave out --split {by}")
            return self.published
        options = dict(self.split) if by in (None, self.split["by"]) else {"by": by}
        return self.log.split(**options, negatives=negatives)
