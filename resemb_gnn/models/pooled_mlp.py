"""The base model of the DIN paper."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from resemb_gnn.data import Batch, Features
from resemb_gnn.models.ctr_model import CTRModel, beside, per_candidate
from resemb_gnn.nn import BatchNorm, make_mlp
from resemb_gnn.nn.layers.segment import segment_index, segment_mean


class PooledMLP(CTRModel):
    r"""Embedding & MLP, the base model of Zhou et al. ("Deep Interest Network for Click-Through
    Rate Prediction", KDD 2018): the history is pooled whatever the candidate.

    .. math::
        \hat y = \mathrm{MLP}(\mathrm{BN}([v, q])), \qquad v = \mathrm{mean}_t\, k_t

    with :math:`q` the candidate's features and :math:`k_t` the behaviours'; zeros for an empty
    history.

    Args:
        embedding: any module with ``embedding_dim`` that maps item ids to vectors.
        item_category: category of each item, int64 ``[num_items]``, as a second feature.
        features: what is known of items, users and rows (``log.features``).
        widths: width of the embedding of a feature by its name.
        embed: embeddings for categories of the items by name (:class:`CTRModel`).
        hidden: hidden widths of the MLP.
        activation: ``"dice"``, ``"prelu"`` or ``"relu"``.

    Shapes:
        - **input:** :class:`~resemb_gnn.data.Batch`
        - **output:** logits of the click probability, ``[batch_size]``
    """

    shares_history = True

    def __init__(
        self,
        embedding: nn.Module,
        *,
        item_category: Tensor | None = None,
        features: Features | None = None,
        widths: Mapping[str, int] | None = None,
        embed: Mapping[str, nn.Module] | None = None,
        hidden: tuple[int, ...] = (200, 80),
        activation: str = "dice",
    ) -> None:
        super().__init__(embedding, item_category, features, widths, embed)
        dim = 2 * self.feature_dim + self.side_dim
        self.norm = BatchNorm(dim)
        self.mlp = make_mlp(dim, hidden, activation)

    def score(
        self,
        items: Tensor,
        history: Tensor,
        target: Tensor,
        batch: Batch,
        side: Tensor | None = None,
    ) -> Tensor:
        behavior = items.index_select(0, history)
        pooled = segment_mean(behavior, batch.ptr, segment_index(batch.ptr, history.numel()))
        pooled = per_candidate(pooled, batch.candidates)
        features = torch.cat([pooled, items.index_select(0, target)], dim=1)
        logit: Tensor = self.mlp(self.norm(beside(features, side))).squeeze(1)
        return self.add_values(logit, batch)
