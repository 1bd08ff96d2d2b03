"""The picture of the whole, from a log to a click: python docs/picture.py [--out docs/picture.svg]

The graph's edges, the item's shares of the centres and the attention are worked out from the
histories below, so that the picture agrees with itself; nothing here is a trained model's.
"""

import argparse
import io
from itertools import pairwise
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

from resemb_gnn.experiment.report.plotting import INK, MARKERS, MUTED, PALETTE

# Items 1 to 9, three of each interest, as five users visited them. Item 5 is followed to its click.
HISTORIES = ((1, 2, 3, 2, 1), (4, 6, 4, 5), (7, 9, 8, 7, 9), (2, 1, 5), (6, 5, 4, 8))
ITEM, HISTORY = 5, (2, 9, 4, 6)
PLACES = {
    1: (28, 26), 2: (72, 52), 3: (20, 78),
    4: (132, 78), 5: (122, 26), 6: (178, 46),
    7: (270, 26), 8: (224, 62), 9: (266, 84),
}  # fmt: skip
CENTERS = np.array([(30.0, 80.0), (136.0, 24.0), (258.0, 80.0)])
LABELS = np.array([(8.0, -30.0), (54.0, 0.0), (0.0, -30.0)])
# Of each item of the interest its mixture of centres and its residual.
RESIDUALS = {5: ((-6, 14), (-16, 24)), 4: ((6, -10), (-34, -12)), 6: ((14, 0), (26, -22))}
ATTENTION, PROBABILITY = np.array([1.2, 0.5, 3, 3]), 0.64
STEPS = (
    ("Log", "who visited which item,\nand when"),
    ("Co-visit graph", "joins items that users\nvisit near each other"),
    ("Centres", "shared by the items of an\ninterest; a graph network\nsays how much of each"),
    ("+ residual", "the item's own, kept small\nso that an interest stays\nwithin its envelope"),
    ("Attention", "weighs the history by what\nsuits the candidate"),
    ("Click", "its probability; all above\nis learnt from it, end to end"),
)
WIDTH, PICTURE, ROW, GAP, MARGIN, COLUMN = 600, 290, 104, 30, 26, 346
Point = tuple[float, float]
LIGHT, EDGE = "#d5dae1", "#9aa3af"


def interest(item: int) -> int:
    return (item - 1) // 3


def edges() -> dict[tuple[int, int], int]:
    """How often two items stand next to each other in a history."""
    found: dict[tuple[int, int], int] = {}
    for history in HISTORIES:
        for one, other in pairwise(history):
            pair = (min(one, other), max(one, other))
            found[pair] = found.get(pair, 0) + 1
    return found


def shares() -> np.ndarray:
    """The item's weights: how many of its co-visits, itself counted, are of each interest."""
    found = np.eye(3)[interest(ITEM)]
    for pair, count in edges().items():
        if ITEM in pair:
            found[interest(sum(pair) - ITEM)] += count
    return found / found.sum()


def draw_item(axes: Axes, number: int, x: float, y: float) -> None:
    kind = interest(number)
    size = (20, 18, 23)[kind]  # a triangle needs more room for its number
    axes.plot(x, y, MARKERS[kind], markersize=size, color=PALETTE[kind], markeredgewidth=0)
    axes.text(
        x, y + (3 if kind == 2 else 0), str(number), color="white", weight="bold", size=13,
        ha="center", va="center_baseline",
    )  # fmt: skip


def draw_arrow(axes: Axes, start: Point, end: Point, color: str, width: float) -> None:
    axes.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle="-|>", mutation_scale=15, linewidth=width, color=color,
            shrinkA=0, shrinkB=0,
        )
    )  # fmt: skip


def draw_bar(axes: Axes, x: float, y: float, size: tuple[float, float], color: str) -> None:
    style = f"round,pad=0,rounding_size={min(size) / 2 - 0.1 if size[0] > size[1] else 2}"
    axes.add_patch(FancyBboxPatch((x, y), *size, style, facecolor=color, linewidth=0))


def draw_log(axes: Axes, top: float) -> None:
    for row, history in enumerate((HISTORIES[0], HISTORIES[3], HISTORIES[4])):
        y = top + 18 + 34 * row
        axes.text(MARGIN, y, ("Ann", "Bob", "Cy")[row], color=MUTED, size=15, va="center_baseline")
        axes.plot([MARGIN + 56, MARGIN + PICTURE], [y, y], color=LIGHT, linewidth=2, zorder=0)
        for place, number in enumerate(history):
            draw_item(axes, number, MARGIN + 76 + 46 * place, y)


def draw_graph(axes: Axes, top: float) -> None:
    for (one, other), count in edges().items():
        x, y = zip(PLACES[one], PLACES[other], strict=True)
        axes.plot(np.add(x, MARGIN), np.add(y, top), color=EDGE, linewidth=2.2 * count, zorder=0)
    for number, place in PLACES.items():
        draw_item(axes, number, MARGIN + place[0], top + place[1])


