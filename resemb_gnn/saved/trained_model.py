"""A trained model with all that it takes to use it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl
import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from resemb_gnn.data import BehaviorLog, Examples, Features
from resemb_gnn.data.features import FeatureTable
from resemb_gnn.errors import InputError, shown
from resemb_gnn.io.frame import Frame
from resemb_gnn.io.ids import id_column
from resemb_gnn.models import CTRModel
from resemb_gnn.saved.histories import Histories
from resemb_gnn.saved.ids import number_ids
from resemb_gnn.saved.predicting import predict_pairs
from resemb_gnn.saved.recommending import recommend
from resemb_gnn.saved.saving import save
from resemb_gnn.saved.updating import update
from resemb_gnn.serving import ItemIndex
from resemb_gnn.settings import FitSettings
from resemb_gnn.training import Metrics, check_device, evaluate


@dataclass(eq=False, repr=False)
class TrainedModel:
    """A click model, its items and users, and where it came from.

    Args:
        model: the click model, in evaluation mode.
        settings: what it was trained with.
        item_ids: the items' own ids in the order of their numbers, ``[num_items]``.
        item_category: category number of each item, int64 ``[num_items]``, if the data have them.
        category_ids: the categories' own ids, likewise.
        graph: the full co-visit graph with node features, without folds; with ``content`` if they
            hold features of items.
        histories: the users' latest behaviours.
        facts: ``data`` (sizes, split, fingerprint), ``figures`` (test and others), ``versions``.
        features: what the model knows of items and users, by their numbers, and the names, kinds
            and vocabularies of the context features, without rows; ``None`` if it knows nothing.
        feature_graphs: such graphs of the values of features that have an embedding of their own,
            by the features' names.
    """

    model: CTRModel
    settings: FitSettings
    item_ids: pl.Series
    item_category: Tensor | None
    category_ids: pl.Series | None
    graph: Data
    histories: Histories
    facts: dict[str, Any]
    features: Features | None = None
    feature_graphs: dict[str, Data] = field(default_factory=dict)

    @property
    def embedding(self) -> nn.Module:
        """The item embedding, such as a :class:`~resemb_gnn.ResEmbedding`."""
        return self.model.embedding

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device

    def to(self, device: torch.device | str) -> "TrainedModel":
        """Moves the model; returns this object.

        Raises:
            InputError: if there is no such device.
        """
        self.model.to(check_device(device))
        return self

    @property
    def graph_features(self) -> FeatureTable | None:
        """The features of items that the graph's node features hold, which
        :meth:`~resemb_gnn.ResEmbedding.embed_new` takes of new ones; ``None`` for none.
        """
        content = self.graph.get("content")
        return None if content is None else content.table

    def predict(
        self,
        users: pl.Series | list[Any],
        items: pl.Series | list[Any],
        *,
        context: "Frame | None" = None,
        history: BehaviorLog | None = None,
        times: pl.Series | list[Any] | None = None,
        item_features: "Frame | None" = None,
        user_features: "Frame | None" = None,
        unknown: str = "refuse",
        progress: bool = False,
    ) -> pl.Series:
        """Click probability of each pair of user and candidate item.

        A user's history is all that the training's log held of them, and behind it what ``history``
        holds, at most the last ``settings.max_history`` positive behaviours.

        Args:
            users: the users' own ids, ``[n]``.
            items: the candidates' own ids, ``[n]``.
            context: a row a pair, with a column for each of :attr:`context_names`, if there are
                some; others are not looked at. A missing value, or one that was not in training,
                has a trained embedding of its own.
            history: behaviours since training. With it every user is known: one whom the training's
                log does not hold begins with what it holds of them, or with none. Its behaviours on
                items that the model does not know are left out.
            times: time of each pair, ``[n]``, read as a log's times and of their kind: behaviours
                of ``history`` count where they are of strictly earlier time. By default all do.
            item_features: features of the items that the model does not know: a table with a row
                an item, the columns of training and one of ids that is named as ``items`` is
                (``"item"`` of a list).
            user_features: likewise of users; without it they have no values.
            unknown: ``"refuse"`` users and items that the model does not know; ``"skip"`` them:
                their score is null; or ``"score"`` them: a user from an empty history, an item
                from its features (docs/saved-models.md says how).
            progress: show a progress bar.

        Returns:
            Float32 ``[n]``.

        Raises:
            InputError: if there are not as many users as items or times, an id is missing or
                refused, no pair is known, an unknown item is to be scored without its features, or
                a context column is missing or of another kind than in training.
        """
        return predict_pairs(
            self,
            users,
            items,
            context=context,
            history=history,
            times=times,
            item_features=item_features,
            user_features=user_features,
            unknown=unknown,
            progress=progress,
        )

    @property
    def context_names(self) -> list[str]:
        """The context columns that :meth:`predict` needs, as the training named them."""
        table = None if self.features is None else self.features.context
        return [] if table is None else list(table.features)

    def recommend(
        self,
        users: pl.Series | list[Any] | None = None,
        k: int = 20,
        *,
        candidates: pl.Series | list[Any] | None = None,
        include_seen: bool = False,
        retrieve: int | None = None,
        context: Mapping[str, Any] | None = None,
        history: BehaviorLog | None = None,
        progress: bool = False,
    ) -> pl.DataFrame:
        """The ``k`` items that :meth:`predict` scores highest for each user, of equal ones those
        that come first in :attr:`item_ids`.

        Every item is scored, its embedding and a user's history read once.

        Args:
            users: the users' own ids, each answered once; all that the model and ``history`` know
                if ``None``.
            k: how many a user; there are fewer rows where fewer items are left.
            candidates: own ids of the items to choose from; all if ``None``.
            include_seen: leave those in that stand in the user's stored history (the last
                ``settings.max_history`` positive behaviours) or in ``history``.
            retrieve: score so many candidates alone, found by the scores of a few anchors
                (:class:`~resemb_gnn.serving.AnchorScores`): many times faster for thousands of
                users, and not sure to find every one of the best.
            context: one value for each of :attr:`context_names`, if there are some, which holds
                for all users and items.
            history: behaviours since training, as :meth:`predict` has them. With it every user is
                known: one whom the training's log does not hold begins with what it holds of them,
                or with none, and has no values of features.
            progress: show a progress bar.

        Returns:
            ``user``, ``rank`` (from 1), ``item`` and ``score`` (click probability, float32), user
            by user in the order asked for, best first.

        Raises:
            InputError: if a user or candidate is unknown, a context value is missing or of another
                kind than in training, ``k`` is below 1 or ``retrieve`` below ``k``.
        """
        return recommend(
            self,
            users,
            k,
            candidates=candidates,
            include_seen=include_seen,
            retrieve=retrieve,
            context=context,
            history=history,
            progress=progress,
        )

    def evaluate(self, examples: Examples, *, progress: bool = False) -> Metrics:
        """AUC, GAUC and log loss of examples over this model's item numbers."""
        max_history = self.settings.max_history
        examples = examples.to(self.device)
        return evaluate(self.model, examples, max_history=max_history, progress=progress)

    def update(
        self,
        log: BehaviorLog,
        *,
        epochs: int = 1,
        replay: float | None = None,
        name: str = "the log",
        progress: bool = False,
        **changes: Any,
    ) -> "TrainedModel":
        """A model that also knows the rows of a later log, its users and its items; this one stays
        as it is.

        All that is known keeps what was learnt of it. The log's co-visits, among its own rows and
        with what the model keeps of their users, join the graph; a new item starts at its centres,
        by its co-visits and, where the graph holds features, by these
        (:meth:`~resemb_gnn.ResEmbedding.update`). Features of items and users are the log's where
        it has a table of them: items that came without a click are told apart by these.

        A value of a category or list that the model does not have gets a row of its own, which
        starts as the unknown value that it stood for, and weights in the linear part, which start
        at zero; every known value keeps its own. As in ``fit``, one that no training row has stays
        an unknown one, and so does every one without epochs. Scales of numbers and vectors, and
        node features of the graph, stay those that the model was fitted with.

        Then the model is trained on the new rows. Their newest tenth tests and the tenth before it
        validates, rows of one time by lot; the rows before each are its history, and held-out rows
        join the graph at the end. Of old rows a model keeps the users' last
        ``settings.max_history`` clicks, and neither their times nor impressions without a click:
        of a log without labels some can be trained on again.

        Args:
            log: the log, in numbers of its own, with the columns of training.
            epochs: at most so many passes over the new rows, the best by validation; 0 for none.
            replay: so many old behaviours, drawn from the histories, are trained on again for each
                new one. By default as many as new ones, and none with labels.
            name: how messages name the log.
            progress: show progress bars.
            **changes: settings of training by name, in place of the model's own:
                :data:`~resemb_gnn.saved.updating.CHANGEABLE`.

        Returns:
            The model. Its ``facts["figures"]`` are those of the new rows; ``untrained`` among them
            is the test before the training.

        Raises:
            InputError: if the model has another embedding than a Res-embedding, or one of
                categories or of features that are made anew of each graph; if a setting cannot be
                changed or is out of range; if the log is not of the training's kind or has too few
                rows to hold some out.
        """
        return update(
            self, log, epochs=epochs, replay=replay, name=name, progress=progress, **changes
        )

    @cached_property
    def index(self) -> ItemIndex:
        """Exact search among the item vectors."""
        return ItemIndex.of(self.embedding, self.item_ids)

    def similar(self, item_id: int | str, k: int = 10) -> pl.DataFrame:
        """The ``k`` items nearest to an item by the cosine of their embeddings, exactly: columns
        ``item_id`` and ``similarity``.

        Raises:
            InputError: if the item is unknown or ``k`` below 1.
        """
        number = number_ids(id_column([item_id], "item"), self.item_ids, "skip")[0]
        if number is None:
            raise InputError(f"item {shown(item_id)} is unknown to the model")
        return self.index.similar(self.item_ids[number], k)

    def save(self, folder: str | Path, *, replace: bool = False) -> None:
        """Writes the folder: :func:`~resemb_gnn.save`."""
        save(self, folder, replace=replace)

    def __repr__(self) -> str:
        return (
            f"TrainedModel({self.settings.embedding} in {type(self.model).__name__},"
            f" items={len(self.item_ids)}, users={len(self.histories.user_ids)},"
            f" test AUC={self.facts['figures']['test']['auc']:.4f})"
        )
