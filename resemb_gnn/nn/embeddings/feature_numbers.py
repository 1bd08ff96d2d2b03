"""Embeddings of features that are numbers, or vectors of them."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from resemb_gnn.data.features import Feature, FeatureTable
from resemb_gnn.nn.embeddings.feature_part import FeaturePart, Rows, values_of

BINS = 16


class NumberEmbeddings(FeaturePart):
    r"""The piecewise linear encoding of numbers (Gorishniy et al., "On Embeddings for Numerical
    Features in Tabular Deep Learning", NeurIPS 2022), times a matrix of each.

    .. math::
        z_t = \min\left(1, \max\left(0, \frac{x - b_{t-1}}{b_t - b_{t-1}}\right)\right),
        \qquad e = c + w + W z

    with the quantiles :math:`b` of the training rows, so that no outlier reaches beyond its bin. Of
    a missing number :math:`e = c`.

    A row is encoded as :math:`\sum_t z_t`, of which :math:`z` is a function, or -1 where the number
    is missing, float ``[n, num_features]``.
    """

    edges: Tensor
    floors: Tensor

    def __init__(self, features: Iterable[Feature], width: int) -> None:
        super().__init__([feature.name for feature in features], width)
        size = len(self.names)
        # The first row of each matrix is w.
        self.weight = nn.Parameter(torch.empty(size, BINS + 1, width))
        self.bias = nn.Parameter(torch.empty(size, 1, width))
        self.register_buffer("edges", torch.linspace(0, 1, BINS + 1).repeat(size, 1))
        self.register_buffer("floors", torch.arange(-1.0, BINS), persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        bound = BINS**-0.5  # as of torch.nn.Linear
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.zeros_(self.bias)

    def adapt(self, table: FeatureTable) -> None:
        for edges, values in zip(self.edges, values_of(table, self.names), strict=True):
            numbers = values[~values.isnan()].double().sort().values
            edges.copy_(torch.linspace(0, 1, BINS + 1))
            if numbers.numel():
                edges.copy_(numbers[quantile_places(numbers.numel()).to(numbers.device)])

    def encode(self, table: FeatureTable) -> Rows:
        x = torch.stack(values_of(table, self.names), dim=1)
        missing = x.isnan()
        x = torch.where(missing, 0.0, x)
        full = (x.unsqueeze(2) > self.edges[:, 1:-1]).sum(dim=2)  # bins that lie below the number
        place = full + torch.arange(len(self.names), device=x.device) * (BINS + 1)
        left, right = self.edges.flatten()[place], self.edges.flatten()[place + 1]
        # Of halves: a bin from the lowest number to the highest is wider than any number.
        part = ((x / 2 - left / 2) / (right / 2 - left / 2).clamp(min=5e-31)).clamp(0, 1)
        return (torch.where(missing, -1.0, full + part),)

    def forward(self, rows: Rows, dropped: Tensor | None, second: Tensor | None) -> Tensor:
        (x,) = rows
        if dropped is not None:
            x = torch.where(dropped, -1.0, x)
        z = (x.t().unsqueeze(2) - self.floors).clamp(0, 1)  # [num_features, n, BINS + 1]
        return torch.baddbmm(self.bias, z, self.weight).transpose(0, 1).flatten(1)


def quantile_places(size: int) -> Tensor:
    """Where the edges of the bins stand among so many sorted numbers, int64 ``[BINS + 1]``."""
    # In 64 bits: in 32, the last of more than 2**24 numbers may come out behind all.
    return torch.linspace(0, size - 1, BINS + 1, dtype=torch.float64).round().long()


class VectorEmbedding(FeaturePart):
    """A vector, standardised column by column over the training rows, times a matrix; one that is
    missing has a vector of its own. Rows are encoded as they are.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, feature: Feature, width: int) -> None:
        super().__init__([feature.name], width)
        size = feature.values.size(1)
        self.linear = nn.Linear(size, width)
        self.missing = nn.Parameter(torch.zeros(width))
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))

    def reset_parameters(self) -> None:
        self.linear.reset_parameters()
        nn.init.zeros_(self.missing)

    def adapt(self, table: FeatureTable) -> None:
        feature = table.features[self.names[0]]
        rows = feature.values[~feature.missing()].double()
        nn.init.zeros_(self.mean)
        nn.init.ones_(self.scale)
        if rows.size(0) > 1:
            self.mean.copy_(rows.mean(dim=0))
            # What varies by no more than 32 bits can tell is a constant, however small it is.
            constant = (1e-7 * rows.abs().amax(dim=0)).clamp(1e-30, 1e-6)
            spread = torch.maximum(rows.std(dim=0), constant)
            self.scale.copy_(spread.clamp(max=torch.finfo(torch.float32).max))

    def encode(self, table: FeatureTable) -> Rows:
        return tuple(values_of(table, self.names))

    def forward(self, rows: Rows, dropped: Tensor | None, second: Tensor | None) -> Tensor:
        (x,) = rows
        missing = x.isnan().any(dim=1, keepdim=True)
        if dropped is not None:
            missing = missing | dropped
        scaled = ((torch.where(missing, self.mean, x) - self.mean) / self.scale).clamp(-5, 5)
        return torch.where(missing, self.missing, self.linear(scaled))
