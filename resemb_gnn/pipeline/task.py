"""The one path from settings to a fitted model: log, split, graph, embedding, model, fit."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import nn
from torch_geometric.data import Data

from resemb_gnn.data import BehaviorLog, Features, FeatureTable, Split
from resemb_gnn.datasets import DataSource, load_source
from resemb_gnn.errors import InputError, did_you_mean, shown
from resemb_gnn.graph import ContentFeatures, NodeFeatures, PermuteNodes, covisit_graph
from resemb_gnn.io.outputs import shared_folder
from resemb_gnn.io.parts import shown_paths
from resemb_gnn.models import CTRModel
from resemb_gnn.models.ctr_model import split_widths
from resemb_gnn.models.known_features import check_embed
from resemb_gnn.pipeline.embeddings import (
    make_embedding,
    make_feature_embeddings,
    make_model,
    model_options,
)
from resemb_gnn.pipeline.graph_cache import graph_fingerprint, kept_graph
from resemb_gnn.pipeline.progress import Stages
from resemb_gnn.settings import CompareSettings, DataSettings, FitSettings, GraphSettings
from resemb_gnn.settings.embedding import SHARED, split_name
from resemb_gnn.settings.shared import FEATURE_SETTINGS, TrainingSettings, by_name
from resemb_gnn.training import FitResult, fit
from resemb_gnn.training.fit import usual

NUM_FEATURES = 32  # spectral features of a node


@dataclass(frozen=True)
class Task:
    """Data that are read and split, for one run or many.

    Args:
        settings: what they were read by; the graph follows them, too.
        source: the data.
        split: their examples.
    """

    settings: FitSettings | CompareSettings
    source: DataSource
    split: Split

    @cached_property
    def graph(self) -> Data:
        """The co-visit graph of the training behaviours, with folds and node features; built when
        it is first asked for, with a bar.
        """
        return self._graph()

    @cached_property
    def feature_graphs(self) -> dict[str, Data]:
        """Those of the values of features that have an embedding of their own, by the features'
        names; the folds are those of the items' graph.
        """
        return {feature: self._graph(feature) for feature in self.settings.embedded}

    def _graph(self, feature: str | None = None) -> Data:
        with Stages(2, self.settings.quiet) as stages:
            options = self.source, self.split, self.settings, self.settings.folds, feature
            title = "joining items" if feature is None else f"joining values of {feature}"

            def make() -> Data:
                bare = stages.run(title, lambda: covisits(*options))
                return stages.run("node features", lambda: NodeFeatures(dim=NUM_FEATURES)(bare))

            graph = self._kept(make, feature)
            # What is known of items says nothing of the values of one feature.
            table = self.graph_features if feature is None else None
            return graph if table is None else ContentFeatures(table)(graph)

    def _kept(self, make: Callable[[], Data], feature: str | None) -> Data:
        """The graph with spectral features, from the settings' cache if it is there."""
        settings = self.settings
        if settings.cache is None:
            return make()
        fingerprint = graph_fingerprint(
            history_of(self.split, feature),
            features=NUM_FEATURES,
            folds=settings.folds,
            control=settings.graph,
            **graph_options(self.source, settings),
        )
        return kept_graph(settings.cache, fingerprint, make)

    def make_model(
        self,
        embedding: str,
        settings: FitSettings | CompareSettings,
        seed: int,
        model: str | None = None,
    ) -> CTRModel:
        """The click model around an embedding, drawn from a seed: the ``model`` of that name, or
        that of the settings. Embeddings of features are built by the task's own settings, alike in
        every arm of a comparison.
        """
        torch.manual_seed(seed)
        category = self.source.log.item_category
        made = make_embedding(embedding, self.graph, settings, category)
        own = self.settings
        embed = make_feature_embeddings(own.embedded, self.feature_graphs, own, widths_of(own))
        return make_model(
            model or settings.model,
            made,
            category if settings.use_category else None,
            self.features,
            widths_of(settings),
            embed,
            settings.attention,
        )

    @property
    def features(self) -> Features | None:
        """What the model is to know of items, users and context."""
        return self.source.log.features if self.settings.use_features else None

    @property
    def graph_features(self) -> FeatureTable | None:
        """The features of items that the graph's node features hold; ``None`` for none."""
        return graph_features_of(self.settings, self.source.log.features)

    def __str__(self) -> str:
        """What a run is told to be of."""
        graphs = [("items", self.graph), *self.feature_graphs.items()]
        sizes = [
            f"graph: {one.num_nodes} {name}, {one.edge_index.size(1) // 2} edges"
            for name, one in graphs
        ]
        return ", ".join([str(self.split), *sizes])


