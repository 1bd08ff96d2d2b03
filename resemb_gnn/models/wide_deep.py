"""Wide & Deep."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from resemb_gnn.data import Batch, Features
from resemb_gnn.models.pooled_mlp import PooledMLP
from resemb_gnn.nn import HashedCrosses


class WideDeep(PooledMLP):
    r"""Wide & Deep (Cheng et al., "Wide & Deep Learning for Recommender Systems", DLRS 2016).

    .. math::
        \hat y = \mathrm{deep} + b_q + \sum_t w_{(q, k_t)} \;[ + \sum_t w'_{(c(q), c(k_t))} ]
            \;[ + \sum_f u_{x_f} + \sum_{f < g} u'_{(x_f, x_g)} ]

    The deep part is :class:`PooledMLP`. The wide part is linear in the ids: a bias of the
    candidate, and a weight of each pair of candidate and behaviour, as the paper crosses the app
    shown with the apps installed; with categories, also of each pair of their categories. With
    features it has a weight :math:`u` of each value :math:`x_f` of the category features
    :math:`f` of candidate, user and row, and one of each pair of values of two of them. Pairs are
    hashed (:class:`~resemb_gnn.nn.HashedCrosses`). Unlike the paper, which trains the wide part
    by FTRL with L1, all of it is trained by the optimiser of the rest.

    Args:
        embedding: any module with ``embedding_dim`` and ``num_embeddings`` that maps item ids to
            vectors.
        item_category: category of each item, int64 ``[num_items]``, as a second feature.
        features: what is known of items, users and rows (``log.features``).
        widths: width of the embedding of a feature by its name.
        hidden: hidden widths of the MLP.
        activation: ``"dice"``, ``"prelu"`` or ``"relu"``.
        cross_bits: the crosses of items share :math:`2^{bits}` weights, and so do those of
            categories, and those of features.

    Shapes:
        - **input:** :class:`~resemb_gnn.data.Batch`
        - **output:** logits of the click probability, ``[batch_size]``

    Raises:
        InputError: if the embedding has no ``num_embeddings``, or ``cross_bits`` is out of range.
    """

    shares_history = True

    def __init__(
        self,
        embedding: nn.Module,
        *,
        item_category: Tensor | None = None,
        features: Features | None = None,
        widths: Mapping[str, int] | None = None,
        hidden: tuple[int, ...] = (200, 80),
        activation: str = "dice",
        cross_bits: int = 18,
    ) -> None:
        super().__init__(
            embedding,
            item_category=item_category,
            features=features,
            widths=widths,
            hidden=hidden,
            activation=activation,
        )
        self.item_bias = self.make_item_bias()
        self.item_crosses = HashedCrosses(cross_bits)
        self.category_crosses = None if item_category is None else HashedCrosses(cross_bits)
        known = (self.known_items, self.known_users)
        tables = [one.embedding for one in known if one is not None]
        tables += [] if self.context is None else [self.context]
        self.value_weights: ValueWeights | None = None
        sizes = [size for table in tables for size in table.num_codes]
        if sizes:
            self.value_weights = ValueWeights(sizes, cross_bits)

    def score(
        self,
        items: Tensor,
        history: Tensor,
        target: Tensor,
        batch: Batch,
        side: Tensor | None = None,
    ) -> Tensor:
        logit = super().score(items, history, target, batch, side)
        logit = logit + self.item_bias(batch.target).squeeze(1)
        place, ptr = batch.pairs()
        behavior = batch.history.index_select(0, place)
        logit = logit + self.item_crosses(batch.target, behavior, ptr)
        if self.category_crosses is not None:
            assert self.category is not None
            category = self.category.item_category
            pair = (category.index_select(0, ids) for ids in (batch.target, behavior))
            logit = logit + self.category_crosses(*pair, ptr)
        if self.value_weights is not None:
            logit = logit + self.value_weights(self._codes(batch))
        return logit

    def _codes(self, batch: Batch) -> Tensor:
        """Codes of the category features of candidates, users and rows, ``[batch_size, n]``."""
        found = []
        if self.known_items is not None and self.known_items.embedding.num_codes:
            found.append(self.known_items.codes(batch.target))
        if self.known_users is not None and self.known_users.embedding.num_codes:
            found.append(self.known_users.codes(batch.user))
        if self.context is not None and self.context.num_codes:
            assert batch.context is not None
            found.append(self.context.codes(batch.context))
        return torch.cat(found, dim=1)


class ValueWeights(nn.Module):
    r"""The linear part of features: :math:`\sum_f u_{x_f} + \sum_{f < g} u'_{(x_f, x_g)}`, pairs
    hashed as in :class:`~resemb_gnn.nn.HashedCrosses`; all zero at the start.

    Args:
        sizes: number of values of each feature.
        bits: the pairs of all of them share :math:`2^{bits}` weights.

    Shapes:
        - **input:** values, int64 ``[n, num_features]``
        - **output:** ``[n]``
    """

    first_value: Tensor

    def __init__(self, sizes: list[int], bits: int) -> None:
        super().__init__()
        ends = torch.tensor(sizes).cumsum(0)
        # Values of all features are numbered one after the other, so that no two pairs are alike.
        self.register_buffer("first_value", ends - torch.tensor(sizes), persistent=False)
        self.values = nn.Embedding(int(ends[-1]), 1)
        nn.init.zeros_(self.values.weight)
        self.crosses = HashedCrosses(bits)

    def forward(self, values: Tensor) -> Tensor:
        values = values + self.first_value
        size = values.size(1)
        first, second = torch.triu_indices(size, size, 1, device=values.device)
        pairs = self.crosses.bucket(values[:, first], values[:, second])
        linear: Tensor = self.values(values).flatten(1).sum(dim=1)
        return linear + self.crosses.weight(pairs).flatten(1).sum(dim=1)
