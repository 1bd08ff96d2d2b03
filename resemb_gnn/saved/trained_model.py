"""A trained model with all that it takes to use it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from resemb_gnn.data import Examples, Features
from resemb_gnn.data.features import FeatureTable
from resemb_gnn.errors import InputError, check_lengths, shown
from resemb_gnn.io.frame import Frame, naming, read_columns
from resemb_gnn.io.ids import id_column
from resemb_gnn.models import CTRModel
from resemb_gnn.saved.histories import Histories
from resemb_gnn.saved.ids import number_ids
from resemb_gnn.saved.recommending import recommend
from resemb_gnn.saved.saving import save
from resemb_gnn.serving import ItemIndex
from resemb_gnn.settings import FitSettings
from resemb_gnn.training import Metrics, check_device, evaluate, predict


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
        unknown: str = "refuse",
        progress: bool = False,
    ) -> pl.Series:
        """Click probability of each pair of user and candidate item.

        A user's history is all that the log held of them, at most the last
        ``settings.max_history`` positive behaviours.

        Args:
            users: the users' own ids, ``[n]``.
            items: the candidates' own ids, ``[n]``.
            context: a row a pair, with a column for each of :attr:`context_names`, if there are
                some; others are not looked at. A missing value, or one that was not in training,
                has a trained embedding of its own.
            unknown: ``"refuse"`` users and items that the model does not know, or ``"skip"``
                them: their score is null.
            progress: show a progress bar.

        Returns:
            Float32 ``[n]``.

        Raises:
            InputError: if there are not as many users as items, an id is missing or refused, no
                pair is known, or a context column is missing or of another kind than in training.
        """
        users, items = id_column(users, "user"), id_column(items, "item")
        check_lengths(users=users, items=items)
        user = number_ids(users, self.histories.user_ids, unknown)
        item = number_ids(items, self.item_ids, unknown)
        rows = self._context_of(context, len(users))
        known = (user.is_not_null() & item.is_not_null()).to_numpy()
        examples = self.histories.examples(
            torch.from_numpy(user.to_numpy()[known].astype(np.int64)),
            torch.from_numpy(item.to_numpy()[known].astype(np.int64)),
        )
        if rows is not None:
            place = torch.from_numpy(known.nonzero()[0])
            examples = replace(examples, row=place, context=rows)
        score = np.full(len(user), np.nan, dtype=np.float32)
        logit = predict(
            self.model,
            examples.to(self.device),
            max_history=self.settings.max_history,
            progress=progress,
        )
        score[known] = logit.sigmoid().cpu().numpy()
        return pl.Series("score", score, nan_to_null=True)

    @property
    def context_names(self) -> list[str]:
        """The context columns that :meth:`predict` needs, as the training named them."""
        table = None if self.features is None else self.features.context
        return [] if table is None else list(table.features)

    def _context_of(self, frame: "Frame | None", size: int) -> FeatureTable | None:
        if self.features is None or self.features.context is None:
            return None
        table = self.features.context
        if frame is None:
            raise InputError(
                f"the model was trained with context: give a frame with {shown(self.context_names)}"
            )
        found = read_columns(frame, self.context_names)
        check_lengths(users=range(size), context=found)
        with naming("the context"):
            return table.encode(found, self.settings.list_separator)

    def recommend(
        self,
        users: pl.Series | list[Any] | None = None,
        k: int = 20,
        *,
        candidates: pl.Series | list[Any] | None = None,
        include_seen: bool = False,
        retrieve: int | None = None,
        context: Mapping[str, Any] | None = None,
        progress: bool = False,
    ) -> pl.DataFrame:
        """The ``k`` items that :meth:`predict` scores highest for each user, of equal ones those
        that come first in :attr:`item_ids`.

        Every item is scored, its embedding and a user's history read once.

        Args:
            users: the users' own ids, each answered once; all that the model knows if ``None``.
            k: how many a user; there are fewer rows where fewer items are left.
            candidates: own ids of the items to choose from; all if ``None``.
            include_seen: leave those in that stand in the user's stored history (the last
                ``settings.max_history`` positive behaviours).
            retrieve: score so many candidates alone, found by the scores of a few anchors
                (:class:`~resemb_gnn.serving.AnchorScores`): many times faster for thousands of
                users, and not sure to find every one of the best.
            context: one value for each of :attr:`context_names`, if there are some, which holds
                for all users and items.
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
            progress=progress,
        )

    def evaluate(self, examples: Examples, *, progress: bool = False) -> Metrics:
        """AUC, GAUC and log loss of examples over this model's item numbers."""
        max_history = self.settings.max_history
        examples = examples.to(self.device)
        return evaluate(self.model, examples, max_history=max_history, progress=progress)

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
