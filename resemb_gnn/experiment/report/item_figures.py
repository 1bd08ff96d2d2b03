"""The figures of items and centres."""

from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from resemb_gnn.experiment.geometry import ItemGeometry
from resemb_gnn.experiment.report.plotting import (
    INK,
    MARKERS,
    MUTED,
    PALETTE,
    legend_below,
    line_style,
    new_figure,
    shorten,
)

MOST_ARROWS = 200  # so many, evenly chosen items have their residual drawn: more hide all else
_MARK: Any = {"markersize": 3.5, "markeredgewidth": 0}


def geometry_figure(geometry: ItemGeometry, name: str) -> Figure:
    """Items around their centres: a mark at each item's central part and, of at most
    ``MOST_ARROWS`` of them, an arrow for the residual. The view is :func:`item_frame`.

    The main centres that most of the items have are drawn as stars in the colour of their items,
    with the items' envelope: a circle around their centroid whose radius is their
    root-mean-square distance to it. With one centre an item there are no such groups.

    Args:
        geometry: from :func:`~resemb_gnn.experiment.geometry.item_geometry`.
        name: name of the embedding.
    """
    with new_figure(4.4) as (figure, axes):  # a little more than the square takes
        scale = arrow_scale(geometry)
        low, high = item_frame(geometry, scale)
        draw_items(axes, geometry, scale, frame=(low, high))
        axes.set(title=f"Items of {shorten(name)}")
        axes.set_aspect("equal", adjustable="box")
        margin = (high - low) * 0.04
        axes.set_xlim(low[0] - margin[0], high[0] + margin[0])
        axes.set_ylim(low[1] - margin[1], high[1] + margin[1])
        legend_below(figure, axes)
    return figure


def item_frame(
    geometry: ItemGeometry, scale: int = 1
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """The square in which 98 % of the items lie along either axis, with their residuals at
    ``scale``: its lower left corner and its upper right, ``[2]`` each. What lies far out, centres
    above all, would shrink them to a blob.
    """
    ends = geometry.central + scale * (geometry.embedding - geometry.central)
    points = np.concatenate([geometry.central, ends])
    low, high = np.quantile(points, [0.01, 0.99], axis=0)
    middle, half = (low + high) / 2, max((high - low).max() / 2, 1e-6)
    return middle - half, middle + half


def draw_items(
    axes: Axes,
    geometry: ItemGeometry,
    scale: int = 1,
    interest: NDArray[np.int64] | None = None,
    frame: tuple[NDArray[np.floating], NDArray[np.floating]] | None = None,
) -> None:
    """Draws what :func:`geometry_figure` shows, with labels for a legend.

    Args:
        axes: where to draw.
        geometry: items and centres.
        scale: how many times their length the residuals are drawn.
        interest: known interest of each drawn item, int64 ``[n]``, to colour the items and draw
            the envelopes by, in place of the main centre; then all centres are drawn, white.
        frame: corners of what will be seen: a centre beyond it is drawn small, on its edge.
    """
    group, word = geometry.main_center, "centre"
    if interest is not None:
        group, word = interest, "interest"
    groups = [] if geometry.center_per_item and interest is None else largest_groups(group)
    arrows = scale * (geometry.embedding - geometry.central)
    colors = np.full(len(geometry.items), MUTED if groups else PALETTE[0])
    rest = geometry.central[~np.isin(group, groups)]
    if len(rest):
        label = f"items of other {word}s" if groups else "items"
        axes.plot(*rest.T, ".", color=colors[0], alpha=0.6, label=label, **_MARK)
    for number, color, marker in zip(groups, PALETTE, MARKERS, strict=False):
        own = group == number
        colors[own] = color
        label = f"{word} {number}: {own.sum()} items"
        own_central = geometry.central[own]
        axes.plot(*own_central.T, marker, color=color, alpha=0.6, label=label, **_MARK)
        (x, y), radius = envelope(geometry.embedding[own])
        # Above the marks, which hide it where they lie close.
        circle = Circle((x, y), radius, fill=False, edgecolor=color, linewidth=1.8, zorder=3)
        axes.add_patch(circle)
    drawn = geometry.centers[groups] if interest is None else geometry.centers
    for at, color in zip(drawn, PALETTE if interest is None else cycle(["white"]), strict=False):
        seen = at if frame is None else np.clip(at, *frame)
        axes.add_line(_star(color, seen[0], seen[1], size=13 if (seen == at).all() else 8))
    times = f" × {scale:,}" if scale > 1 else ""
    axes.plot([], color=MUTED, linewidth=0.8, label=f"residual{times}")
    if groups:
        axes.add_line(_star("none", label="centre"))
        axes.plot([], "o", color=MUTED, markerfacecolor="none", markersize=9, label="envelope")
    few = np.unique(np.linspace(0, len(arrows) - 1, MOST_ARROWS).astype(int))
    axes.quiver(
        *geometry.central[few].T,
        *arrows[few].T,
        color=colors[few],
        angles="xy",
        scale_units="xy",
        scale=1,
        width=0.0025,
    )
    points = [geometry.central, geometry.central + arrows, drawn]
    axes.update_datalim(np.concatenate(points))
    axes.set_aspect("equal", adjustable="datalim")
    axes.autoscale_view()
    first, second = geometry.explained
    axes.set(
        xlabel=f"first principal axis ({first:.0%} of the variance)",
        ylabel=f"second principal axis ({second:.0%})",
    )


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
        _use_ticks(axes)
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


def _use_ticks(axes: Axes) -> None:
    """A vertical axis of a ratio, with some four marks of plain numbers: even ones where it spans
    less than a factor of ten, and else a logarithm's.
    """
    low, high = (float(at) for at in axes.dataLim.intervaly)
    if high < 10 * low:
        axes.yaxis.set_major_locator(MaxNLocator(5))
        return
    axes.set_yscale("log")
    decades = np.log10(high / low)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 2 else (1, 3)))
    axes.yaxis.set_minor_locator(NullLocator())


def envelope(points: NDArray[Any]) -> tuple[NDArray[Any], float]:
    """Centroid ``[dim]`` of points ``[n, dim]``, and their root-mean-square distance to it."""
    middle = points.mean(axis=0)
    return middle, float(np.sqrt(np.square(points - middle).sum(axis=1).mean()))


def largest_groups(group: NDArray[np.int64]) -> list[int]:
    """The numbers that most of ``group`` (``[n]``) have, at most as many as colours, each of them
    twice or more.
    """
    numbers, counts = np.unique(group, return_counts=True)
    order = np.argsort(-counts, kind="stable")[: len(PALETTE)]
    return [int(numbers[i]) for i in order if counts[i] > 1]


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


def _star(
    color: str, x: float | None = None, y: float | None = None, label: str = "", size: float = 13
) -> Line2D:
    at: tuple[list[Any], list[Any]] = ([], []) if x is None else ([x], [y])
    star = Line2D(*at, marker="*", linestyle="none", markersize=size, markeredgecolor=INK)
    star.set(markerfacecolor=color, markeredgewidth=0.8, zorder=4, label=label)
    return star
