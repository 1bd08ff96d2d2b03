"""Product-based neural network."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from resemb_gnn.data import Batch, Features
from resemb_gnn.errors import InputError
from resemb_gnn.models.ctr_model import CTRModel, beside, per_candidate
from resemb_gnn.nn import BatchNorm, as_item_embedding, make_mlp
from resemb_gnn.nn.layers.segment import segment_index, segment_mean


class PNN(CTRModel):
    r"""Product-based neural network with inner products (IPNN; Qu et al., "Product-based Neural
    Networks for User Response Prediction", ICDM 2016).

    .. math::
        \hat y = \mathrm{MLP}(\mathrm{BN}([f_1, \dots, f_n, \langle f_i, f_j \rangle_{i \le j}]))

    The fields :math:`f` are the candidate's embedding :math:`q` and the mean of the history's
    embeddings :math:`v`, and with categories and features of items likewise those of candidate and
    history, and with features of users and rows these, all as wide as the item's embedding. The
    product is linear, so :math:`\langle q, v \rangle` is the mean of the products with each
    behaviour. The few products enter the first layer with a full weight matrix; the paper's
    factorisation of it is for many fields.

    Args:
        embedding: any module with ``embedding_dim`` that maps item ids to vectors.
        item_category: category of each item, int64 ``[num_items]``, as a second feature.
        features: what is known of items, users and rows (``log.features``).
        embed: embeddings for categories of the items by name (:class:`CTRModel`).
        hidden: hidden widths of the MLP.
        activation: ``"dice"``, ``"prelu"`` or ``"relu"``.

    Shapes:
        - **input:** :class:`~resemb_gnn.data.Batch`
        - **output:** logits of the click probability, ``[batch_size]``

    Raises:
        InputError: if an embedding of ``embed`` is not as wide as the item's.
    """

    shares_history = True

    def __init__(
        self,
        embedding: nn.Module,
        *,
        item_category: Tensor | None = None,
        features: Features | None = None,
        embed: Mapping[str, nn.Module] | None = None,
        hidden: tuple[int, ...] = (200, 80),
        activation: str = "dice",
    ) -> None:
        width = as_item_embedding(embedding).embedding_dim
        every = {name for _, table in (features or Features()).tables() for name in table.features}
        widths = dict.fromkeys(every - (embed or {}).keys(), width)
        super().__init__(embedding, item_category, features, widths, embed)
        for name, one in self.feature_embeddings.items():
            if one.embedding_dim != width:
                raise InputError(
                    f"the embedding of the feature {name!r} is {one.embedding_dim} wide, but PNN"
                    f" has features as wide as the items, {width}"
                )
        self.num_fields = (2 * self.feature_dim + self.side_dim) // width
        num_products = self.num_fields * (self.num_fields + 1) // 2
        dim = self.num_fields * width + num_products
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
        features = beside(torch.cat([pooled, items.index_select(0, target)], dim=1), side)
        fields = features.unflatten(1, (self.num_fields, -1))  # [batch_size, num_fields, dim]
        first, second = torch.triu_indices(self.num_fields, self.num_fields, device=items.device)
        products = (fields[:, first] * fields[:, second]).sum(dim=2)
        logit: Tensor = self.mlp(self.norm(torch.cat([features, products], dim=1))).squeeze(1)
        return self.add_values(logit, batch)
