"""What the runs are trained and measured on: synthetic worlds and sequence files."""

import json
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch_geometric.data import Data

import resemb_gnn as rg
from resemb_gnn.datasets import read_sequence_file
from resemb_gnn.graph import NodeFeatures

FRESH_USERS = 500
NUM_INTERESTS, NUM_ITEMS = 10, 1000
FILE_TARGETS = 2  # last training behaviours of a user of a file that become examples


class Task(NamedTuple):
    """What a run is trained and measured on.

    Args:
        name: ``world``, or the file's name without its ending.
        split: what is trained and validated on.
        train: training examples for the gap, drawn as ``test``.
        test: examples that were not trained on.
        graph: co-visit graph with folds and node features, as ``compare`` makes it.
        interest: known interest of each item.
        max_history: behaviours of a history that are used.
        dim: width of the embeddings.
        lr: learning rate.
        bayes_auc: AUC of the Bayes predictor on the rows of ``test``, NaN if unknown.
    """

    name: str
    split: rg.Split
    train: rg.Examples
    test: rg.Examples
    graph: Data
    interest: Tensor
    max_history: int
    dim: int
    lr: float
    bayes_auc: float


def world_task(users: int, seed: int, folds: int) -> Task:
    """A world of its own for each seed; the test examples are those of fresh users."""
    world = rg.InterestDelayModel(users, NUM_ITEMS, NUM_INTERESTS, seed=seed)
    split = world.sample().split(by="last")
    fresh = world.sample(FRESH_USERS, seed=seed + 1000)
    test = fresh.split(by="last").train
    # The training rows are all but each user's last two.
    trains = fresh.times < world.impressions_per_user - 2
    assert fresh.labels is not None  # a world tells who clicked
    bayes = rg.training.auc(world.bayes_probability(fresh)[trains], fresh.labels[trains])
    graph = NodeFeatures(16)(rg.covisit_graph(split.history, folds=folds if folds > 1 else None))
    return Task("world", split, split.train, test, graph, world.item_interests, 5, 16, 3e-3, bayes)


def file_task(path: Path, folds: int) -> Task:
    """Each user's last behaviour tests, with one uniform negative."""
    log = read_sequence_file(path)
    split = log.split(by="last", train_targets=FILE_TARGETS)
    graph = NodeFeatures(32)(rg.covisit_graph(split.history, folds=folds if folds > 1 else None))
    return Task(
        path.stem,
        split,
        split.train_sample,
        split.test,
        graph,
        categories(path, log),
        20,
        32,
        1e-3,
        float("nan"),
    )


def categories(path: Path, log: rg.BehaviorLog) -> Tensor:
    """An item's most frequent attribute that fewer than half of the items have; without any, a
    category of its own kind.
    """
    attributes = json.loads((path.parent / f"{path.stem}_item2attributes.json").read_text())
    held = [set(attributes.get(str(item), [])) for item in log.item_ids]
    count = Counter(attribute for each in held for attribute in each)
    rare = [[a for a in each if 2 * count[a] < len(held)] for each in held]
    best = [max(each, key=lambda a: (count[a], a), default=-1) for each in rare]
    return torch.tensor(best).unique(return_inverse=True)[1]
