"""Cutting a log into training, validation and test examples."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from resemb_gnn.data.examples import Examples
from resemb_gnn.data.negatives import NegativeSampler, with_negatives
from resemb_gnn.data.windows import windows
from resemb_gnn.errors import InputError, unknown_choice
from resemb_gnn.io.times import EXPECTED, parse_times
from resemb_gnn.settings.names import NEGATIVES, SPLITS

if TYPE_CHECKING:
    from resemb_gnn.data.behavior_log import BehaviorLog

TRAIN, VALID, TEST = 0, 1, 2
HISTORY = -1  # a training behaviour that is history and graph, but no training example
_SAMPLE = 3


@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """Examples for training, validation and test, and the log that may build the graph.

    Args:
        train: training examples.
        valid: validation examples, for every choice that is made.
        test: test examples, to be looked at once.
        train_sample: training examples drawn as the test examples were (by ``last``: one
            behaviour a user; by ``time``: as many as in the test), to measure the
            generalisation gap on.
        history: the positive behaviours of the training part alone.
        settings: how the log was split.
        sampler: what drew the negatives; ``None`` if the log has labels of its own.
    """

    train: Examples
    valid: Examples
    test: Examples
    train_sample: Examples
    history: "BehaviorLog"
    settings: dict[str, Any]
    sampler: NegativeSampler | None = None

    def __repr__(self) -> str:
        sizes = f"train={len(self.train)}, valid={len(self.valid)}, test={len(self.test)}"
        return f"Split({sizes}, by={self.settings['by']!r})"

    def redrawn(self, num: int, seed: int | Sequence[int]) -> Examples:
        """The positive training examples with ``num`` newly drawn negatives each, which share their
        histories. They are drawn by the law that those of the split were drawn by.

        Raises:
            InputError: if the log has labels, or a user acted on every item that can be drawn.
        """
        if self.sampler is None:
            raise InputError(
                "negatives cannot be drawn anew: the log has labels, so each row is an example"
            )
        positives = self.train[self.train.label > 0]
        which = (positives.user, positives.end, positives.target)
        drawn = self.sampler.draw(*which, num, np.random.default_rng(seed))
        return replace(positives, negatives=drawn)

    def against(self, part: Examples, num: int, seed: int | Sequence[int] = 0) -> Examples:
        """The positive examples of a part of the split, each with ``num`` items, drawn uniformly,
        that its user never acted on, before or after: what rankings among drawn negatives are
        measured on (as S3-Rec's, Zhou et al., CIKM 2020).

        Raises:
            InputError: if the log has labels, or a user acted on every item.
        """
        if self.sampler is None:
            raise InputError(
                "a ranking among drawn items needs a log without labels: an impression that was"
                " not clicked is no item that the user never met"
            )
        positives = part[part.label > 0]
        ever = torch.full_like(positives.end, part.items.numel())
        drawn = self.sampler.uniform().draw(
            positives.user, ever, positives.target, num, np.random.default_rng(seed)
        )
        return replace(positives, negatives=drawn)


def split_log(
    log: "BehaviorLog",
    by: str = "last",
    *,
    valid_from: float | str | date | None = None,
    test_from: float | str | date | None = None,
    negatives: str = "uniform",
    num_negatives: int = 1,
    train_from: float | str | date | None = None,
    train_targets: int | None = None,
    seed: int = 0,
) -> Split:
    """Cuts a log into training, validation and test examples.

    The history of a row is the user's positive behaviours of strictly earlier time: those of its
    own time (a basket, a page of impressions) have no order, and would tell of each other. In a
    log without labels each row with a history is a target, followed by ``num_negatives`` drawn
    items, never its target nor an item of its history; they are drawn once, here. In a log
    with labels every row is an example with its own label, and its history may be empty.

    Args:
        log: the log.
        by: ``"last"``: the last row of each user tests, the one before validates, the rest
            trains; a user with fewer than three rows trains only. Which of the rows of one time
            are last is drawn (:class:`~resemb_gnn.data.BehaviorLog`). ``"time"``: rows from
            ``test_from`` on test, rows from ``valid_from`` on before it validate. ``"none"``: every
            row trains, and none validates or tests.
        valid_from: a time as in the log (number, date or ISO string). If neither point is
            given, they are the times that 80 % and 90 % of the rows precede.
        test_from: likewise.
        negatives: ``"uniform"`` over all items, or ``"popularity"``: in proportion to an
            item's positive training behaviours.
        num_negatives: negatives a positive.
        train_from: training rows before this time are history and graph only; for logs whose
            early part holds clicks without the impressions that were not clicked.
        train_targets: only so many last training rows of each user become training
            examples; earlier ones are still history and graph.
        seed: seed of negatives and of the training sample.

    Raises:
        InputError: if an option is unknown, the points of time are in the wrong order, or a
            part comes out empty.
    """
    part, points = split_parts(log, by, valid_from, test_from)
    if negatives not in NEGATIVES:
        raise unknown_choice(f"negatives={negatives!r}", negatives, NEGATIVES)
    for name, value in (("num_negatives", num_negatives), ("train_targets", train_targets)):
        if value is not None and value < 1:
            raise InputError(f"{name} must be at least 1, not {value}")
    settings: dict[str, Any] = {"by": by, "negatives": "logged", "num_negatives": None}
    if log.labels is None:
        settings.update(negatives=negatives, num_negatives=num_negatives)
    settings.update(train_targets=train_targets, seed=seed, **points)
    trains = part == TRAIN
    if train_from is not None:
        settings["train_from"] = _as_time("train_from", train_from)
        part[trains & torch.from_numpy(log.times.numpy() < settings["train_from"])] = HISTORY
    if train_targets is not None:
        part[trains & (_training_rows_from_here(log, trains) > train_targets)] = HISTORY
    return split_by_part(log, part, settings)


def split_by_part(log: "BehaviorLog", part: Tensor, settings: dict[str, Any]) -> Split:
    """Makes the examples of a log whose rows are already told apart.

    Args:
        log: the log.
        part: what each row is for, int64 ``[num_behaviors]``: ``TRAIN``, ``VALID``, ``TEST``, or
            ``HISTORY`` for a training behaviour that is no example.
        settings: how it was split: ``by`` (``"time"`` draws the training sample freely, anything
            else one row a user), ``seed``, and for a log without labels ``negatives`` and
            ``num_negatives``.

    Raises:
        InputError: if a part comes out empty (of ``by="none"`` the training alone), or negatives
            cannot be drawn.
    """
    by, seed = settings["by"], settings["seed"]
    positives = log.positives()
    start, end = windows(log, positives)
    keep = end > start if log.labels is None else torch.ones_like(end, dtype=torch.bool)
    rows = Examples(
        items=positives.items,
        start=start,
        end=end,
        target=log.items,
        label=log.labels if log.labels is not None else torch.ones(log.num_behaviors),
        user=log.users,
        row=torch.arange(log.num_behaviors),
        context=None if log.features is None else log.features.context,
    )
    history = log.select((part == TRAIN) | (part == HISTORY)).positives()
    numbers = {
        name: (keep & (part == which)).nonzero().flatten()
        for name, which in (("training", TRAIN), ("validation", VALID), ("test", TEST))
    }
    for name, index in numbers.items():
        if not index.numel() and (by != "none" or name == "training"):
            raise InputError(f"the split by {by} leaves no {name} example in {log!r}{_span(log)}")

    rng = np.random.default_rng([seed, _SAMPLE])
    train_rows = rows[numbers["training"]]
    sample = _sample_like_test(train_rows, rows[numbers["test"]], by, rng)
    if log.labels is not None:
        train, valid, test = (rows[index] for index in numbers.values())
        return Split(train, valid, test, train[sample], history, settings)
    negatives, num_negatives = settings["negatives"], settings["num_negatives"]
    weight = torch.ones(log.num_items, dtype=torch.long)
    if negatives == "popularity":
        weight = history.item_counts()
    sampler = NegativeSampler(positives.items, positives.users, weight)
    train, valid, test = (
        with_negatives(rows[index], sampler, num_negatives, np.random.default_rng([seed, which]))
        for which, index in enumerate(numbers.values())
    )
    # A training row and its negatives stand together.
    group = torch.arange(1 + num_negatives)
    sample = (sample[:, None] * (1 + num_negatives) + group).flatten()
    return Split(train, valid, test, train[sample], history, settings, sampler)


def split_parts(
    log: "BehaviorLog",
    by: str = "last",
    valid_from: float | str | date | None = None,
    test_from: float | str | date | None = None,
) -> tuple[Tensor, dict[str, float]]:
    """The part of each row, ``TRAIN``, ``VALID`` or ``TEST`` (int64 ``[num_behaviors]``), and the
    points of time by name if it is split ``by="time"``; arguments as in :func:`split_log`.

    Raises:
        InputError: as :func:`split_log`.
    """
    known = (*SPLITS, "none")
    if by not in known:
        raise unknown_choice(f"split by={by!r}", by, known)
    if by == "time":
        valid_time, test_time = _time_points(log.times, valid_from, test_from)
        parts = _parts_by_time(log, valid_time, test_time)
        return parts, {"valid_from": valid_time, "test_from": test_time}
    if valid_from is not None or test_from is not None:
        raise InputError("valid_from and test_from go with split by='time'")
    if by == "none":
        return torch.full((log.num_behaviors,), TRAIN), {}
    return _parts_by_last(log), {}


def _parts_by_last(log: "BehaviorLog") -> Tensor:
    part = torch.full((log.num_behaviors,), TRAIN)
    last = log.ptr[1:][log.ptr.diff() >= 3] - 1
    part[last] = TEST
    part[last - 1] = VALID
    return part


def _parts_by_time(log: "BehaviorLog", valid_time: float, test_time: float) -> Tensor:
    # NumPy, because PyTorch compares integers with a float number in 32 bits.
    times = log.times.numpy()
    return torch.from_numpy((times >= valid_time).astype(np.int64) + (times >= test_time))


def _time_points(
    times: Tensor, valid_from: float | str | date | None, test_from: float | str | date | None
) -> tuple[float, float]:
    if (valid_from is None) != (test_from is None):
        raise InputError("give both valid_from and test_from, or neither")
    if valid_from is None or test_from is None:
        ordered = times.sort().values
        at = [ordered.numel() * tenths // 10 for tenths in (8, 9)]
        valid_time, test_time = (ordered[i].item() for i in at)
        if not valid_time < test_time:
            raise InputError(
                f"the log's last fifth and last tenth both begin at the time {valid_time}, so that"
                " validation would be empty: give valid_from and test_from"
            )
        return valid_time, test_time
    valid_time, test_time = _as_time("valid_from", valid_from), _as_time("test_from", test_from)
    if not valid_time < test_time:
        raise InputError(f"valid_from={valid_from} must come before test_from={test_from}")
    return valid_time, test_time


def _as_time(name: str, value: float | str | date) -> float:
    column = pl.Series(name, [value])
    if isinstance(value, date) and not isinstance(value, datetime):
        column = column.cast(pl.Datetime("us"))
    try:
        time: float = parse_times(column)[0]
    except InputError as error:
        raise InputError(f"{name}={value} is not a time ({EXPECTED})") from error
    return time


def _span(log: "BehaviorLog") -> str:
    """From when to when a log runs: a point of time given as a date misses one of plain numbers."""
    if not log.num_behaviors:
        return ""
    return f", whose times run from {log.times.min().item()} to {log.times.max().item()}"


def _training_rows_from_here(log: "BehaviorLog", trains: Tensor) -> Tensor:
    """For each row, how many training rows its user has from it to the last, itself included."""
    before = torch.nn.functional.pad(trains.long().cumsum(0), (1, 0))
    return before[log.ptr[1:]][log.users] - before[:-1]


def _sample_like_test(train: Examples, test: Examples, by: str, rng: np.random.Generator) -> Tensor:
    """Numbers of training rows that follow the law by which the test rows were chosen."""
    shuffled = torch.from_numpy(rng.permutation(len(train)))
    if by != "time":
        shuffled = shuffled[torch.isin(train.user[shuffled], test.user)]
        users, order = train.user[shuffled].sort(stable=True)
        first = torch.ones_like(users, dtype=torch.bool)
        first[1:] = users[1:] != users[:-1]
        return shuffled[order[first]].sort().values
    return shuffled[: len(test)].sort().values
