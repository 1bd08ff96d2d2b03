"""What is radius and what is capacity: either is set by hand, the other held, in the planted world.

The dial of ``radius`` changes both at once. Here the interests are the planted ones, nothing is
learnt from a graph, and an arm says three things of the items: how many cells an interest is cut
into (at random), whether the cells' places in it are trained, and how far they lie from its centre.

``trained``, ``fixed``: :class:`PinnedEmbedding`. An interest has a trained centre and a cell a
    direction from it, at a radius that is the same at every step of the training. With *trained*
    directions the trained numbers grow with the cells; with *fixed* ones, drawn once, there are
    none beside the centres, whatever radius and cells.
``within``, ``across``: a trained vector a cell and nothing else (hard centres without residual), so
    the radius is what comes of it. Cells are dealt within the interests, or across all items,
    blind to them: equally many, equally large.
``capped``: a trained centre an interest and a free residual an item, with a cap on its norm
    (``ResidualOptions(max_norm=...)``): the radius is bounded and the trained numbers stay.

Start, distances and caps were chosen in one world of seed 100, which no result is from.

Written before the runs, after a look at that world, what an outcome would mean:

* *Fixed directions: the gap grows with the radius.* The radius makes a gap without one trained
  number more: the network tells items apart by it. *It does not*: radius without trained numbers
  is harmless, and what ``radius`` found is capacity.
* *Trained directions, equal cells: the gap grows with the radius.* At equal capacity the radius
  matters. *It does not*: the network makes up for a small radius by a steep slope, as the product
  of both in the bound allows, and holding the radius alone is no cure.
* *Trained directions, equal radius: the gap grows with the cells.* Capacity matters beside the
  radius. *It does not*: the radius says it all.
* *Trained less fixed, at equal cells and radius*: what the trained numbers themselves add.
* *Within less across is below zero.* Cells that follow the interests generalise better at equal
  capacity. This is the weakest comparison: ``across`` has the larger radius, but no truth to learn
  either, so what it learns it learns by heart; and with few cells it learns nothing, and has no
  gap.
* *A smaller gap and no higher test AUC* is a poorer model, not a better one. So the gap is read at
  equal training loss, too, between two epochs, where it is a difference of test losses: for one
  arm at the loss that the interests alone (``within``, one cell) end with, for two at the lowest
  that both reach.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

import resemb_gnn as rg
from benchmarks.theory.runs import train_to_the_end, vectors
from benchmarks.theory.tasks import Task
from resemb_gnn.nn import HardEncoder, ItemEmbedding, ResidualOptions
from resemb_gnn.theory import envelope_radius

FEW, MANY = 4, 100  # cells of an interest of 100 items
NEAR, FAR = 0.25, 2.25  # distance from the centre, in spreads of the centres
ALONE: dict[str, Any] = {"kind": "within", "cells": 1}  # the interests, and nothing of an item
ARMS: list[dict[str, Any]] = [
    ALONE,
    *(
        {"kind": "trained", "cells": cells, "ratio": s}
        for cells in (FEW, MANY)
        for s in (NEAR, FAR)
    ),
    *({"kind": "fixed", "cells": MANY, "ratio": s} for s in (NEAR, FAR)),
    *({"kind": kind, "cells": 20} for kind in ("within", "across")),
    *({"kind": "capped", "cells": MANY, "cap": cap} for cap in (0.1, 1.0)),
]
CENTER_STD, OWN_STD = 0.4, 0.01  # of the start, as of shared centres, and of an item's own part


class PinnedEmbedding(ItemEmbedding):
    r"""Items in cells around the centres of their interests, at a radius that does not change.

    .. math::
        e_i = c_{g(i)} + s\, \sigma\, d_{q(i)}, \qquad
        \sum_{g(i) = k} d_{q(i)} = 0, \quad
        \operatorname*{mean}_{g(i) = k} \lVert d_{q(i)} \rVert^2 = 1

    with :math:`\sigma` the root-mean-square distance of the items' centres to their mean, so that
    the rms radius of each interest is :math:`s / \sqrt{1 + s^2}` whatever is learnt.

    Args:
        interest: :math:`g(i)`, int64 ``[n]``, numbered from 0.
        cell: cell of each item within its interest, likewise.
        dim: width of the embeddings.
        ratio: :math:`s`.
        trained: train the directions :math:`d`; otherwise they stay as drawn.

    Shapes:
        - **input:** item ids, int64 ``[*]``
        - **output:** embeddings ``[*, dim]``
    """

    place: Tensor
    size: Tensor

    def __init__(
        self, interest: Tensor, cell: Tensor, dim: int, ratio: float, *, trained: bool
    ) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim, self.ratio = interest.numel(), dim, ratio
        groups, cells = int(interest.max()) + 1, int(cell.max()) + 1
        place = interest * cells + cell
        size = place.bincount(minlength=groups * cells).view(groups, cells, 1)
        self.register_buffer("place", place)
        self.register_buffer("size", size / size.sum())  # share of the items
        self.centers = nn.Parameter(CENTER_STD * torch.randn(groups, dim))
        self.directions = nn.Parameter(
            OWN_STD * torch.randn(groups, cells, dim), requires_grad=trained
        )

    def forward(self, ids: Tensor, fold: int | None = None) -> Tensor:
        share = self.size.sum(dim=1)  # of each interest, [groups, 1]
        spread = (self.centers - (share * self.centers).sum(dim=0)).square()
        spread = (share * spread).sum().sqrt()
        within = self.size / share.unsqueeze(1)
        offset = self.directions - (within * self.directions).sum(dim=1, keepdim=True)
        length = (within * offset.square()).sum(dim=(1, 2), keepdim=True).sqrt()
        places = self.centers.unsqueeze(1) + self.ratio * spread * offset / length
        return nn.functional.embedding(self.place[ids], places.flatten(0, 1))


def capacity_run(task: Task, arm: dict[str, Any], seed: int, epochs: int) -> dict[str, Any]:
    torch.manual_seed(seed)
    embedding = capacity_embedding(task.interest, task.dim, arm)
    gaps = train_to_the_end(task, embedding, seed, epochs, each_epoch=True)
    found = envelope_radius(vectors(embedding), task.interest)
    return {
        "rms": found.mean("rms"),
        "largest": found.mean("largest"),
        "trained": sum(each.numel() for each in embedding.parameters() if each.requires_grad),
        "gap": gaps[-1].logloss,
        "auc_gap": gaps[-1].auc,
        "test_auc": gaps[-1].test.auc,
        "train_logloss": [gap.train.logloss for gap in gaps],
        "test_logloss": [gap.test.logloss for gap in gaps],
        "bayes_auc": task.bayes_auc,
    }


def capacity_embedding(interest: Tensor, dim: int, arm: dict[str, Any]) -> ItemEmbedding:
    """The items' embedding of an arm; cells are drawn by the global generator."""
    kind, cells = arm["kind"], arm["cells"]
    if kind == "capped":
        own = {"residual_std": OWN_STD, "residual_options": ResidualOptions(max_norm=arm["cap"])}
        return hard_centers(interest, dim, **own)
    if kind == "across":
        count = cells * (int(interest.max()) + 1)
        return free_cells(torch.randperm(interest.numel()) % count, dim)
    cell = cells_within(interest, cells)
    if kind == "within":
        return free_cells(interest * cells + cell, dim)
    return PinnedEmbedding(interest, cell, dim, arm["ratio"], trained=kind == "trained")


def free_cells(cell: Tensor, dim: int) -> rg.ResEmbedding:
    """A trained vector a cell, and no residual."""
    embedding = hard_centers(cell, dim, residual_std=0.0)
    embedding.residual.requires_grad_(False)
    return embedding


def hard_centers(center: Tensor, dim: int, **own: Any) -> rg.ResEmbedding:
    # No edges: nothing of these embeddings comes from the graph.
    bare = Data(edge_index=torch.empty(2, 0, dtype=torch.long), num_nodes=center.numel())
    hard = HardEncoder(bare, center)
    fixed: dict[str, Any] = {"center_std": CENTER_STD, "shrinkage": None, "residual_penalty": 0.0}
    return rg.ResEmbedding(bare, dim, encoder=hard, **fixed, **own)


def cells_within(interest: Tensor, cells: int) -> Tensor:
    """Cell of each item within its interest, drawn at random; sizes differ by one at most."""
    cell = torch.empty_like(interest)
    for k in range(int(interest.max()) + 1):
        own = (interest == k).nonzero().squeeze(1)
        cell[own] = torch.randperm(own.numel()) % cells
    return cell
