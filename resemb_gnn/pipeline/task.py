"""The one path from settings to a fitted model: log, split, graph, embedding, model, fit."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import nn
from torch_geometric.data import Data

from resemb_gnn.data import Features, Split
from resemb_gnn.datasets import DataSource, load_source
from resemb_gnn.errors import InputError
from resemb_gnn.graph import NodeFeatures, PermuteNodes, covisit_graph
from resemb_gnn.models import CTRModel
from resemb_gnn.models.ctr_model import split_widths
from resemb_gnn.pipeline.embeddings import make_embedding, make_model, width_options
from resemb_gnn.pipeline.progress import Stages
from resemb_gnn.settings import CompareSettings, DataSettings, FitSettings, GraphSettings
from resemb_gnn.settings.embedding import SHARED, split_name
from resemb_gnn.settings.shared import FEATURE_SETTINGS, TrainingSettings, by_name
from resemb_gnn.training import FitResult, fit

NUM_FEATURES = 32  # spectral features of a node


@dataclass(frozen=True)
class Task:
    """Data that are read and split, for one run or many.

    Args:
        settings: what they were read by; the graph follows them, too.
        source: the data.
        split: their examples.
    """

    settings: TrainingSettings
    source: DataSource
    split: Split

    @cached_property
    def graph(self) -> Data:
        """The co-visit graph of the training behaviours, with folds and node features; built when
        it is first asked for, with a bar.
        """
        with Stages(2, self.settings.quiet) as stages:
            folds = self.settings.folds
            graph = stages.run(
                "joining items", lambda: covisits(self.source, self.split, self.settings, folds)
            )
            return stages.run("node features", lambda: NodeFeatures(dim=NUM_FEATURES)(graph))

    def make_model(
        self, embedding: str, settings: FitSettings | CompareSettings, seed: int
    ) -> CTRModel:
        """The click model around an embedding, drawn from a seed."""
        torch.manual_seed(seed)
        category = self.source.log.item_category
        made = make_embedding(embedding, self.graph, settings, category)
        return make_model(
            settings.model,
            made,
            category if settings.use_category else None,
            self.features,
            widths_of(settings),
        )

    @property
    def features(self) -> Features | None:
        """What the model is to know of items, users and context."""
        return self.source.log.features if self.settings.use_features else None

    def __str__(self) -> str:
        """What a run is told to be of."""
        edges = self.graph.edge_index.size(1) // 2
        return f"{self.split}, graph: {self.graph.num_nodes} items, {edges} edges"


def read_task(settings: TrainingSettings, embeddings: Iterable[str]) -> Task:
    """The data and their examples, with a bar.

    Raises:
        InputError: if they cannot be used, or lack the categories that an embedding asks for.
    """
    with Stages(2, settings.quiet) as stages:
        source = stages.run(f"reading {settings.data}", lambda: read_source(settings))
        lacking = [name for name in embeddings if SHARED[split_name(name)[0]].needs_category]
        if lacking and source.log.item_category is None:
            raise InputError(f"{', '.join(lacking)}: {source.name} has no categories of the items")
        if settings.train_negatives is not None and source.log.labels is not None:
            raise InputError(
                f"train_negatives={settings.train_negatives}: {source.name} has labels, so its rows"
                " are the examples, and no negatives are drawn"
            )
        _check_widths(settings, source)
        split = stages.run(
            "splitting", lambda: source.make_split(settings.split, settings.negatives)
        )
    return Task(settings, source, split)


def read_source(settings: DataSettings) -> DataSource:
    """The data that the settings name.

    Raises:
        InputError: if they cannot be used.
    """
    names = ("user", "item", "time", "category", "label", *FEATURE_SETTINGS)
    options = {name: getattr(settings, name) for name in names}
    return load_source(settings.data, **options | {"kinds": by_name(settings.kinds)})


def widths_of(settings: TrainingSettings) -> dict[str, int]:
    """The widths of features' embeddings that the settings name."""
    return {name: int(width) for name, width in by_name(settings.widths).items()}


def _check_widths(settings: TrainingSettings, source: DataSource) -> None:
    """Refuses widths that the model does not take, before the graph is built."""
    features = source.log.features if settings.use_features else None
    split_widths(features or Features(), widths_of(settings))
    width_options(settings.model, widths_of(settings))


def covisits(source: DataSource, split: Split, settings: GraphSettings, folds: int = 1) -> Data:
    """The co-visit graph of the training behaviours, without node features."""
    options = dict(source.graph)
    if settings.top_k is not None:
        options["top_k"] = settings.top_k
    graph = covisit_graph(
        split.history, window=settings.window, folds=folds if folds > 1 else None, **options
    )
    if settings.graph == "covisit":
        return graph
    return PermuteNodes(seed=0, move_count=settings.graph == "permuted-with-counts")(graph)


def fit_with(
    settings: TrainingSettings, model: nn.Module, split: Split, **options: Any
) -> FitResult:
    """:func:`~resemb_gnn.fit` with what the settings say of training, and further options."""
    if settings.compile:
        # What this process has compiled before decides which code a model gets (for shapes that
        # change, and none at all beyond some recompilations), and so how it rounds.
        torch.compiler.reset()
    return fit(
        model,
        split,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        lr=settings.lr,
        patience=settings.patience,
        max_history=settings.max_history,
        train_negatives=settings.train_negatives,
        compile=settings.compile,
        precision=settings.precision,
        device=settings.device,
        progress=not settings.quiet,
        **options,
    )
