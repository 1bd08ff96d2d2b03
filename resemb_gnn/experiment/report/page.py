"""The report of a comparison as a page."""

import hashlib
import math
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from resemb_gnn.experiment.geometry import ItemGeometry
from resemb_gnn.experiment.report.columns import PROTOCOL, Cell, columns_of, format_number
from resemb_gnn.experiment.report.contents import data_card, incomplete, report_title
from resemb_gnn.experiment.report.figures import (
    CURVES,
    curve_figure,
    difference_figure,
    seeds_figure,
)
from resemb_gnn.experiment.report.item_figures import center_usage_figure, geometry_figure
from resemb_gnn.experiment.report.plotting import shorten, to_svg
from resemb_gnn.experiment.report.tables import further_tables
from resemb_gnn.experiment.report.verdict import verdict
from resemb_gnn.experiment.summary import (
    Results,
    Run,
    baseline_of,
    has_intervals,
    number,
    seconds_to_best,
    several_seeds,
    summary,
)
from resemb_gnn.io.text_tables import pairs
from resemb_gnn.pipeline.feature_card import feature_pairs


def html(results: Results, geometries: dict[str, ItemGeometry]) -> str:
    """One self-contained page: verdict, table, figures, data, settings, command and versions.

    It needs no network, and its table is there without scripts too (they only sort it). Equal
    input gives equal bytes.

    Args:
        results: contents of results.json; runs may be missing.
        geometries: the picture of an embedding's items, by the embedding's name.
    """
    environment = Environment(
        loader=PackageLoader("resemb_gnn.experiment.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["sha256"] = lambda text: b64encode(
        hashlib.sha256(str(text).encode()).digest()
    ).decode()
    data, runs, columns = results["data"], results["runs"], columns_of(results)
    return environment.get_template("report.html").render(
        title=report_title(results),
        facts=_facts(results),
        incomplete=incomplete(results),
        verdict=verdict(results),
        columns=columns,
        rows=[[column.cell(row) for column in columns] for row in summary(results)],
        protocol=PROTOCOL,
        further=further_tables(results),
        figure_groups=list(_figure_groups(results, geometries)),
        run_titles=list(_run_cells({"embedding": "", "seed": 0})),
        runs=[_run_cells(run).values() for run in runs],
        description=data.get("description", ""),
        data=pairs(data_card(data)),
        features=feature_pairs(data),
        settings=pairs(results["settings"]),
        command=results["command"],
        versions=pairs(results["versions"]),
    )


@dataclass(frozen=True)
class Picture:
    svg: str
    caption: str


@dataclass(frozen=True)
class FigureGroup:
    heading: str
    pictures: list[Picture]
    intro: str = ""

    @property
    def columns(self) -> int:
        """In how many columns none of the pictures stands alone in a row, if there is such."""
        return 3 if len(self.pictures) % 3 != 1 else min(len(self.pictures), 2)


def _picture(figure: Figure, description: str, caption: str) -> Picture:
    return Picture(to_svg(figure, description), caption)


def _figure_groups(results: Results, geometries: dict[str, ItemGeometry]) -> Iterator[FigureGroup]:
    if results["runs"]:
        yield FigureGroup("Seed by seed", list(_seed_pictures(results)))
        yield FigureGroup("Epoch by epoch", list(_curve_pictures(results)))
    if geometries:
        pictures = list(_item_pictures(geometries))
        yield FigureGroup("Items and centres", pictures, _ITEMS_INTRO)


def _seed_pictures(results: Results) -> Iterator[Picture]:
    dots = "A dot is a seed, the bar their mean" if several_seeds(results) else "The one seed"
    yield _picture(
        seeds_figure(results, "test AUC"),
        "Test AUC of each embedding, the figures of the table above.",
        f"{dots}.",
    )
    figure = difference_figure(results)
    if figure is not None:
        interval = (
            f"{dots}, the line its 95 % t-interval."
            " An interval that crosses zero leaves open which is better."
        )
        yield _picture(
            figure,
            f"Difference of test AUC to {baseline_of(results)}, the figures of the table above.",
            interval if has_intervals(results) else "The one seed: an interval takes several.",
        )
    yield _picture(
        seeds_figure(results, "generalisation gap"),
        "Generalisation gap of each embedding, the figures of the table above.",
        "Test log loss minus that of equally drawn training examples. Zero: nothing memorised.",
    )


def _curve_pictures(results: Results) -> Iterator[Picture]:
    lines = "Thin: a seed. Thick: mean of the seeds, as far as the shortest goes. "
    captions = {
        "validation AUC": (lines if several_seeds(results) else "")
        + "Dot: the epoch chosen. Far from all others, a curve may leave the picture.",
        "validation log loss": "It rises where the model begins to memorise.",
        "training loss": "Mean over the epoch, with the penalty on the residuals.",
        "generalisation gap": "Validation log loss minus that of equally drawn training examples.",
    }
    epochs = [epoch for run in results["runs"] for epoch in run.get("curve") or []]
    for measure, path in CURVES.items():
        if not any(math.isfinite(number(epoch, *path)) for epoch in epochs):
            continue  # results of an earlier version have no gap by epoch
        description = f"{measure} of each embedding by epoch"
        yield _picture(curve_figure(results, measure), description, captions[measure])


_ITEMS_INTRO = (
    "Items of one run on the two axes along which their embeddings vary most. A mark is an item's"
    " central part; an arrow, drawn for some of them, is the residual, as many times its length as"
    " the legend says. The"
    " colour tells the heaviest centre of an item, for those centres that most of the items have."
    " A star is such a centre itself: an item stands at it when all of its weight does; a small one"
    " at the edge lies beyond it, in that direction, since the view is where 98 % of the items are."
    " A circle"
    " is the envelope of a centre's items: their root-mean-square distance to their centroid, in"
    " this plane."
)


def _item_pictures(geometries: dict[str, ItemGeometry]) -> Iterator[Picture]:
    for name, geometry in geometries.items():
        chosen = "most visited" if geometry.most_visited else "randomly drawn"
        caption = f"The {len(geometry.items):,} {chosen} of {int(geometry.num_items):,} items."
        if geometry.center_per_item:
            caption += " There is one centre an item, so none stands out."
        description = f"Items of {shorten(name)} around their centres, in two dimensions"
        yield _picture(geometry_figure(geometry, name), description, caption)
    yield _picture(
        center_usage_figure(geometries),
        "Mean weight of the centres, from the most to the least used",
        "Mean weight of a centre over all items, as a multiple of what it would be if all were used"
        " alike (dashed). The effective number of centres, in the legend, is the perplexity of"
        " these weights.",
    )


def _run_cells(run: Run) -> dict[str, Cell]:
    def figure(*path: str, spec: str = ".4f") -> Cell:
        value = number(run, *path)
        return Cell(format_number(value, spec), value)

    best, spent = number(run, "best_epoch"), seconds_to_best(run)
    epochs = f"{format_number(best, '.0f')} of {format_number(number(run, 'epochs'), '.0f')}"
    return {
        "Embedding": Cell(str(run["embedding"]), str(run["embedding"])),
        "Seed": Cell(str(run["seed"]), run["seed"]),
        "Test AUC": figure("test", "auc"),
        "GAUC": figure("test", "gauc"),
        "Log loss": figure("test", "logloss"),
        "Train log loss": figure("train", "logloss"),
        "Gap": figure("gap"),
        "Valid. AUC": figure("valid", "auc"),
        "Epoch chosen": Cell(epochs, best),
        "s to best": Cell(format_number(spent, ".1f"), spent),
        "Examples / s": figure("examples_per_second", spec=",.0f"),
    }


def _facts(results: Results) -> list[str]:
    runs = results["runs"]
    models = sorted({str(run["model"]) for run in runs if "model" in run})
    seeds = sorted({run["seed"] for run in runs})
    facts = [f"click model {model}" for model in models]
    facts += [f"{len(runs)} runs"] if len(runs) != 1 else ["1 run"]
    if seeds:
        facts.append(("seed " if len(seeds) == 1 else "seeds ") + ", ".join(map(str, seeds)))
    return facts
