"""Deep Interest Network."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from resemb_gnn.data import Batch, Features
from resemb_gnn.models.ctr_model import CTRModel, beside
from resemb_gnn.nn import BatchNorm, DINAttention, make_mlp
from resemb_gnn.settings import TrainingSettings


class DIN(CTRModel):
    r"""Deep Interest Network (Zhou et al., KDD 2018) over jagged histories.

    .. math::
        \hat y = \mathrm{MLP}(\mathrm{BN}([v, q, v \odot q]))

    with :math:`q` the candidate's features and :math:`v` the user's interest in it from
    :class:`~resemb_gnn.nn.DINAttention`. Batch normalisation is shared by positive and negative
    examples (statistics of each apart would tell the label). Features have a linear part, too
    (:class:`~resemb_gnn.models.ValueWeights`).

    Args:
        embedding: any module with ``embedding_dim`` that maps item ids to vectors:
            ``torch.nn.Embedding``, :class:`~resemb_gnn.ResEmbedding` or your own.
        item_category: category of each item, int64 ``[num_items]``, as a second feature.
        features: what is known of items, users and rows (``log.features``).
        widths: width of the embedding of a feature by its name.
        embed: embeddings for categories of the items by name (:class:`CTRModel`).
        attention_hidden: hidden widths of the local activation unit.
        hidden: hidden widths of the MLP.
        activation: ``"dice"``, ``"prelu"`` or ``"relu"``.
        attention_normalization: ``"softmax"``, or ``"none"``, as in the paper.
        item_bias: add a learnt bias of the candidate item.

    Shapes:
        - **input:** :class:`~resemb_gnn.data.Batch`
        - **output:** logits of the click probability, ``[batch_size]``

    Examples:
        >>> import torch
        >>> import resemb_gnn as rg
        >>> split = rg.InterestDelayModel(num_users=50, num_items=30).sample().split(by="last")
        >>> model = rg.DIN(torch.nn.Embedding(30, 8))  # a plain table, to compare with
        >>> batch = split.train.batch(torch.arange(4))  # 4 examples, histories of any length
        >>> model(batch).shape
        torch.Size([4])
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
        attention_hidden: tuple[int, ...] = (36,),
        hidden: tuple[int, ...] = (200, 80),
        activation: str = "dice",
        attention_normalization: str = TrainingSettings.attention,
        item_bias: bool = False,
    ) -> None:
        super().__init__(embedding, item_category, features, widths, embed)
        dim = self.feature_dim
        self.attention = DINAttention(dim, attention_hidden, activation, attention_normalization)
        width = 3 * dim + self.side_dim
        self.norm = BatchNorm(width)
        self.mlp = make_mlp(width, hidden, activation)
        self.item_bias = self.make_item_bias() if item_bias else None

    def score(
        self,
        items: Tensor,
        history: Tensor,
        target: Tensor,
        batch: Batch,
        side: Tensor | None = None,
    ) -> Tensor:
        query = items.index_select(0, target)
        interest = self.attention(query, items, history, batch.ptr, batch.candidates)
        features = torch.cat([interest, query, interest * query], dim=1)  # [batch_size, 3 * dim]
        logit: Tensor = self.mlp(self.norm(beside(features, side))).squeeze(1)
        if self.item_bias is not None:
            logit = logit + self.item_bias(batch.target).squeeze(1)
        return self.add_values(logit, batch)
