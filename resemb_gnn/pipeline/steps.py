"""Examples, a graph and a trained model by the settings."""

from collections.abc import Iterable
from typing import Any

from torch import nn
from torch_geometric.data import Data

from resemb_gnn.data import Split
from resemb_gnn.datasets import DataSource
from resemb_gnn.errors import InputError
from resemb_gnn.graph import NodeFeatures, PermuteNodes, covisit_graph
from resemb_gnn.pipeline.arms import ARMS
from resemb_gnn.pipeline.shared_settings import GraphSettings, TrainingSettings
from resemb_gnn.pipeline.stages import Stages
from resemb_gnn.training import FitResult, fit


def fit_with(
    settings: TrainingSettings, model: nn.Module, split: Split, **options: Any
) -> FitResult:
    """:func:`~resemb_gnn.fit` with what the settings say of training, and further options."""
    return fit(
        model,
        split,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        lr=settings.lr,
        patience=settings.patience,
        max_history=settings.max_history,
        compile=settings.compile,
        precision=settings.precision,
        device=settings.device,
        progress=not settings.quiet,
        **options,
    )


def load_split(settings: TrainingSettings, embeddings: Iterable[str]) -> tuple[DataSource, Split]:
    """The data and their examples, with a bar.

    Raises:
        InputError: if they cannot be used, or lack the categories that an embedding asks for.
    """
    with Stages(2, settings.quiet) as stages:
        source = stages.run(f"reading {settings.data}", settings.load)
        lacking = [name for name in embeddings if ARMS[name].needs_category]
        if lacking and source.log.item_category is None:
            raise InputError(f"{', '.join(lacking)}: {source.name} has no categories of the items")
        split = stages.run(
            "splitting", lambda: source.make_split(settings.split, settings.negatives)
        )
    return source, split


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


def make_graph(source: DataSource, split: Split, settings: TrainingSettings) -> Data:
    """The co-visit graph of the training behaviours, with node features; shows a bar."""
    with Stages(2, settings.quiet) as stages:
        graph = stages.run(
            "joining items", lambda: covisits(source, split, settings, settings.folds)
        )
        return stages.run("node features", lambda: NodeFeatures(dim=32)(graph))
