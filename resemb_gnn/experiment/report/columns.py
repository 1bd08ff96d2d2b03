"""The columns of the report's table: what they hold, and what they mean."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from resemb_gnn.experiment.summary import (
    Difference,
    Results,
    Row,
    Stat,
    baseline_of,
    has_intervals,
    several_seeds,
)
from resemb_gnn.io.text_tables import NONE


@dataclass(frozen=True)
class Cell:
    """What stands in a cell, and what a column is sorted by (NaN comes last)."""

    text: str
    value: float | str


@dataclass(frozen=True)
class Column:
    """A column of the table: title, what it means, and the cell of a row.

    Args:
        title: heading.
        cell: makes the cell of a row.
        meaning: what the figure is, in words.
        brief: whether the terminal's table, which has less room, shows it too.
    """

    title: str
    cell: Callable[[Any], Cell]
    meaning: str
    brief: bool = True


def _stat(field: str, digits: int = 4) -> Callable[[Row], Cell]:
    def cell(row: Row) -> Cell:
        return stat_cell(getattr(row, field), digits)

    return cell


def stat_cell(stat: Stat, digits: int = 4) -> Cell:
    """Mean and standard deviation, if there is one."""
    text = format_number(stat.mean, f".{digits}f")
    return Cell(text if math.isnan(stat.std) else f"{text} ± {stat.std:.{digits}f}", stat.mean)


def difference_cell(found: Difference | None) -> Cell:
    """The difference and its interval, if there is one."""
    if found is None or math.isnan(found.mean):
        return Cell(NONE, math.nan)
    text = f"{found.mean:+.4f}"
    if not math.isnan(found.low):
        text += f" [{found.low:+.4f}, {found.high:+.4f}]"
    return Cell(text, found.mean)


_COLUMNS = (
    Column(
        "Embedding",
        lambda row: Cell(row.embedding, row.embedding),
        "What gives an item its vector: plain is an ordinary table with one free row an item, and"
        " plain:l2, plain:adamar, plain:meda, plain:spectral and plain:item2vec are tables with a"
        " penalty, decay, renewal or start of their own, plain:count one that reads the item's"
        " count; lightgcn is a table propagated over the co-visit graph; frozen, linear and mlp are"
        " the graph's features as they are, by a linear map and by a network of two layers,"
        " spectral the item's own, semantic codes of them and semantic-prefix the prefixes of these"
        " codes; the others are Res-embeddings, a mix of shared centres, weighted by the named"
        " encoder of the graph or grouping of the items. What follows the colon is the residual of"
        " the item's own.",
    ),
    Column(
        "Test AUC",
        _stat("test_auc"),
        "Chance that a positive test example scores above a negative one, all users pooled; a tie"
        " counts half. 0.5 is guessing.",
    ),
    Column(
        "GAUC",
        _stat("test_gauc"),
        "AUC of each user's test examples, weighted by impressions: GAUC = Σᵤ nᵤ·AUCᵤ / Σᵤ nᵤ"
        " over the users u with both a positive and a negative, nᵤ being a user's number of"
        " examples.",
    ),
    Column(
        "Log loss",
        _stat("test_logloss"),
        "Mean cross-entropy of the test examples in nats; smaller is better. Always answering"
        " one half gives 0.693.",
    ),
    Column(
        "Gap",
        _stat("gap"),
        "Generalisation gap in nats: test log loss minus the log loss of training examples that"
        " were drawn as the test examples were, with the same weights. The larger, the more was"
        " memorised.",
    ),
    Column(
        "Valid. AUC",
        _stat("valid_auc"),
        "AUC of the validation examples at the chosen epoch. The choice flatters it.",
        brief=False,
    ),
    Column(
        "s / epoch",
        _stat("seconds_per_epoch", 1),
        "Seconds of training an epoch, evaluation not counted.",
        brief=False,
    ),
    Column(
        "s to best",
        _stat("seconds_to_best", 1),
        "Seconds of training up to the chosen epoch, of all stages, evaluation not counted.",
    ),
    Column(
        "Parameters",
        lambda row: Cell(format_number(row.num_parameters, ",.0f"), row.num_parameters),
        "Learnable numbers of the whole model.",
        brief=False,
    ),
    Column(
        "Seeds",
        lambda row: Cell(str(len(row.seeds)), len(row.seeds)),
        "How many runs the figures are means of. A seed decides the start of the weights and the"
        " order of the batches; the examples are the same in all runs.",
    ),
)


def columns_of(results: Results) -> tuple[Column, ...]:
    """The columns, with the difference to the baseline behind the figure that it is of; what they
    mean is said of what these results show.
    """
    baseline = baseline_of(results)
    meaning = f"Test AUC less that of {baseline} with the same seed"
    if has_intervals(results):
        meaning += (
            ": the mean of these pairs and, in brackets, its 95 % t-interval. The interval covers"
            " what varies from seed to seed, not what another sample of users would change."
        )
    else:
        meaning += ". It has no interval: that takes several seeds that both were run with."
    difference = Column(
        f"Difference to {baseline}",
        lambda row: difference_cell(row.difference),
        meaning,
    )
    *others, seeds = _COLUMNS
    if several_seeds(results):
        deviation = " Behind ± stands their standard deviation (divisor n - 1)."
        seeds = replace(seeds, meaning=seeds.meaning + deviation)
    return (*others[:2], difference, *others[2:], seeds)


PROTOCOL = (
    "Every run trained on the same training examples. Its epoch was chosen by validation AUC, and"
    " the test examples were evaluated once, with the weights of that epoch; no choice was made"
    " on them."
)


def format_number(value: float, spec: str) -> str:
    """The number, or a dash for NaN."""
    return NONE if math.isnan(value) else format(value, spec)
