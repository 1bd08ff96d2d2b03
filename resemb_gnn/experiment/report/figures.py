"""The report's figures of a comparison's runs, drawn by Matplotlib without its global state."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from resemb_gnn.experiment.report.plotting import (
    INK,
    MUTED,
    legend_below,
    line_style,
    name_rows,
    new_figure,
    shorten,
)
from resemb_gnn.experiment.summary import (
    Results,
    baseline_of,
    by_embedding,
    describe,
    difference,
    number,
    paired_differences,
)

CURVES = {
    "validation AUC": ("valid", "auc"),
    "validation log loss": ("valid", "logloss"),
    "training loss": ("train_loss",),
    "generalisation gap": ("gap",),
}
SEED_FIGURES = {"test AUC": ("test", "auc"), "generalisation gap": ("gap",)}
_UNITS = {
    "validation log loss": " (nats)",
    "training loss": " (nats)",
    "generalisation gap": " (nats)",
}


def curve_figure(results: Results, measure: str) -> Figure:
    """A measure by epoch: a thin line a run, and a thick one for the mean of an embedding.

    The mean goes as far as the shortest run; a dot marks the epoch that a run chose.

    Args:
        results: contents of results.json.
        measure: one of ``CURVES``.
    """
    with new_figure(2.6) as (figure, axes):
        drawn: list[float] = []
        chosen: list[float] = []
        for name, runs in by_embedding(results).items():
            style = arm_style(results, name)
            lines = [
                [number(epoch, *CURVES[measure]) for epoch in run.get("curve") or []]
                for run in runs
            ]
            for run, line in zip(runs, lines, strict=True):
                epochs = range(1, len(line) + 1)
                axes.plot(epochs, line, color=style["color"], alpha=0.55, linewidth=0.8)
                best = number(run, "best_epoch")
                if 1 <= best <= len(line):
                    axes.plot(best, line[int(best) - 1], "o", color=style["color"], markersize=4)
                    chosen.append(line[int(best) - 1])
                drawn += line
            shortest = min(map(len, lines))
            mean = np.mean([line[:shortest] for line in lines], axis=0)
            axes.plot(range(1, shortest + 1), mean, label=shorten(name), linewidth=2, **style)
        axes.set(
            xlabel="epoch",
            ylabel=measure + _UNITS.get(measure, ""),
            title=_capital(measure) + " by epoch",
        )
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        _clip(axes, drawn, chosen)
        axes.grid()
        legend_below(figure, axes)
    return figure


def seeds_figure(results: Results, measure: str) -> Figure:
    """A measure of each embedding: a dot a seed, a bar at the mean.

    Args:
        results: contents of results.json.
        measure: one of ``SEED_FIGURES``.
    """
    arms = by_embedding(results)
    with new_figure(1.1 + 0.36 * len(arms)) as (figure, axes):
        for place, (name, runs) in enumerate(arms.items()):
            values = [number(run, *SEED_FIGURES[measure]) for run in runs]
            _dots(axes, place, values, describe(values).mean, arm_style(results, name)["color"])
        name_rows(axes, list(arms))
        axes.set(xlabel=measure + _UNITS.get(measure, ""), title=_capital(measure))
    return figure


def difference_figure(results: Results) -> Figure | None:
    """Test AUC less that of the baseline with the same seed: pairs, mean and 95 % t-interval.

    Returns:
        ``None`` if no embedding shares a seed with the baseline.
    """
    arms, baseline = by_embedding(results), baseline_of(results)
    base = arms.pop(baseline, [])
    pairs = {name: paired_differences(runs, base, "test", "auc") for name, runs in arms.items()}
    pairs = {name: values for name, values in pairs.items() if values}
    if not pairs:
        return None
    with new_figure(1.1 + 0.36 * len(pairs)) as (figure, axes):
        axes.axvline(0, color=MUTED, linewidth=1, linestyle=(0, (4, 2)))
        for place, (name, values) in enumerate(pairs.items()):
            found, color = difference(values), arm_style(results, name)["color"]
            axes.plot([found.low, found.high], [place, place], color=color, linewidth=1.5)
            _dots(axes, place, values, found.mean, color)
        name_rows(axes, list(pairs))
        axes.set(
            xlabel="difference of test AUC, same seed",
            title=f"Difference to {baseline}",
        )
    return figure


def arm_style(results: Results, name: str) -> dict[str, Any]:
    """Colour and dashes of an embedding, the same in every figure of results."""
    baseline = baseline_of(results)
    if name == baseline:
        return {"color": INK, "linestyle": "solid"}
    return line_style([arm for arm in by_embedding(results) if arm != baseline].index(name))


def _clip(axes: Axes, values: list[float], needed: list[float]) -> None:
    """Limits the vertical axis to where most values are, and to all that are ``needed``: a first
    epoch, or a run that fails, would press the others into a line. What is left out lies further
    from the quartiles than three times their distance.
    """
    finite = np.array(values)[np.isfinite(values)]
    if not len(finite):
        return
    lower, upper = np.quantile(finite, [0.25, 0.75])
    reach = 3 * (upper - lower)
    kept = finite[(finite >= lower - reach) & (finite <= upper + reach)]
    shown = np.concatenate([kept, np.array(needed)[np.isfinite(needed)]])
    margin = 0.05 * (shown.max() - shown.min())
    if margin:
        axes.set_ylim(shown.min() - margin, shown.max() + margin)


def _dots(axes: Axes, place: int, values: list[float], mean: float, color: str) -> None:
    axes.plot(mean, place, "|", color=color, markersize=15, markeredgewidth=1.8)
    axes.plot(values, [place] * len(values), "o", color=color, alpha=0.6, markersize=5)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
