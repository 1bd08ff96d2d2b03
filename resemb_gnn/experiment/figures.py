"""The report's figures, drawn by Matplotlib without its global state."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from resemb_gnn.experiment.geometry import ItemGeometry
from resemb_gnn.experiment.plotting import (
    INK,
    MARKERS,
    MUTED,
    PALETTE,
    legend_below,
    line_style,
    name_rows,
    new_figure,
    shorten,
)
from resemb_gnn.experiment.summary import (
    BASELINE,
    Results,
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
            shortest = min(map(len, lines))
            mean = np.mean([line[:shortest] for line in lines], axis=0)
            axes.plot(range(1, shortest + 1), mean, label=shorten(name), linewidth=2, **style)
        axes.set(
            xlabel="epoch",
            ylabel=measure + _UNITS.get(measure, ""),
            title=_capital(measure) + " by epoch",
        )
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
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
    """Test AUC less that of ``plain`` with the same seed: pairs, mean and 95 % t-interval.

    Returns:
        ``None`` if no embedding shares a seed with ``plain``.
    """
    arms = by_embedding(results)
    base = arms.pop(BASELINE, [])
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
            title=f"Difference to {BASELINE}",
        )
    return figure


def geometry_figure(geometry: ItemGeometry, name: str) -> Figure:
    """Items around their centres: a mark at each item's central part and an arrow for its residual.

    The main centres that most of the items have are drawn as stars in the colour of their items,
    with the items' envelope: a circle around their centroid whose radius is their
    root-mean-square distance to it. With one centre an item there are no such groups.

    Args:
        geometry: from :func:`~resemb_gnn.experiment.geometry.item_geometry`.
        name: name of the embedding.
    """
    groups = [] if geometry.center_per_item else largest_groups(geometry)
    scale = arrow_scale(geometry)
    arrows = scale * (geometry.embedding - geometry.central)
    colors = np.full(len(geometry.items), MUTED if groups else PALETTE[0])
    with new_figure(4.2) as (figure, axes):
        rest = geometry.central[~np.isin(geometry.main_center, groups)]
        label = "items of other centres" if groups else "items"
        axes.plot(*rest.T, ".", color=colors[0], markersize=3, label=label)
        for center, color, marker in zip(groups, PALETTE, MARKERS, strict=False):
            own = geometry.main_center == center
            colors[own] = color
            label = f"centre {center}: {own.sum()} items"
            axes.plot(*geometry.central[own].T, marker, color=color, markersize=3.5, label=label)
            axes.add_line(_star(color, *geometry.centers[center]))
            (x, y), radius = envelope(geometry.embedding[own])
            axes.add_patch(Circle((x, y), radius, fill=False, edgecolor=color, linewidth=1.4))
        times = f" × {scale:,}" if scale > 1 else ""
        axes.plot([], color=MUTED, linewidth=0.8, label=f"residual{times}")
        if groups:
            axes.add_line(_star("none", label="centre"))
            axes.plot([], "o", color=MUTED, markerfacecolor="none", markersize=9, label="envelope")
        axes.quiver(
            *geometry.central.T,
            *arrows.T,
            color=colors,
            angles="xy",
            scale_units="xy",
            scale=1,
            width=0.003,
        )
        points = [geometry.central, geometry.central + arrows, geometry.centers[groups]]
        axes.update_datalim(np.concatenate(points))
        axes.set_aspect("equal", adjustable="datalim")
        axes.autoscale_view()
        first, second = geometry.explained
        axes.set(
            xlabel=f"first principal axis ({first:.0%} of the variance)",
            ylabel=f"second principal axis ({second:.0%})",
            title=f"Items of {shorten(name)}",
        )
        legend_below(figure, axes)
    return figure


def center_usage_figure(geometries: dict[str, ItemGeometry]) -> Figure:
    """Use of the centres, from the most to the least used, as a multiple of equal use."""
    with new_figure(3.2) as (figure, axes):
        axes.axhline(1, color=MUTED, linewidth=1, linestyle=(0, (4, 2)))
        for place, (name, geometry) in enumerate(geometries.items()):
            size = len(geometry.usage)
            use = np.sort(geometry.usage)[::-1] * size
            at = np.unique(np.linspace(0, size - 1, 300).astype(int))
            label = f"{shorten(name)}: {geometry.effective_centers:,.0f} of {size:,}"
            share, times = (at + 1) / size, np.maximum(use[at], 1e-2)
            axes.plot(share, times, label=label, linewidth=2, **line_style(place))
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(lambda times, _: f"{times:g}×")
        axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
        axes.set(
            xlabel="share of the centres, most used first",
            ylabel="mean weight, times equal use",
            title="Centre usage, effective number of centres",
        )
        axes.grid()
        legend_below(figure, axes)
    return figure


def envelope(points: NDArray[Any]) -> tuple[NDArray[Any], float]:
    """Centroid ``[dim]`` of points ``[n, dim]``, and their root-mean-square distance to it."""
    middle = points.mean(axis=0)
    return middle, float(np.sqrt(np.square(points - middle).sum(axis=1).mean()))


def largest_groups(geometry: ItemGeometry) -> list[int]:
    """The main centres that most of the drawn items have, at most as many as colours, each with
    two items or more.
    """
    centers, counts = np.unique(geometry.main_center, return_counts=True)
    order = np.argsort(-counts, kind="stable")[: len(PALETTE)]
    return [int(centers[i]) for i in order if counts[i] > 1]


def arrow_scale(geometry: ItemGeometry) -> int:
    """How many times their length the residuals are drawn: 1, 2 or 5 times a power of 10, the
    largest at which their root mean square stays below a fifth of the items' envelope radius.
    """
    length = np.sqrt(np.square(geometry.embedding - geometry.central).sum(axis=1).mean())
    _, radius = envelope(geometry.embedding)
    if length == 0:
        return 1
    steps = [step * 10**power for power in range(6) for step in (1, 2, 5)]
    return max((step for step in steps if step * length <= radius / 5), default=1)


def arm_style(results: Results, name: str) -> dict[str, Any]:
    """Colour and dashes of an embedding, the same in every figure of results."""
    if name == BASELINE:
        return {"color": INK, "linestyle": "solid"}
    return line_style([arm for arm in by_embedding(results) if arm != BASELINE].index(name))


def _dots(axes: Axes, place: int, values: list[float], mean: float, color: str) -> None:
    axes.plot(mean, place, "|", color=color, markersize=15, markeredgewidth=1.8)
    axes.plot(values, [place] * len(values), "o", color=color, alpha=0.6, markersize=5)


def _star(color: str, x: float | None = None, y: float | None = None, label: str = "") -> Line2D:
    at: tuple[list[Any], list[Any]] = ([], []) if x is None else ([x], [y])
    star = Line2D(*at, marker="*", linestyle="none", markersize=13, markeredgecolor=INK)
    star.set(markerfacecolor=color, markeredgewidth=0.8, zorder=4, label=label)
    return star


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