def draw_centers(axes: Axes, top: float) -> None:
    """Three centres, and the item's mixture of them."""
    centers = CENTERS + np.array([MARGIN, top])
    mixed = shares() @ centers
    for kind, (center, share) in enumerate(zip(centers, shares(), strict=True)):
        axes.plot(*zip(center, mixed, strict=True), color=PALETTE[kind], linewidth=9 * share)
        axes.plot(*center, "*", markersize=27, color=PALETTE[kind], markeredgecolor="white")
        words = f"$c_{kind + 1}$  {100 * share:.0f} %"
        x, y = center + LABELS[kind]
        axes.text(x, y, words, size=15, ha="center", va="center_baseline")
    axes.plot(*mixed, "o", markersize=9, color=INK)


def draw_residual(axes: Axes, top: float) -> None:
    """The items of one interest beside their mixtures, within its envelope."""
    middle, color = (MARGIN + 66.0, top + 52.0), PALETTE[interest(ITEM)]
    axes.add_patch(Circle(middle, 58, facecolor=color, alpha=0.12, linewidth=0))
    axes.add_patch(Circle(middle, 58, fill=False, edgecolor=color, linewidth=1.6, linestyle="--"))
    for number, (mixed, residual) in RESIDUALS.items():
        x, y = np.add(middle, mixed)
        right, down = residual
        axes.plot(x, y, "o", markersize=9 if number == ITEM else 6, color=INK)
        draw_arrow(axes, (x, y), (x + 0.7 * right, y + 0.7 * down), INK, 2)
        draw_item(axes, number, x + right, y + down)
    first, second = (f"{share:.1f}\\,c_{kind + 1}" for kind, share in enumerate(shares()[:2]))
    x = MARGIN + 152
    axes.text(x, top + 40, f"$e_{ITEM} = {first} + {second}$", size=16, va="center_baseline")
    axes.text(x + 30, top + 68, f"$+\\;s\\,r_{ITEM}$", size=16, va="center_baseline")


def draw_attention(axes: Axes, top: float) -> None:
    weights = ATTENTION / ATTENTION.sum()
    for place, (number, weight) in enumerate(zip(HISTORY, weights, strict=True)):
        x, height = MARGIN + 18 + 46 * place, 140 * weight
        draw_item(axes, number, x, top + 88)
        draw_bar(axes, x - 10, top + 68 - height, (20, height), PALETTE[interest(number)])
    draw_item(axes, ITEM, MARGIN + 248, top + 88)
    axes.text(MARGIN + 248, top + 60, "candidate", size=15, ha="center", color=MUTED)


def draw_click(axes: Axes, top: float) -> None:
    for share, color in ((1, LIGHT), (PROBABILITY, PALETTE[interest(ITEM)])):
        draw_bar(axes, MARGIN + 8, top + 40, (210 * share, 24), color)
    words = f"{100 * PROBABILITY:.0f} %"
    axes.text(MARGIN + 232, top + 52, words, size=18, weight="bold", va="center_baseline")


def draw(path: Path) -> None:
    drawings = (draw_log, draw_graph, draw_centers, draw_residual, draw_attention, draw_click)
    height = 2 * MARGIN + len(STEPS) * ROW + (len(STEPS) - 1) * GAP - 16  # the last is lower
    with matplotlib.rc_context({"svg.hashsalt": "picture", "text.color": INK}):
        figure = Figure(figsize=(WIDTH / 72, height / 72))  # a unit is a point
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, WIDTH), ylim=(height, 0))
        axes.axis("off")
        card = FancyBboxPatch((1, 1), WIDTH - 2, height - 2, "round,pad=0,rounding_size=18")
        card.set(facecolor="white", edgecolor=LIGHT, zorder=-1)
        axes.add_patch(card)
        for row, ((name, words), drawing) in enumerate(zip(STEPS, drawings, strict=True)):
            top = MARGIN + row * (ROW + GAP)
            drawing(axes, top)
            y = top + (ROW - 32 - 21 * len(words.splitlines())) / 2
            axes.text(COLUMN, y, name, size=21, weight="bold", va="top")
            axes.text(COLUMN, y + 32, words, size=16, va="top", linespacing=1.25)
            if row:
                x = MARGIN + PICTURE / 2
                draw_arrow(axes, (x, top - GAP + 4), (x, top - 4), MUTED, 2.5)
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()  # shown at four fifths of its size, on a narrow screen at less
    for length in (WIDTH, height):
        text = text.replace(f'"{length}pt"', f'"{0.8 * length:.0f}"', 1)
    path.write_text(text, encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("picture.svg"))
    draw(parser.parse_args(arguments).out)


if __name__ == "__main__":
    main()
