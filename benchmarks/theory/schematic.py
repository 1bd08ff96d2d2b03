"""The idea in one picture: the items of two trained models around their centres."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

import resemb_gnn as rg
from benchmarks.theory.runs import RESIDUALS, train_to_the_end, vectors
from benchmarks.theory.tasks import Task
from resemb_gnn.experiment.geometry import ItemGeometry, item_geometry
from resemb_gnn.experiment.report.item_figures import draw_items
from resemb_gnn.experiment.report.plotting import legend_below, new_figure
from resemb_gnn.graph import NodeFeatures
from resemb_gnn.theory import envelope_radius

INTERESTS, ITEMS, USERS, EPOCHS, SEED = 4, 120, 100, 40, 0
PANELS = {"free residual": "free", "residual held small": "shrinkage 100"}


def schematic(path: Path, epochs: int | None = None) -> None:
    """Draws a small world's items after training with a free residual, and with one held small.

    As many centres as interests; both panels are drawn in units of the spread of all items, and
    residuals at their true length.
    """
    world = rg.InterestDelayModel(USERS, ITEMS, INTERESTS, seed=SEED)
    split = world.sample().split(by="last")
    test = world.sample(500, seed=SEED + 1000).split(by="last").train
    graph = NodeFeatures(8)(rg.covisit_graph(split.history, folds=10))
    task = Task(
        "schematic", split, split.train, test, graph, world.item_interests, 5, 8, 3e-3, float("nan")
    )
    settings = [RESIDUALS[residual] for residual in PANELS.values()]
    found = [trained(task, each, epochs or EPOCHS) for each in settings]
    with new_figure(4.4) as (figure, first):
        figure.set_figwidth(2 * figure.get_figwidth())
        first.remove()
        panels = list(figure.subplots(1, 2))
        for axes, name, (geometry, radius, gap) in zip(panels, PANELS, found, strict=True):
            draw_items(axes, geometry, interest=world.item_interests.numpy()[geometry.items])
            axes.set_title(f"{name}\nenvelope radius {radius:.2f}, generalisation gap {gap:.2f}")
        boxes = [axes.dataLim for axes in panels]
        for axes in panels:
            axes.set_aspect("equal", adjustable="box")
            axes.set_xlim(min(b.x0 for b in boxes) - 0.1, max(b.x1 for b in boxes) + 0.1)
            axes.set_ylim(min(b.y0 for b in boxes) - 0.1, max(b.y1 for b in boxes) + 0.1)
        legend_below(figure, panels[0])
        figure.savefig(path, dpi=130, facecolor="white")


def trained(task: Task, settings: dict[str, Any], epochs: int) -> tuple[ItemGeometry, float, float]:
    """Items and centres of a trained model in units of their spread, its radius (rms) and gap."""
    torch.manual_seed(SEED)
    embedding = rg.ResEmbedding(task.graph, task.dim, INTERESTS, "gcn", temperature=0.3, **settings)
    gap = train_to_the_end(task, embedding, SEED, epochs)[-1].logloss
    found = envelope_radius(vectors(embedding), task.interest)
    geometry = item_geometry(embedding, count=task.graph.count)
    points = {
        name: getattr(geometry, name) / found.spread for name in ("embedding", "central", "centers")
    }
    return replace(geometry, **points), found.mean("rms"), gap