def read_task(
    settings: FitSettings | CompareSettings,
    embeddings: Iterable[str],
    source: DataSource | None = None,
) -> Task:
    """The data and their examples, with a bar.

    Args:
        settings: what to read, and how.
        embeddings: what they are read for.
        source: the data, if they are not to be read.

    Raises:
        InputError: if they cannot be used, or lack the categories or the feature that an embedding
            asks for, or features of items are put into a graph whose node features no embedding
            reads.
    """
    embeddings = list(embeddings)
    shared = [SHARED[split_name(name)[0]] for name in embeddings]
    if settings.graph_features and not any(one.reads_features for one in shared):
        raise InputError(f"graph_features is not read by {' or '.join(embeddings)}")
    if settings.cache is not None:
        shared_folder(settings.cache)
    with Stages(2, settings.quiet) as stages:
        if source is None:
            title = f"reading {shown_paths(settings.data)}"
            source = stages.run(title, lambda: read_source(settings))
        lacking = [name for name in embeddings if SHARED[split_name(name)[0]].needs_category]
        if lacking and source.log.item_category is None:
            raise InputError(f"{', '.join(lacking)}: {source.name} has no categories of the items")
        if settings.train_negatives and source.log.labels is not None:
            raise InputError(
                f"train_negatives={settings.train_negatives}: {source.name} has labels, so its rows"
                " are the examples, and no negatives are drawn"
            )
        _check_features(settings, source)
        graph_features_of(settings, source.log.features)
        found = source
        split = stages.run("splitting", lambda: make_split(found, settings))
    # Said in full, so that what is kept of the settings tells it.
    negatives, rate = usual(split, settings.train_negatives, settings.lr)
    return Task(replace(settings, train_negatives=negatives, lr=rate), source, split)


def read_source(settings: DataSettings) -> DataSource:
    """The data that the settings name.

    Raises:
        InputError: if they cannot be used.
    """
    names = ("user", "item", "time", "category", "label", *FEATURE_SETTINGS)
    options = {name: getattr(settings, name) for name in names}
    return load_source(settings.data, **options | {"kinds": by_name(settings.kinds)})


def make_split(source: DataSource, settings: DataSettings) -> Split:
    """The examples of the data, split as the settings say.

    Raises:
        InputError: if they cannot be split so.
    """
    held_out = not isinstance(settings, FitSettings) or settings.test
    if not held_out and source.published is not None:
        raise InputError(f"{source.name} comes with its own examples: leave out --no-test")
    by = settings.split if held_out else "none"
    return source.make_split(
        by, settings.negatives, settings.valid_from, settings.test_from, settings.split_seed
    )


def widths_of(settings: TrainingSettings) -> dict[str, int]:
    """The widths of features' embeddings that the settings name."""
    return {name: int(width) for name, width in by_name(settings.widths).items()}


def graph_features_of(settings: TrainingSettings, features: Features | None) -> FeatureTable | None:
    """The features of items that the settings append to the graph's node features.

    Raises:
        InputError: if one is named that the items do not have.
    """
    if not settings.graph_features:
        return None
    known = {} if features is None or features.items is None else features.items.features
    names = list(known) if settings.graph_features == ("all",) else settings.graph_features
    if not known:
        raise InputError("graph_features: there are no features of items; --items names their file")
    for name in names:
        if name not in known:
            raise InputError(
                f"graph_features={shown(name)} is no feature of the items, which are"
                f" {shown(list(known))}{did_you_mean(name, known)}"
            )
    return FeatureTable({name: known[name] for name in names})


def _check_features(settings: TrainingSettings, source: DataSource) -> None:
    """Refuses widths and embeddings that the model does not take, before the graph is built."""
    features = (source.log.features if settings.use_features else None) or Features()
    split_widths(features, widths_of(settings))
    models = settings.models if isinstance(settings, CompareSettings) else ()
    for model in models or (settings.model,):
        model_options(model, widths_of(settings), settings.attention)
    check_embed(features, settings.embedded)
    for name in settings.embedded:
        if not source.log.of(name).num_items:
            raise InputError(f"the feature {name!r} has no values to embed: all are missing")


def covisits(
    source: DataSource,
    split: Split,
    settings: GraphSettings,
    folds: int = 1,
    feature: str | None = None,
) -> Data:
    """The co-visit graph of the training behaviours, or of the values of a category of the items
    in their place, without node features.
    """
    options = graph_options(source, settings)
    graph = covisit_graph(history_of(split, feature), folds=folds if folds > 1 else None, **options)
    if settings.graph == "covisit":
        return graph
    return PermuteNodes(seed=0, move_count=settings.graph == "permuted-with-counts")(graph)


def graph_options(source: DataSource, settings: GraphSettings) -> dict[str, Any]:
    """How a data set's co-visits are counted: as the settings say, or as suits it."""
    options = dict(source.graph) | {"window": settings.window}
    return options if settings.top_k is None else options | {"top_k": settings.top_k}


def history_of(split: Split, feature: str | None) -> BehaviorLog:
    """The training behaviours, or the values of a category of the items in their place."""
    return split.history if feature is None else split.history.of(feature)


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
        ema_decay=settings.ema_decay,
        compile=settings.compile,
        precision=settings.precision,
        device=settings.device,
        progress=not settings.quiet,
        **options,
    )
