"""What the click models share."""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from resemb_gnn.data import Batch
from resemb_gnn.errors import InputError
from resemb_gnn.models.category import WithCategory
from resemb_gnn.nn.layers.unique_ids import unique_ids


class CTRModel(nn.Module):
    """Base class: scores the candidate of each example against the user's history.

    Subclasses write :meth:`score`; the distinct items of a batch are embedded once, here.

    Args:
        embedding: any module with ``embedding_dim`` that maps item ids ``[*]`` to
            ``[*, embedding_dim]``. If it has ``penalty(ids)``, the training adds it to the loss.
        item_category: category of each item, int64 ``[num_items]``; its embedding, as wide as the
            item's, is a second feature of every item.

    Shapes:
        - **input:** :class:`~resemb_gnn.data.Batch`
        - **output:** logits of the click probability, ``[batch_size]``

    Raises:
        InputError: if the embedding has no ``embedding_dim``.
        IndexError: in ``forward``, if the embedding tells its ``num_embeddings`` and an item of the
            batch is none of them, as ``torch.nn.Embedding`` has it.
    """

    def __init__(self, embedding: nn.Module, item_category: Tensor | None = None) -> None:
        super().__init__()
        if not isinstance(getattr(embedding, "embedding_dim", None), int):
            raise InputError(f"{type(embedding).__name__} has no embedding_dim")
        self.embedding = embedding
        self.features = embedding
        self._compiled_score: Callable[..., Tensor] | None = None
        if item_category is not None:
            width = cast(int, embedding.embedding_dim)
            self.features = WithCategory(embedding, item_category, width)

    @property
    def feature_dim(self) -> int:
        """Width of an item's features."""
        return cast(int, self.features.embedding_dim)

    def forward(self, batch: Batch) -> Tensor:
        both = torch.cat([batch.history, batch.target])
        ids, position = unique_ids(both, getattr(self.embedding, "num_embeddings", None))
        # Only an embedding that knows folds (it has user_fold) is trained on batches of one.
        options = {} if batch.fold is None else {"fold": batch.fold}
        with torch.autocast(ids.device.type, enabled=False):  # embeddings are summed in float32
            items = self.features(ids, **options)
        history, target = position.split([batch.history.numel(), batch.target.numel()])
        if self.training and self._compiled_score is not None:
            return self._compiled_score(self, items, history, target, batch)
        return self.score(items, history, target, batch)

    def compile(self, **options: Any) -> None:
        """Has :meth:`score` compiled by ``torch.compile(**options)`` for training, in place.

        The sizes of a batch change from step to step: they are left open (``dynamic=True``). What
        finds and embeds the distinct items runs as it is, and so does evaluation.
        """
        self._compiled_score = torch.compile(type(self).score, **{"dynamic": True} | options)

    def score(self, items: Tensor, history: Tensor, target: Tensor, batch: Batch) -> Tensor:
        """Logits ``[batch_size]``.

        Args:
            items: features of the batch's distinct items, ``[num_distinct, feature_dim]``.
            history: which of them each behaviour is, int64 ``[num_behaviors]``.
            target: which of them each candidate is, int64 ``[batch_size]``.
            batch: the batch itself.
        """
        raise NotImplementedError

    def make_item_bias(self) -> nn.Embedding:
        """A learnt bias an item, zero at the start.

        Raises:
            InputError: if the embedding does not tell its number of items.
        """
        if not hasattr(self.embedding, "num_embeddings"):
            raise InputError(f"item_bias needs {type(self.embedding).__name__}.num_embeddings")
        bias = nn.Embedding(cast(int, self.embedding.num_embeddings), 1)
        nn.init.zeros_(bias.weight)
        return bias

    def penalty(self, batch: Batch) -> Tensor | None:
        """The embedding's own penalty, if it has one, on the candidates of the batch; if it has
        ``penalizes_history`` set, on the histories too.
        """
        penalty = getattr(self.embedding, "penalty", None)
        if penalty is None:
            return None
        ids = batch.target
        if getattr(self.embedding, "penalizes_history", False):
            ids = torch.cat([batch.history, ids])
        return cast("Tensor | None", penalty(ids))
