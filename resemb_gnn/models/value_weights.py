"""The linear part of features."""

import torch
from torch import Tensor, nn

from resemb_gnn.nn import HashedCrosses

CROSS_BITS = 18
# A weight is a log-odds by itself, that no other layer enlarges: with steps as short as those of
# the network's weights, it would take an epoch of a small log to become .1.
_SCALE = 10.0


class ValueWeights(nn.Module):
    r"""The linear part of features: :math:`\sum_f u_{x_f} + \sum_{f < g} u'_{(x_f, x_g)}` over the
    category features :math:`f` of candidate, user and row, pairs hashed as in
    :class:`~resemb_gnn.nn.HashedCrosses`; all zero at the start (the wide part of Cheng et al.,
    "Wide & Deep Learning for Recommender Systems", DLRS 2016).

    The weights are kept at a tenth of what they count, so that Adam, whose steps are as long for
    any of them, learns them ten times as fast as the network.

    Args:
        sizes: number of values of each feature.
        bits: the pairs of all of them share :math:`2^{bits}` weights, or the power of two from four
            times as many as there are pairs, if that is less.

    Shapes:
        - **input:** values, int64 ``[n, num_features]``
        - **output:** ``[n]``
    """

    first_value: Tensor

    def __init__(self, sizes: list[int], bits: int = CROSS_BITS) -> None:
        super().__init__()
        ends = torch.tensor(sizes).cumsum(0)
        # Values of all features are numbered one after the other, so that no two pairs are alike.
        self.register_buffer("first_value", ends - torch.tensor(sizes), persistent=False)
        self.values = nn.Embedding(int(ends[-1]), 1)
        nn.init.zeros_(self.values.weight)
        pairs = (sum(sizes) ** 2 - sum(size**2 for size in sizes)) // 2
        self.crosses = HashedCrosses(min(bits, max(1, (4 * pairs).bit_length())))

    def forward(self, values: Tensor) -> Tensor:
        values = values + self.first_value
        size = values.size(1)
        first, second = torch.triu_indices(size, size, 1, device=values.device)
        pairs = self.crosses.bucket(values[:, first], values[:, second])
        linear: Tensor = self.values(values).flatten(1).sum(dim=1)
        return _SCALE * (linear + self.crosses.weight(pairs).flatten(1).sum(dim=1))
