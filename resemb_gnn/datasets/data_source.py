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
        split: options of :func:`~resemb_gnn.data.split_log`; without ``by``, a log with labels is
            split by time and another on each user's last behaviour.
        graph: options of :func:`~resemb_gnn.covisit_graph`.
        published: the examples, where a benchmark comes with its own; they take the place of
            ``split``.
    """

    name: str
    description: str
    log: BehaviorLog
    split: dict[str, Any] = field(default_factory=dict)
    graph: dict[str, Any] = field(default_factory=dict)
    published: Split | None = None

    def __post_init__(self) -> None:
        # Of impressions, a user's last one alone has one label: there is no AUC of that user.
        by = "last" if self.log.labels is None else "time"
        object.__setattr__(self, "split", {"by": by} | self.split)

    def __str__(self) -> str:
        """A line on the log, and on its repeated rows, if it has any."""
        repeated = self.log.num_repeated
        told = f"; repeated rows (user, item and time), which are kept: {repeated:,}"
        return f"{self.name}: {self.log}{told if repeated else ''}"

    def make_split(
        self,
        by: str | None = None,
        negatives: str = "uniform",
        valid_from: str | None = None,
        test_from: str | None = None,
        seed: int = 0,
    ) -> Split:
        """The examples: the published ones, or the log split as asked for.

        Args:
            by: how to split, if not as :attr:`split` says; by time, if a point of time is given.
                ``"none"`` has every row train.
            negatives: how negatives are drawn (a log without labels).
            valid_from: the point of time from which on rows validate, if not as :attr:`split` says.
            test_from: likewise.
            seed: seed of the negatives, and of the training sample that is compared with the test.

        Raises:
            InputError: if published examples are asked to be split, or the log cannot be.
        """
        points = {"valid_from": valid_from, "test_from": test_from}
        given = {name: point for name, point in points.items() if point is not None}
        if self.published is not None:
            asked: dict[str, object] = dict(given) if by is None else {"split": by, **given}
            if seed:
                asked["split_seed"] = seed
            for name, value in asked.items():
                flag = f"--{name.replace('_', '-')} {value}"
                raise InputError(f"{self.name} comes with its own examples: leave out {flag}")
            return self.published
        if by is None and given:
            by = "time"
        options = dict(self.split) if by in (None, "none", self.split["by"]) else {"by": by}
        if by == "none":
            kept = options.keys() - points.keys()
            options = {name: options[name] for name in options if name in kept} | {"by": by}
        options |= given
        return self.log.split(**options, negatives=negatives, seed=seed)
