"""Deep Interest Evolution Network."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from resemb_gnn.data import Batch, Features
from resemb_gnn.errors import InputError
from resemb_gnn.models.ctr_model import CTRModel, beside, per_candidate
from resemb_gnn.nn import AUGRU, BatchNorm, make_mlp
from resemb_gnn.nn.layers.packing import pack, permute
from resemb_gnn.nn.layers.segment import repeat_rows, segment_index, segment_mean, segment_softmax


class DIEN(CTRModel):
    r"""Deep Interest Evolution Network (Zhou et al., AAAI 2019) over jagged histories.

    .. math::
        h_t = \mathrm{GRU}(k_1, \dots, k_t), \qquad
        a_t = \mathrm{softmax}_t(h_t^\top W q), \qquad
        h' = \mathrm{AUGRU}(h, a)_{\mathrm{last}} \\
        \hat y = \mathrm{MLP}(\mathrm{BN}([h', q, v, q \odot v]))

    with :math:`q` the candidate's features, :math:`k_t` the behaviours' and :math:`v` their mean
    (the authors' code has their sum); zeros for an empty history. In training the auxiliary loss

    .. math::
        L = -\mathrm{mean}_t \big[ \log \sigma(\langle h_t, k_{t+1} \rangle)
            + \log(1 - \sigma(\langle h_t, \bar k_{t+1} \rangle)) \big]

    over all behaviours that have a next one (the paper sums those of a user) is part of
    :meth:`penalty`. The negative :math:`\bar k` is one of the batch's behaviours, drawn uniformly,
    hence in proportion to the items' popularity as in the authors' code; where it is the next item
    itself, its term is left out. ``torch.manual_seed`` governs the draws.

    Args:
        embedding: any module with ``embedding_dim`` that maps item ids to vectors.
        item_category: category of each item, int64 ``[num_items]``, as a second feature.
        features: what is known of items, users and rows (``log.features``).
        widths: width of the embedding of a feature by its name.
        embed: embeddings for categories of the items by name (:class:`CTRModel`).
        hidden: hidden widths of the MLP.
        activation: ``"dice"``, ``"prelu"`` or ``"relu"``.
        auxiliary_weight: weight of the auxiliary loss; 0 for none.

    Shapes:
        - **input:** :class:`~resemb_gnn.data.Batch`
        - **output:** logits of the click probability, ``[batch_size]``

    Raises:
        InputError: if ``auxiliary_weight`` is below 0.
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
        auxiliary_weight: float = 1.0,
    ) -> None:
        super().__init__(embedding, item_category, features, widths, embed)
        if not auxiliary_weight >= 0:
            raise InputError(f"auxiliary_weight must be at least 0, not {auxiliary_weight}")
        dim = self.feature_dim
        self.auxiliary_weight = auxiliary_weight
        self.extractor = AUGRU(dim, dim)  # a GRU, as no attention is given
        self.attention = nn.Linear(dim, dim, bias=False)
        self.evolution = AUGRU(dim, dim)
        width = 4 * dim + self.side_dim
        self.norm = BatchNorm(width)
        self.mlp = make_mlp(width, hidden, activation)
        self._auxiliary_loss: Tensor | None = None

    def score(
        self,
        items: Tensor,
        history: Tensor,
        target: Tensor,
        batch: Batch,
        side: Tensor | None = None,
    ) -> Tensor:
        owner = segment_index(batch.ptr, history.numel())
        query = items.index_select(0, target)
        behavior = items.index_select(0, history)
        interest = torch.zeros_like(query)
        self._auxiliary_loss = None
        if history.numel():
            order, place, sizes = pack(batch.ptr, history.numel())
            packed = self.extractor(permute(behavior, order, place), sizes)
            states = permute(packed, place, order)  # in the order of the batch again
            if self.training and self.auxiliary_weight > 0:
                self._auxiliary_loss = self._next_behavior_loss(
                    states, behavior, owner, batch.history
                )
            pairs, ptr = batch.pairs()
            if batch.candidates > 1:  # each candidate has an evolution of its own
                order, place, sizes = pack(ptr, pairs.numel())
                states = states.index_select(0, pairs)
                packed = permute(states, order, place)
            example = segment_index(ptr, pairs.numel())
            key = repeat_rows(self.attention(query), ptr, example)
            weight = segment_softmax((states * key).sum(dim=1), ptr, example)
            evolved = self.evolution(packed, sizes, permute(weight, order, place))
            filled = ptr.diff().nonzero().flatten()
            last = place[ptr[1:][filled] - 1]
            interest = interest.index_copy(0, filled, evolved.index_select(0, last))
        pooled = per_candidate(segment_mean(behavior, batch.ptr, owner), batch.candidates)
        features = torch.cat([interest, query, pooled, query * pooled], dim=1)
        logit: Tensor = self.mlp(self.norm(beside(features, side))).squeeze(1)
        return self.add_values(logit, batch)

    def _next_behavior_loss(
        self, states: Tensor, behavior: Tensor, example: Tensor, history: Tensor
    ) -> Tensor | None:
        counts = example[1:] == example[:-1]  # the next row is the next behaviour
        if not counts.any():
            return None
        state, following = states[:-1], history[1:]
        drawn = torch.randint(history.numel(), following.shape, device=following.device)
        positive = (state * behavior[1:]).sum(dim=1)
        negative = (state * behavior.index_select(0, drawn)).sum(dim=1)
        differs = history[drawn] != following
        loss = softplus(-positive) + softplus(negative) * differs
        return (loss * counts).sum() / counts.sum()

    def penalty(self, batch: Batch) -> Tensor | None:
        """The embedding's own penalty on the candidates of the batch plus, after a forward pass in
        training, the weighted auxiliary loss of that pass (handed out once).
        """
        penalty, auxiliary = super().penalty(batch), self._auxiliary_loss
        self._auxiliary_loss = None
        if auxiliary is None:
            return penalty
        auxiliary = self.auxiliary_weight * auxiliary
        return auxiliary if penalty is None else penalty + auxiliary

    def __getstate__(self) -> dict[str, Any]:
        # A copy of the model is not in the middle of a step.
        return {**self.__dict__, "_auxiliary_loss": None}
