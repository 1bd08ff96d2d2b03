"""Wide & Deep."""

from collections.abc import Mapping

from torch import Tensor, nn

from resemb_gnn.data import Batch, Features
from resemb_gnn.models.pooled_mlp import PooledMLP
from resemb_gnn.nn import HashedCrosses


class WideDeep(PooledMLP):
    r"""Wide & Deep (Cheng et al., "Wide & Deep Learning for Recommender Systems", DLRS 2016).

    .. math::
        \hat y = \mathrm{deep} + b_q + \sum_t w_{(q, k_t)} \;[ + \sum_t w'_{(c(q), c(k_t))} ]

    The deep part is :class:`PooledMLP`. The wide part is linear in the ids: a bias of the
    candidate, and a weight of each pair of candidate and behaviour, as the paper crosses the app
    shown with the apps installed; with categories, also of each pair of their categories. Features
    have the linear part that they have in every model (:class:`~resemb_gnn.models.CTRModel`). Pairs
    are hashed (:class:`~resemb_gnn.nn.HashedCrosses`). Unlike the paper, which trains the wide part
    by FTRL with L1, all of it is trained by the optimiser of the rest.

    Args:
        embedding: any module with ``embedding_dim`` and ``num_embeddings`` that maps item ids to
            vectors.
        item_category: category of each item, int64 ``[num_items]``, as a second feature.
        features: what is known of items, users and rows (``log.features``).
        widths: width of the embedding of a feature by its name.
        embed: embeddings for categories of the items by name (:class:`CTRModel`).
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
        embed: Mapping[str, nn.Module] | None = None,
        hidden: tuple[int, ...] = (200, 80),
        activation: str = "dice",
        cross_bits: int = 18,
    ) -> None:
        super().__init__(
            embedding,
            item_category=item_category,
            features=features,
            widths=widths,
            embed=embed,
            hidden=hidden,
            activation=activation,
        )
        self.item_bias = self.make_item_bias()
        self.item_crosses = HashedCrosses(cross_bits)
        self.category_crosses = None if item_category is None else HashedCrosses(cross_bits)
        self.value_weights = self.make_value_weights(cross_bits)

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
        return logit
