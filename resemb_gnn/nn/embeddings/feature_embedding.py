"""Embeddings of features: a vector for each value, and for values that are missing or unknown."""

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from resemb_gnn.data.features import MISSING, UNKNOWN, Feature, FeatureTable
from resemb_gnn.errors import InputError, did_you_mean
from resemb_gnn.nn.encoders.guarded_buffer import register_guarded_buffer
from resemb_gnn.nn.layers.segment import segment_index, segment_mean

_BINS = 16
_WIDTHS = (4, 8, 16, 32)


def width_of(feature: Feature) -> int:
    """Width of a feature's embedding: the fourth root of its number of values (the rule of thumb of
    TensorFlow's feature columns), rounded up to 4, 8, 16 or 32; 4 for a number, and for a vector as
    wide as it is, but at most 32.
    """
    if feature.kind == "numeric":
        return _WIDTHS[0]
    if feature.kind == "vector":
        return min(_WIDTHS[-1], feature.values.size(1))
    return next((width for width in _WIDTHS if width**4 >= feature.num_codes), _WIDTHS[-1])


class FeatureEmbedding(nn.Module):
    """Base class: the embedding of one feature.

    Args:
        feature: the feature, whose vocabulary or numbers it is made for.
        dim: width of the embedding.

    Shapes:
        - **input:** rows of the feature, ``[n]``; which of them are treated as if their value were
          not there, int64 ``[n]`` (0: it counts; 1 or 2: it is dropped) or ``None``
        - **output:** ``[n, dim]``
    """

    def __init__(self, feature: Feature, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def adapt(self, feature: Feature) -> None:
        """Learns from the rows of training what scale its numbers have, or which values occur."""
        raise NotImplementedError

    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        raise NotImplementedError

    def forward(self, feature: Feature, dropped: Tensor | None = None) -> Tensor:
        raise NotImplementedError


class CodeEmbedding(FeatureEmbedding):
    """The embedding of a ``category``, or the mean of those of a ``list``.

    A value that no row of training had is treated as an unknown one. What is dropped in training
    becomes an unknown value or, where training has no missing ones, every other time a missing one,
    so that the embeddings of both are trained.
    """

    code: Tensor
    has_missing: Tensor

    def __init__(self, feature: Feature, dim: int) -> None:
        super().__init__(feature, dim)
        self.table = nn.Embedding(feature.num_codes, dim)
        # What each code is taken for.
        self.register_buffer("code", torch.arange(feature.num_codes))
        self.register_buffer("has_missing", torch.tensor(False))
        self.adapt(feature)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.normal_(self.table.weight, std=0.01)

    def adapt(self, feature: Feature) -> None:
        seen = feature.values.bincount(minlength=self.code.numel()) > 0
        seen[[MISSING, UNKNOWN]] = True
        code = torch.arange(self.code.numel(), device=seen.device)
        self.code.copy_(torch.where(seen, code, UNKNOWN))
        self.has_missing.fill_(bool(feature.missing().any()))

    def forward(self, feature: Feature, dropped: Tensor | None = None) -> Tensor:
        code, ptr = self.code[feature.values], feature.ptr
        if ptr is None:
            if dropped is not None:
                code = torch.where(dropped > 0, self._instead(dropped), code)
            found: Tensor = self.table(code)
            return found
        # Looked up and then averaged: the gradient of an embedding bag sorts its codes.
        rows = self.table(torch.cat([code.new_tensor([MISSING, UNKNOWN]), code]))
        mean = segment_mean(rows[2:], ptr, segment_index(ptr, code.numel()))
        absent = ptr.diff() == 0
        if dropped is None:
            return torch.where(absent.unsqueeze(1), rows[MISSING], mean)
        instead = torch.where(absent, MISSING, self._instead(dropped))
        absent = absent | (dropped > 0)
        return torch.where(absent.unsqueeze(1), rows[:2][instead], mean)

    def _instead(self, dropped: Tensor) -> Tensor:
        """The code that takes the place of what is dropped."""
        return torch.where((dropped == 2) & ~self.has_missing, MISSING, UNKNOWN)


class NumberEmbedding(FeatureEmbedding):
    r"""The piecewise linear encoding of a number (Gorishniy et al., "On Embeddings for Numerical
    Features in Tabular Deep Learning", NeurIPS 2022), times a matrix.

    .. math::
        z_t = \min\left(1, \max\left(0, \frac{x - b_{t-1}}{b_t - b_{t-1}}\right)\right),
        \qquad e = W z + c

    with the quantiles :math:`b` of the training rows, so that no outlier reaches beyond its bin. A
    missing number has a vector of its own.
    """

    edges: Tensor

    def __init__(self, feature: Feature, dim: int) -> None:
        super().__init__(feature, dim)
        self.linear = nn.Linear(_BINS, dim)
        self.missing = nn.Parameter(torch.zeros(dim))
        self.register_buffer("edges", torch.linspace(0, 1, _BINS + 1))
        self.adapt(feature)

    def reset_parameters(self) -> None:
        self.linear.reset_parameters()
        nn.init.zeros_(self.missing)

    def adapt(self, feature: Feature) -> None:
        numbers = feature.values[~feature.values.isnan()].double().sort().values
        self.edges.copy_(torch.linspace(0, 1, _BINS + 1))
        if numbers.numel():
            place = torch.linspace(0, numbers.numel() - 1, _BINS + 1).round().long()
            self.edges.copy_(numbers[place.to(numbers.device)])

    def forward(self, feature: Feature, dropped: Tensor | None = None) -> Tensor:
        missing = feature.values.isnan()
        if dropped is not None:
            missing = missing | (dropped > 0)
        x = torch.where(missing, 0.0, feature.values).unsqueeze(1)
        left, right = self.edges[:-1], self.edges[1:]
        z = ((x - left) / (right - left).clamp(min=1e-30)).clamp(0, 1)
        return torch.where(missing.unsqueeze(1), self.missing, self.linear(z))


class VectorEmbedding(FeatureEmbedding):
    """A vector, standardised column by column over the training rows, times a matrix; one that is
    missing has a vector of its own.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, feature: Feature, dim: int) -> None:
        super().__init__(feature, dim)
        width = feature.values.size(1)
        self.linear = nn.Linear(width, dim)
        self.missing = nn.Parameter(torch.zeros(dim))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.adapt(feature)

    def reset_parameters(self) -> None:
        self.linear.reset_parameters()
        nn.init.zeros_(self.missing)

    def adapt(self, feature: Feature) -> None:
        rows = feature.values[~feature.missing()].double()
        nn.init.zeros_(self.mean)
        nn.init.ones_(self.scale)
        if rows.size(0) > 1:
            self.mean.copy_(rows.mean(dim=0))
            self.scale.copy_(rows.std(dim=0).clamp(min=1e-6))

    def forward(self, feature: Feature, dropped: Tensor | None = None) -> Tensor:
        missing = feature.values.isnan().any(dim=1)
        if dropped is not None:
            missing = missing | (dropped > 0)
        x = torch.where(missing.unsqueeze(1), self.mean, feature.values)
        out = self.linear(((x - self.mean) / self.scale).clamp(-5, 5))
        return torch.where(missing.unsqueeze(1), self.missing, out)


_KINDS: dict[str, type[FeatureEmbedding]] = {
    "category": CodeEmbedding,
    "list": CodeEmbedding,
    "numeric": NumberEmbedding,
    "vector": VectorEmbedding,
}


class TableEmbedding(nn.Module):
    r"""The embeddings of a table's features side by side.

    In training, a share of the values is dropped, so that missing and unknown values have trained
    embeddings. Which ones depends on the row's key and on the step alone: parts of a batch in
    several processes drop what the whole batch would.

    Args:
        table: the features.
        widths: width of the embedding of a feature by its name, or of all of them; those that are
            not named are as wide as :func:`width_of` says.
        drop: share of the values that is dropped in training.

    Shapes:
        - **input:** rows of a table with the same features, ``[n]``; a key of each, int64 ``[n]``
        - **output:** ``[n, dim]``, with ``dim`` the sum of the widths

    Raises:
        InputError: if a width is below 1 or named for a feature that there is not, or ``drop`` is
            not in 0..1.
    """

    steps: Tensor

    def __init__(
        self,
        table: FeatureTable,
        widths: Mapping[str, int] | int | None = None,
        drop: float = 0.02,
    ) -> None:
        super().__init__()
        if not 0 <= drop < 1:
            raise InputError(f"drop must be at least 0 and below 1, not {drop}")
        self.names = tuple(table.features)
        self.kinds = tuple(feature.kind for feature in table)
        self.drop = drop
        own = dict.fromkeys(self.names, widths) if isinstance(widths, int) else dict(widths or {})
        for name, width in own.items():
            if name not in self.names:
                raise InputError(f"there is no feature {name!r}{did_you_mean(name, self.names)}")
            if width < 1:
                raise InputError(f"the width of the feature {name!r} must be above 0, not {width}")
        self.embeddings = nn.ModuleList(
            _KINDS[feature.kind](feature, own.get(feature.name) or width_of(feature))
            for feature in table
        )
        self.widths = tuple(one.dim for one in self._each())
        register_guarded_buffer(
            self,
            "digest",
            _digest(table),
            "the saved weights belong to features of other names, kinds or values than these",
        )
        self.register_buffer("steps", torch.tensor(0))

    @property
    def dim(self) -> int:
        """Width of all of them together."""
        return sum(self.widths)

    def _each(self) -> list[FeatureEmbedding]:
        return [one for one in self.embeddings if isinstance(one, FeatureEmbedding)]

    def reset_parameters(self) -> None:
        """Draws all of them anew."""
        for one in self._each():
            one.reset_parameters()

    def adapt(self, table: FeatureTable) -> None:
        """Learns scales and known values from the rows of training, as ``fit`` has it done; a
        table that has been trained keeps those that it was trained with.
        """
        if int(self.steps):
            return
        for name, one in zip(self.names, self._each(), strict=True):
            one.adapt(table.features[name])

    @property
    def num_codes(self) -> list[int]:
        """Number of codes of each category."""
        return [one.code.numel() for _, one in self._categories()]

    def codes(self, table: FeatureTable) -> Tensor:
        """Codes of the categories of rows of the table, those that training did not have as
        unknown, int64 ``[n, num_categories]``.
        """
        found = [one.code[table.features[name].values] for name, one in self._categories()]
        return torch.stack(found, dim=1)

    def _categories(self) -> list[tuple[str, CodeEmbedding]]:
        every = zip(self.names, self.kinds, self._each(), strict=True)
        return [
            (name, one)
            for name, kind, one in every
            if kind == "category" and isinstance(one, CodeEmbedding)
        ]

    def forward(self, table: FeatureTable, key: Tensor) -> Tensor:
        if self.training:
            self.steps += 1
        dropped = self._dropped(key)
        parts = [
            one(table.features[name], None if dropped is None else dropped[number])
            for number, (name, one) in enumerate(zip(self.names, self._each(), strict=True))
        ]
        return torch.cat(parts, dim=1)

    def _dropped(self, key: Tensor) -> Tensor | None:
        """What is dropped of each feature and row, int64 ``[num_features, n]``: 0 for nothing, 1 or
        2 for a value, each as often.
        """
        if not self.training or self.drop == 0:
            return None
        # A hash of key and step, and from it one for each feature; products wrap around at 64 bits.
        mixed = _mix(key * 0x9E3779B1 + self.steps * 0x85EBCA77)
        feature = torch.arange(1, len(self.names) + 1, device=key.device)
        mixed = _mix(mixed + feature.unsqueeze(1) * 0xC2B2AE3D)
        return torch.where(mixed < self.drop * 2**32, 1 + (mixed & 1), 0)


def _digest(table: FeatureTable) -> Tensor:
    """A number of the features' names, kinds and vocabularies, int64 ``[1]``."""
    found = hashlib.blake2b(digest_size=8)
    for feature in table:
        words = [] if feature.vocabulary is None else feature.vocabulary.to_list()
        width = feature.values.size(1) if feature.kind == "vector" else None
        found.update(repr((feature.name, feature.kind, width, words)).encode())
    return torch.tensor([int.from_bytes(found.digest(), signed=True)])


def _mix(number: Tensor) -> Tensor:
    """Mixes the lower 32 bits ("lowbias32" of C. Wellons' hash prospector)."""
    number = number & 0xFFFFFFFF
    number = ((number ^ (number >> 16)) * 0x7FEB352D) & 0xFFFFFFFF
    number = ((number ^ (number >> 15)) * 0x846CA68B) & 0xFFFFFFFF
    return number ^ (number >> 16)
