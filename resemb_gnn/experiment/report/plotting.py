"""The look of the report's figures, and their way into a page."""

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from xml.etree import ElementTree

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# Okabe and Ito's colour-blind safe palette without black (ink is the baseline's) and yellow.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES = ("solid", (0, (5, 1.5)), (0, (1, 1)), (0, (3, 1, 1, 1)))
INK, MUTED = "#1b1f24", "#6b7280"
# In a page these follow its colours, light or dark.
_PAGE_COLORS = {INK: "currentColor", MUTED: f"var(--muted, {MUTED})"}
_WIDTH = 4.2  # inches: at a phone's width the letters keep nearly their size
_STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": MUTED,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.frameon": False,
    "legend.fontsize": 8,
    "axes.formatter.useoffset": False,
    "axes.unicode_minus": False,  # the sign of the tables, which can be copied into a calculation
    "text.parse_math": False,  # a name with two dollar signs is a name
    "svg.fonttype": "none",
}


@contextmanager
def new_figure(height: float) -> Iterator[tuple[Figure, Axes]]:
    """A figure of the report's width and ``height`` inches, to be drawn within the context."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        yield figure, figure.add_subplot()


def line_style(place: int) -> dict[str, Any]:
    """Colour and dashes of the line with this number, from 0."""
    return {"color": PALETTE[place % len(PALETTE)], "linestyle": DASHES[place % len(DASHES)]}


def shorten(name: str, length: int = 20) -> str:
    """A name that fits a label: one line, printable, at most ``length`` characters. What is left
    out is its middle: names that begin alike, as those of one embedding in several click models,
    are told apart by their ends.
    """
    name = "".join(letter if letter.isprintable() else " " for letter in name)
    end = (length - 1) // 2
    return name if len(name) <= length else f"{name[: length - 1 - end]}…{name[-end:]}"


def name_rows(axes: Axes, names: list[str]) -> None:
    """Names on the vertical axis, the first on top."""
    axes.set_yticks(range(len(names)), [shorten(name) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.grid(axis="x")


def legend_below(figure: Figure, axes: Axes) -> None:
    """A legend below the axes, where it covers no data, in as many columns as fit; the figure
    grows by its height.
    """
    handles, labels = axes.get_legend_handles_labels()
    if labels:
        width = 36 + 5 * max(map(len, labels))  # points
        columns = min(max(1, int(72 * _WIDTH // width)), len(labels))
        rows = math.ceil(len(labels) / columns)
        figure.set_figheight(figure.get_figheight() + 0.18 * rows)
        figure.legend(handles, labels, loc="outside lower center", ncols=columns)


def to_svg(figure: Figure, description: str) -> str:
    """The figure as an ``<svg>`` element to stand in a page: the same bytes each time, as wide as
    its place, in the page's own colours, with ``description`` (another for each figure of a page)
    for readers that do not see it.
    """
    file = io.StringIO()
    metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    # The salt makes the ids of a figure's own marks its own among all on the page.
    with matplotlib.rc_context(_STYLE | {"svg.hashsalt": description}):
        figure.savefig(file, format="svg", metadata=metadata)
    ElementTree.register_namespace("", "http://www.w3.org/2000/svg")
    ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    root = ElementTree.fromstring(file.getvalue())
    del root.attrib["width"], root.attrib["height"]
    root.set("role", "img")
    root.set("aria-label", description)
    for element in root.iter():
        # Names of groups repeat from one figure to the next; nothing refers to them.
        if element.tag.endswith("}g"):
            element.attrib.pop("id", None)
        if "style" in element.attrib:
            for color, instead in _PAGE_COLORS.items():
                element.set("style", element.attrib["style"].replace(color, instead))
    return ElementTree.tostring(root, encoding="unicode")
