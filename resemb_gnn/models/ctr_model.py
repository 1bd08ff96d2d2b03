"""What the click models share."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from resemb_gnn.data import Batch, Examples, Features, FeatureTable
from resemb_gnn.errors import InputError, did_you_mean
from resemb_gnn.models.category import CategoryEmbedding
from resemb_gnn.models.known_features import KnownFeatures, check_embed
from resemb_gnn.models.replace_embedding import replace_embedding
from resemb_gnn.models.value_weights import CROSS_BITS, ValueWeights
from resemb_gnn.nn import ItemEmbedding, as_item_embedding
from resemb_gnn.nn.embeddings.feature_embedding import TableEmbedding
from resemb_gnn.nn.layers.unique_ids import unique_ids


class CTRModel(nn.Module):
    """Base class: scores the candidate of each example against the user's history.

    Subclasses write :meth:`score`; the distinct items of a batch are embedded once, here.

    Attributes:
        shares_history: whether :meth:`score` reads a history that several candidates share
            (``batch.candidates``) once for all of them. A class that does not say so, be it derived
            from one that does, is given each example with a history of its own.

    Args:
        embedding: any module with ``embedding_dim`` that maps item ids ``[*]`` to
            ``[*, embedding_dim]``. If it has ``penalty(ids)``, the training adds it to the loss.
        item_category: category of each item, int64 ``[num_items]``; its embedding, as wide as the
            item's, is a second feature of every item.
        features: what is known of items, users and rows (``log.features``). Those of items stand
            beside the item's embedding, for candidate and history alike; those of users and of the
            example's own row (``batch.context``) beside the interest. Values of the categories
            among those of candidate, user and row, and pairs of them, also have weights of their
            own in the logit (:class:`~resemb_gnn.models.ValueWeights`).
        widths: width of the embedding of a feature by its name; of the others by their number of
            values (:func:`~resemb_gnn.nn.width_of`).
        embed: embeddings for categories of the items by name, in place of tables: of the values,
            in the order of the feature's vocabulary, as ``embedding`` is of items, and trained as
            it is. That of ``log.of("author")``'s co-visit graph is one for the feature
            ``"author"``.

    Shapes:
        - **input:** :class:`~resemb_gnn.data.Batch`
        - **output:** logits of the click probability, ``[batch_size]``

    Raises:
        InputError: if the embedding has no ``embedding_dim``, or the features are of another number
            of items; if what is named in ``embed`` is no category of the items, or the embedding is
            of another number of values, or a width is named for it.
        IndexError: in ``forward``, if the embedding tells its ``num_embeddings`` and an item of the
            batch is none of them, as ``torch.nn.Embedding`` has it.
    """

    shares_history: bool = False
    replace_embedding = replace_embedding

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        own = vars(cls)
        if "score" in own and "shares_history" not in own:
            cls.shares_history = False

    def __init__(
        self,
        embedding: nn.Module,
        item_category: Tensor | None = None,
        features: Features | None = None,
        widths: Mapping[str, int] | None = None,
        embed: Mapping[str, nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.embedding = embedding
        items = self.items
        self.category: CategoryEmbedding | None = None
        if item_category is not None:
            self.category = CategoryEmbedding(
                item_category, items.embedding_dim, items.num_embeddings
            )
        features = features or Features()
        own = split_widths(features, widths or {})
        check_embed(features, embed or {})
        for name in embed or {}:
            if name in own["items"]:
                raise InputError(f"the width of {name!r} is that of its embedding: leave it out")
        self.known_items: KnownFeatures | None = None
        if features.items is not None:
            self.known_items = KnownFeatures(
                features.items, "items", items.num_embeddings, own["items"], embed
            )
        self.known_users: KnownFeatures | None = None
        if features.users is not None:
            self.known_users = KnownFeatures(features.users, "users", None, own["users"])
        self.context: TableEmbedding | None = None
        if features.context is not None:
            self.context = TableEmbedding(features.context, own["context"])
        self.value_weights = self.make_value_weights()
        self._compiled_score: Callable[..., Tensor] | None = None

    @property
    def items(self) -> ItemEmbedding:
        """What :attr:`embedding` offers; :meth:`replace_embedding` puts another in its place."""
        return as_item_embedding(self.embedding)

    @property
    def feature_embeddings(self) -> dict[str, ItemEmbedding]:
        """The embeddings that categories of the items have of their own, by name."""
        known = () if self.known_items is None else self.known_items.with_own
        return {one.name: one.items for one in known}

    @property
    def feature_dim(self) -> int:
        """Width of an item's features."""
        category = 0 if self.category is None else self.category.embedding_dim
        known = 0 if self.known_items is None else self.known_items.dim
        return self.items.embedding_dim + category + known

    @property
    def side_dim(self) -> int:
        """Width of the features of the user and of the example's own row."""
        users = 0 if self.known_users is None else self.known_users.dim
        return users + (0 if self.context is None else self.context.dim)

    def item_features(self, ids: Tensor, fold: int | None = None) -> Tensor:
        """What the model knows of items: embedding, category and features side by side.

        Args:
            ids: item ids, int64 ``[n]``.
            fold: as an :class:`~resemb_gnn.nn.ItemEmbedding` has it.

        Returns:
            ``[n, feature_dim]``.
        """
        items, others = self.items, self.feature_embeddings.values()
        # The folds may be those of a feature's graph alone.
        if items.user_fold is None and any(one.user_fold is not None for one in others):
            vectors: Tensor = items(ids)
        else:
            vectors = items(ids, fold)
        parts = [vectors]
        if self.category is not None:
            parts.append(self.category(ids))
        if self.known_items is not None:
            parts.append(self.known_items(ids, fold))
        return vectors if len(parts) == 1 else torch.cat(parts, dim=-1)

    def side_features(self, batch: Batch) -> Tensor | None:
        """What the model knows of the user and of the example's own row, ``[batch_size,
        side_dim]``; ``None`` if it knows nothing. What candidates share is embedded once.

        Raises:
            InputError: if the batch has no context, or a user that no features are known of.
        """
        if batch.candidates > 1:
            first = torch.arange(0, len(batch), batch.candidates, device=batch.user.device)
            side = self._side_features(
                batch.user[first],
                None if batch.row is None else batch.row[first],
                None if batch.context is None else batch.context[first],
            )
            return None if side is None else per_candidate(side, batch.candidates)
        return self._side_features(batch.user, batch.row, batch.context)

    def _side_features(
        self, user: Tensor, row: Tensor | None, context: FeatureTable | None
    ) -> Tensor | None:
        parts = []
        if self.known_users is not None:
            parts.append(self.known_users(user))
        if self.context is not None:
            if context is None:
                raise InputError(
                    "the model knows the context features"
                    f" {', '.join(self.context.names)}, but the batch has no context"
                )
            parts.append(self.context(context, row))
        return torch.cat(parts, dim=1) if parts else None

    def adapt(self, examples: Examples) -> None:
        """Learns from training examples which values of the features occur, and the scales of the
        numbers, so that nothing is learnt from rows to come. ``fit`` does so.
        """
        if self.known_items is not None:
            self.known_items.adapt(torch.cat([examples.past_items(), examples.target]).unique())
        if self.known_users is not None:
            self.known_users.adapt(examples.user.unique())
        if self.context is not None and examples.context is not None:
            assert examples.row is not None
            self.context.adapt(examples.context[examples.row.unique()])

    def forward(self, batch: Batch) -> Tensor:
        if not self.shares_history:
            batch = batch.expanded()
        both = torch.cat([batch.history, batch.target])
        ids, position = unique_ids(both, self.items.num_embeddings)
        with torch.autocast(ids.device.type, enabled=False):  # embeddings are summed in float32
            items = self.item_features(ids, batch.fold)
            side = self.side_features(batch)
        beside_them = () if side is None else (side,)  # a model of one's own may know of none
        history, target = position.split([batch.history.numel(), batch.target.numel()])
        if self.training and self._compiled_score is not None:
            return self._compiled_score(self, items, history, target, batch, *beside_them)
        return self.score(items, history, target, batch, *beside_them)

    def compile(self, **options: Any) -> None:
        """Has :meth:`score` compiled by ``torch.compile(**options)`` for training, in place.

        The sizes of a batch change from step to step: they are left open (``dynamic=True``). What
        finds and embeds the distinct items runs as it is, and so does evaluation.
        """
        self._compiled_score = torch.compile(type(self).score, **{"dynamic": True} | options)

    def score(
        self,
        items: Tensor,
        history: Tensor,
        target: Tensor,
        batch: Batch,
        side: Tensor | None = None,
    ) -> Tensor:
        """Logits ``[batch_size]``.

        Args:
            items: features of the batch's distinct items, ``[num_distinct, feature_dim]``.
            history: which of them each behaviour is, int64 ``[num_behaviors]``.
            target: which of them each candidate is, int64 ``[batch_size]``.
            batch: the batch itself; ``batch.candidates`` is 1 unless the class sets
                :attr:`shares_history`.
            side: features of the user and of the example's own row, ``[batch_size, side_dim]``.
        """
        raise NotImplementedError

    def make_item_bias(self) -> nn.Embedding:
        """A learnt bias an item, zero at the start.

        Raises:
            InputError: if the embedding does not tell its number of items.
        """
        size = self.items.num_embeddings
        if size is None:
            raise InputError(f"item_bias needs {type(self.embedding).__name__}.num_embeddings")
        bias = nn.Embedding(size, 1)
        nn.init.zeros_(bias.weight)
        return bias

    @property
    def value_sizes(self) -> list[int]:
        """Number of codes of each category among the features of candidate, user and row."""
        tables = (self.known_items, self.known_users, self.context)
        return [size for table in tables if table is not None for size in table.num_codes]

    def make_value_weights(self, bits: int = CROSS_BITS) -> ValueWeights | None:
        """The linear part of the features, if there are categories among them."""
        sizes, fitted = self.value_sizes, []
        for table in (self.known_items, self.known_users, self.context):
            fitted += [] if table is None else table.num_fitted_codes
        return ValueWeights(sizes, bits, fitted) if sizes else None

    def add_values(self, logit: Tensor, batch: Batch) -> Tensor:
        """Logits ``[batch_size]`` with the linear part of the features, if there is one."""
        if self.value_weights is None:
            return logit
        found = []
        if self.known_items is not None and self.known_items.num_codes:
            found.append(self.known_items.codes(batch.target))
        if self.known_users is not None and self.known_users.num_codes:
            found.append(self.known_users.codes(batch.user))
        if self.context is not None and self.context.num_codes:
            assert batch.context is not None
            found.append(self.context.codes(batch.context))
        values: Tensor = self.value_weights(torch.cat(found, dim=1))
        return logit + values

    def penalty(self, batch: Batch) -> Tensor | None:
        """The embedding's own penalty, if it has one, on the candidates of the batch; if it has
        ``penalizes_history`` set, on the histories too. Those of features' embeddings likewise.
        """
        items, ids = self.items, batch.target
        every = [items, *self.feature_embeddings.values()]
        history = batch.history[:0]
        if any(one.penalizes_history for one in every):
            history = batch.expanded().history
        found = [items.penalty(torch.cat([history, ids]) if items.penalizes_history else ids)]
        if self.known_items is not None:
            found += self.known_items.penalties(ids, history)
        terms = [one for one in found if one is not None]
        return sum(terms[1:], terms[0]) if terms else None


def per_candidate(of_histories: Tensor, candidates: int) -> Tensor:
    """What histories have (``[num_histories, dim]``) for each candidate of theirs, ``[num_histories
    * candidates, dim]``.
    """
    return of_histories.unsqueeze(1).expand(-1, candidates, -1).flatten(0, 1)


def beside(features: Tensor, side: Tensor | None) -> Tensor:
    """The features with those of user and row behind them."""
    return features if side is None else torch.cat([features, side], dim=1)


def split_widths(features: Features, widths: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """The widths of the features of each table, by the table's name.

    Raises:
        InputError: if a width is named for a feature that there is not.
    """
    found = {
        place: {name: widths[name] for name in table.features if name in widths}
        for place, table in features.tables()
    }
    known = {name for _, table in features.tables() for name in table.features}
    for name in widths:
        if name not in known:
            raise InputError(f"there is no feature {name!r}{did_you_mean(name, known)}")
    return found
