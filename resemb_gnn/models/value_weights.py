"""The linear part of features."""

import torch
from torch import Tensor, nn

from resemb_gnn.nn import HashedCrosses
from resemb_gnn.nn.embeddings.feature_part import places_of
from resemb_gnn.nn.layers.look_up import look_up

CROSS_BITS = 16
# A weight is a log-odds by itself, that no other layer enlarges: with steps as short as those of
# the network's weights, it would take an epoch of a small log to become .1. But all terms of an
# example step together: with 78 of them, each ten times as fast, the sum outruns what is learnt.
_FASTEST = 10.0
_TOGETHER = 100.0


class ValueWeights(nn.Module):
    r"""The linear part of features: :math:`\sum_f u_{x_f} + \sum_{f < g} u'_{(x_f, x_g)}` over the
    category features :math:`f` of candidate, user and row, pairs hashed as in
    :class:`~resemb_gnn.nn.HashedCrosses`; all zero at the start (the wide part of Cheng et al.,
    "Wide & Deep Learning for Recommender Systems", DLRS 2016).

    The weights are kept at a fraction of what they count, so that Adam, whose steps are as long for
    any of them, learns them faster than the network: ten times as fast, or so many times that a
    step of all :math:`n` terms of an example together moves the logit by 100 times the learning
    rate, :math:`100 / n`, if that is less.

    Pairs are hashed by numbers of their values, one feature after the other. Values that came since
    the model was fitted are numbered behind all of these, the features by turns: no number is
    another's, and none changes when further values come. The table of pairs stays as large as it
    is, so that a model that has grown much has more pairs that share a weight.

    Args:
        sizes: number of values of each feature.
        bits: the pairs of all of them share :math:`2^{bits}` weights, or the power of two from four
            times as many as there are pairs, if that is less.
        fitted: how many of the values, the first ones, the model was fitted with; ``None`` for all.

    Shapes:
        - **input:** values, int64 ``[n, num_features]``
        - **output:** ``[n]``
    """

    first_value: Tensor
    num_fitted: Tensor
    pairs: Tensor

    def __init__(
        self, sizes: list[int], bits: int = CROSS_BITS, fitted: list[int] | None = None
    ) -> None:
        super().__init__()
        self.sizes, self.bits = list(sizes), bits
        self.fitted = list(sizes if fitted is None else fitted)
        ends = torch.tensor(sizes).cumsum(0)
        self.register_buffer("first_value", ends - torch.tensor(sizes), persistent=False)
        self.register_buffer("num_fitted", torch.tensor(self.fitted), persistent=False)
        self.values = nn.Embedding(int(ends[-1]), 1)
        nn.init.zeros_(self.values.weight)
        places = torch.triu_indices(len(sizes), len(sizes), 1)
        self.register_buffer("pairs", places, persistent=False)
        pairs = (sum(self.fitted) ** 2 - sum(size**2 for size in self.fitted)) // 2
        self.scale = min(_FASTEST, _TOGETHER / (len(sizes) + places.size(1)))
        self.crosses = HashedCrosses(min(bits, max(1, (4 * pairs).bit_length())))

    @torch.no_grad()
    def over(self, sizes: list[int]) -> "ValueWeights":
        """The same weights with further values behind those of each feature, their weights zero."""
        if sizes == self.sizes:
            return self
        found = ValueWeights(sizes, self.bits, self.fitted).to(self.values.weight)
        own = self.values.weight
        found.values.weight[places_of(self.sizes, sizes).to(own.device)] = own
        found.values.requires_grad_(own.requires_grad)
        found.crosses = self.crosses
        return found.train(self.training)

    def _numbers(self, values: Tensor) -> Tensor:
        """The number of each value by which its pairs are hashed, int64 ``[n, num_features]``."""
        later = values - self.num_fitted
        turn = torch.arange(len(self.sizes), device=values.device)
        behind = sum(self.fitted) + later * len(self.sizes) + turn
        first = self.num_fitted.cumsum(0) - self.num_fitted
        return torch.where(later < 0, values + first, behind)

    def forward(self, values: Tensor) -> Tensor:
        # Transposed, as rows are selected faster than columns.
        rows = (values + self.first_value).t().contiguous()
        numbers = rows if self.fitted == self.sizes else self._numbers(values).t().contiguous()
        first, second = (numbers.index_select(0, place) for place in self.pairs)
        crosses = look_up(self.crosses.weight, self.crosses.bucket(first, second))
        linear = look_up(self.values, rows)
        return self.scale * (linear.sum(dim=0) + crosses.sum(dim=0)).squeeze(1)
