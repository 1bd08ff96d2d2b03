"""The pictures, made from the results files."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from benchmarks.theory.runs import CENTERS, LONG, RESIDUALS
from benchmarks.theory.statistics import Runs, group, pooled
from resemb_gnn.experiment.report.plotting import (
    INK,
    MARKERS,
    MUTED,
    PALETTE,
    legend_below,
    line_style,
    new_figure,
)


def radius_figure(runs: Runs, title: str, path: Path) -> None:
    """A mark a run: its colour tells what holds the residual, its shape the number of centres."""
    found = pooled(runs, "gap")
    with new_figure(3.2) as (figure, axes):
        for color, residual in zip(PALETTE, RESIDUALS, strict=False):
            axes.plot([], "s", color=color, markersize=6, label=residual)
            for marker, centers in zip(MARKERS, CENTERS, strict=False):
                arm = {"residual": residual, "num_centers": centers}
                some = [run for run in runs if run["arm"] == arm]
                x, y = ([run[name] for run in some] for name in ("rms", "gap"))
                axes.plot(x, y, marker, color=color, markersize=4.5, alpha=0.75)
        for marker, centers in zip(MARKERS, CENTERS, strict=False):
            if any(run["arm"]["num_centers"] == centers for run in runs):
                axes.plot([], marker, color=MUTED, markersize=5, label=f"{centers} centres")
        axes.set(
            xlabel="envelope radius (rms, share of all items' spread)",
            ylabel="generalisation gap (nats)",
            title=f"{title}\nSpearman {found.value:.2f} [{found.low:.2f}, {found.high:.2f}],"
            f" {len(runs)} runs",
        )
        axes.grid()
        legend_below(figure, axes)
        figure.savefig(path, dpi=160, facecolor="white")


def capacity_figure(runs: Runs, title: str, path: Path) -> None:
    """A mark a run, and a line through the means of the arms that differ in their radius alone."""
    with new_figure(3.2) as (figure, axes):
        kinds = group(runs, lambda run: (run["arm"]["kind"], run["arm"]["cells"]))
        for place, some in enumerate(kinds):
            arm = some[0]["arm"]
            style: Any = line_style(place - 1) if place else {"color": INK, "linestyle": "solid"}
            style["marker"] = MARKERS[place % len(MARKERS)]
            points = [[run["rms"], run["gap"]] for run in some]
            axes.plot(*zip(*points, strict=True), **style | {"linestyle": "none"}, markersize=3.5)
            means = [
                np.mean([[run["rms"], run["gap"]] for run in each], axis=0)
                for each in group(some, lambda run: run["arm"])
            ]
            label = f"{arm['kind']}, {arm['cells']} cells: {some[0]['trained']:,} numbers"
            axes.plot(*zip(*means, strict=True), label=label, markersize=6, **style)
        axes.set(
            yscale="log",
            xlabel="envelope radius (rms)",
            ylabel="generalisation gap (nats)",
            title=title,
        )
        axes.yaxis.set_major_formatter("{x:g}")
        axes.grid()
        legend_below(figure, axes)
        figure.savefig(path, dpi=160, facecolor="white")


def recovery_figure(runs: Runs, path: Path) -> None:
    """Agreement with the planted interests by amount of data: mean, and range over seeds."""
    users = sorted({run["users"] for run in runs})
    with new_figure(3.0) as (figure, axes):
        for place, name in enumerate(runs[0]["agreement"]):
            values = [
                [run["agreement"][name]["nmi"] for run in runs if run["users"] == n] for n in users
            ]
            style = line_style(place) | {"marker": MARKERS[place], "markersize": 5}
            axes.plot(users, [np.mean(each) for each in values], label=name, **style)
            low, high = ([pick(each) for each in values] for pick in (min, max))
            axes.vlines(users, low, high, color=style["color"], alpha=0.5)
        axes.set(
            xscale="log",
            ylim=(-0.03, 1.05),
            xlabel="users of the training log (50 impressions each)",
            ylabel="NMI with the planted interests",
            title="Planted interests found again",
        )
        axes.set_xticks(users, [f"{n:,}" for n in users])
        axes.minorticks_off()
        axes.grid()
        legend_below(figure, axes)
        figure.savefig(path, dpi=160, facecolor="white")


def long_figure(runs: Runs, measure: str, label: str, title: str, path: Path) -> None:
    """A measure by epoch: a thin line a seed, a thick one for the mean."""
    with new_figure(2.8) as (figure, axes):
        for place, name in enumerate(LONG):
            lines = [run[measure] for run in runs if run["arm"]["embedding"] == name]
            style: Any = line_style(place - 1) if place else {"color": INK, "linestyle": "solid"}
            for line in lines:
                epochs = range(1, len(line) + 1)
                axes.plot(epochs, line, color=style["color"], alpha=0.35, linewidth=0.7)
            if lines:
                middle = np.mean(lines, axis=0)
                axes.plot(range(1, middle.size + 1), middle, label=name, linewidth=2, **style)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set(xlabel="epoch", ylabel=label, title=title)
        axes.grid()
        legend_below(figure, axes)
        figure.savefig(path, dpi=160, facecolor="white")
