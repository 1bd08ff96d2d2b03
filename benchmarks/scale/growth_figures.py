"""Tables and figures of growth.py, made from its results file alone."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.ticker import EngFormatter

from benchmarks.tables import table
from benchmarks.timing import spread
from resemb_gnn.experiment.report.plotting import MARKERS, legend_below, line_style, new_figure

STAGES = {
    "read": "read",
    "split": "split",
    "graph": "graph",
    "features": "spectral features",
    "model": "gcn encoder",
    "step": "training step",
}
GIB = 2**30
MOST_GIB, MOST_STEP_RATIO = 16, 1.3


def series(results: dict[str, Any], stage: str) -> "tuple[np.ndarray, np.ndarray, np.ndarray]":
    """Behaviours, seconds of processor work, and peak of memory beyond the bare process (bytes), by
    size.
    """
    rows = []
    for size in results["sizes"]:
        stages = {part["stage"]: part for part in size["stages"]}
        if size["complete"]:
            # The step's own line comes after the stage in which the steps were taken.
            peak = stages["steps" if stage == "step" else stage]["peak_bytes"]
            beyond = peak - stages["start"]["peak_bytes"]
            rows.append((size["behaviors"], stages[stage]["cpu"], beyond))
    columns = np.array(rows, dtype=float).reshape(-1, 3).T
    return columns[0], columns[1], columns[2]


def draw(results: dict[str, Any], out: Path) -> None:
    for column, name, label in (
        (1, "seconds", "seconds of processor work"),
        (2, "memory", "peak memory less the start's, GiB"),
    ):
        with new_figure(3.4) as (figure, axes):
            for place, (stage, title) in enumerate(STAGES.items()):
                found = series(results, stage)
                x, y = found[0], found[column] / (GIB if column == 2 else 1)
                if x.size:
                    style = line_style(place) | {"marker": MARKERS[place], "markersize": 4}
                    axes.plot(x, y, label=f"{title}, exponent {_exponent(x, y)}", **style)
            axes.set(xscale="log", yscale="log", xlabel="behaviours (20 an item)", ylabel=label)
            axes.set_title(_threads(results["settings"]["threads"]))
            axes.set_xticks([size["behaviors"] for size in results["sizes"]])
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.minorticks_off()
            axes.grid()
            legend_below(figure, axes)
            figure.savefig(out / f"{name}.png", dpi=200, facecolor="white")


def markdown(results: dict[str, Any]) -> str:
    settings = results["settings"]
    place = settings["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in settings["versions"].items())
    rows = []
    for size in results["sizes"]:
        stages = {part["stage"]: part for part in size["stages"]}
        peaks = stages | {"step": stages.get("steps")}
        cells = [
            f"{stages[name]['cpu']:.3g} / {stages[name]['seconds']:.3g}"
            f" [{peaks[name]['peak_bytes'] / GIB:.2f}]"
            if name in stages
            else "did not end"
            for name in STAGES
        ]
        edges = f"{stages['done']['edges']:,}" if "done" in stages else ""
        rows.append([f"{size['items']:,}", f"{size['behaviors']:,}", edges, *cells])
    for title, column in (("exponent of the time", 1), ("exponent of the memory", 2)):
        found = [series(results, name) for name in STAGES]
        rows.append([title, "", "", *(_exponent(each[0], each[column]) for each in found)])
    lines = [
        f"`{results['command']}`",
        "",
        f"{place['processor']}, {place['cores']} cores, {_threads(settings['threads'])};"
        f" {versions}. Seconds of the processor's work on the process / by the clock (other work"
        " went on beside it), and in brackets the stage's peak of resident memory in GiB, all that"
        " the process then holds included. A training step: the median of"
        f" {settings['batch_size']} examples of the size's own log, histories of at most"
        f" {settings['max_history']}, `gcn`. Graphs without folds: each fold is a graph more.",
        "",
        *table(["items", "behaviours", "edges", *STAGES.values()], rows),
        "",
        *table(["figure", "bound", "found: median [quartiles]"], _must_show(results)),
    ]
    return "\n".join(lines) + "\n"


def _must_show(results: dict[str, Any]) -> list[list[str]]:
    rows = []
    turns = results.get("same_batch", [])
    sizes = sorted({turn["items"] for turn in turns})
    for clock, words in (("cpu", "processor time"), ("wall", "by the clock")):
        times = {n: [turn[clock] for turn in turns if turn["items"] == n] for n in sizes}
        for size in sizes[1:]:
            pairs = zip(times[size], times[sizes[0]], strict=True)
            middle, low, high = spread([a / b for a, b in pairs])
            title = f"gcn step, same batch, {size:,} items / {sizes[0]:,}, {words}"
            rows.append([title, f"<= {MOST_STEP_RATIO}", f"{middle:.3f} [{low:.3f}, {high:.3f}]"])
    complete = [size for size in results["sizes"] if size["complete"]]
    return rows + _largest(complete[-1], results["settings"]) if complete else rows


def _largest(size: dict[str, Any], settings: dict[str, Any]) -> list[list[str]]:
    """Memory and epoch of the largest size."""
    peak = max(part["peak_bytes"] for part in size["stages"]) / GIB
    stages = {part["stage"]: part for part in size["stages"]}
    examples = stages["done"]["examples"]
    steps = math.ceil(examples / settings["batch_size"])
    step, number = stages["step"], len(stages["step"]["steps"])
    head = f"peak memory, {size['items']:,} items, {size['behaviors']:,} behaviours"
    rows = [
        [head, f"<= {MOST_GIB} GiB", f"{peak:.2f} GiB"],
        [
            f"the same, one epoch of {examples:,} examples, extrapolated from {number} steps",
            "runs",
            f"{steps:,} steps of {step['cpu']:.3f} s of processor work:"
            f" {steps * step['cpu'] / 60:,.0f} min",
        ],
    ]
    if "training epoch" in stages:
        seconds = stages["training epoch"]["seconds"]
        found = f"{seconds:,.0f} s by the clock, {examples / seconds:,.0f} examples a second"
        rows.append(["the same, one epoch of training", "runs", found])
    return rows


def _threads(number: int) -> str:
    return f"{number} thread{'s' if number > 1 else ''}"


def _exponent(x: "np.ndarray", y: "np.ndarray") -> str:
    """Slope of the least-squares line through ``log y`` over ``log x``."""
    return f"{np.polyfit(np.log(x), np.log(y), 1)[0]:.2f}" if x.size > 1 else "–"
