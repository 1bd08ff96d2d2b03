"""Embeddings of features whose values are codes: categories, and lists of them."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from resemb_gnn.data.feature import jagged_rows
from resemb_gnn.data.features import MISSING, UNKNOWN, Feature, FeatureTable
from resemb_gnn.nn.embeddings.feature_part import FeaturePart, Rows, places_of, values_of
from resemb_gnn.nn.layers.look_up import look_up, mean_look_up
from resemb_gnn.nn.layers.segment import segment_index


class CodePart(FeaturePart):
    """Base class: one table for all codes of the features, one feature after the other.

    A value that no row of training had is treated as an unknown one, until a later training has
    it. What is dropped in training becomes an unknown value or, where training has no missing ones,
    every other time a missing one, so that the embeddings of both are trained.

    Args:
        features: them.
        width: width of the embedding of each.
    """

    code: Tensor
    has_missing: Tensor
    first: Tensor

    def __init__(self, features: Iterable[Feature], width: int) -> None:
        features = list(features)
        super().__init__([feature.name for feature in features], width)
        self.num_codes = [feature.num_codes for feature in features]
        self.num_fitted_codes = [feature.num_fitted_codes for feature in features]
        ends = torch.tensor(self.num_codes).cumsum(0)
        self.table = nn.Embedding(int(ends[-1]), width)
        # The row of each code's embedding, and that of each feature's code 0.
        self.register_buffer("code", torch.arange(int(ends[-1])))
        self.register_buffer("first", ends - torch.tensor(self.num_codes), persistent=False)
        self.register_buffer("has_missing", torch.zeros(len(features), dtype=torch.bool))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.normal_(self.table.weight, std=0.01)

    def adapt(self, table: FeatureTable) -> None:
        for number, (name, first) in enumerate(zip(self.names, self.first.tolist(), strict=True)):
            feature, size = table.features[name], self.num_codes[number]
            taken = first + codes_taken(feature.values, size).to(self.code.device)
            self.code[first : first + size] = taken
            self.has_missing[number] = feature.missing().any()

    @torch.no_grad()
    def admit(self, table: FeatureTable) -> None:
        for name, first, size in zip(self.names, self.first.tolist(), self.num_codes, strict=True):
            taken = first + codes_taken(table.features[name].values, size).to(self.code.device)
            own = self.code[first : first + size]
            new = (own == first + UNKNOWN) & (taken != own)
            # It starts as what it stood for so far: an unknown value's vector is trained, and the
            # model says of the new one at first what it said of it the day before.
            self.table.weight[taken[new]] = self.table.weight[first + UNKNOWN].clone()
            self.code[first : first + size] = torch.where(new, taken, own)

    @torch.no_grad()
    def take_over(self, before: FeaturePart) -> None:
        assert isinstance(before, CodePart)
        device = self.code.device
        place = places_of(before.num_codes, self.num_codes).to(device)
        sizes = torch.tensor(self.num_codes, device=device)
        unknown = self.first.repeat_interleave(sizes) + UNKNOWN
        self.code.copy_(unknown)
        self.code[place] = place[before.code]
        self.has_missing.copy_(before.has_missing)
        self.table.weight[place] = before.table.weight
        # Nobody reads the rest before `admit`, but equal models are equal files.
        new = torch.ones_like(unknown, dtype=torch.bool)
        new[place] = False
        self.table.weight[new] = self.table.weight[unknown[new]]

    def _missing_instead(self, second: Tensor) -> Tensor:
        """Where a missing value takes the place of one that is dropped, bool
        ``[n, num_features]``.
        """
        return second.unsqueeze(1) & ~self.has_missing


def codes_taken(values: Tensor, size: int) -> Tensor:
    """What each of so many codes is taken for by a model that is trained on these, int64
    ``[size]``: a value that does not occur, for an unknown one.
    """
    seen = values.bincount(minlength=size) > 0
    seen[[MISSING, UNKNOWN]] = True
    return torch.where(seen, torch.arange(size, device=seen.device), UNKNOWN)


class CategoryEmbeddings(CodePart):
    """The embeddings of categories; a row is encoded as the rows of the table, int64
    ``[n, num_features]``.
    """

    def encode(self, table: FeatureTable) -> Rows:
        return (self.code[torch.stack(values_of(table, self.names), dim=1) + self.first],)

    def codes(self, rows: Rows) -> Tensor:
        """The codes of encoded rows, int64 ``[n, num_features]``."""
        return rows[0] - self.first

    def forward(self, rows: Rows, dropped: Tensor | None, second: Tensor | None) -> Tensor:
        (code,) = rows
        if dropped is not None and second is not None:
            missing, unknown = self.first + MISSING, self.first + UNKNOWN
            instead = torch.where(self._missing_instead(second), missing, unknown)
            code = torch.where(dropped, instead, code)
        return look_up(self.table, code).flatten(1)


class ListEmbedding(CodePart):
    """The mean of the embeddings of a list's values; rows are encoded as the rows of the table,
    int64 ``[m]``, with offsets ``[n + 1]`` and, where it is known, the list of each ``[m]``.
    """

    def __init__(self, feature: Feature, width: int) -> None:
        super().__init__([feature], width)

    def encode(self, table: FeatureTable) -> Rows:
        feature = table.features[self.names[0]]
        assert feature.ptr is not None
        return self.code[feature.values], feature.ptr

    def select(self, rows: Rows, ids: Tensor) -> Rows:
        place, ptr, segment = jagged_rows(rows[1], ids)
        return rows[0].index_select(0, place), ptr, segment

    def forward(self, rows: Rows, dropped: Tensor | None, second: Tensor | None) -> Tensor:
        code, ptr, *known = rows
        segment = known[0] if known else segment_index(ptr, code.numel())
        mean = mean_look_up(self.table, code, ptr, segment)
        instead = look_up(self.table, code.new_tensor([MISSING, UNKNOWN]))
        absent = (ptr.diff() == 0).unsqueeze(1)
        if dropped is None or second is None:
            return torch.where(absent, instead[MISSING], mean)
        missing = absent | self._missing_instead(second)
        which = torch.cat([missing, ~missing], dim=1).to(mean.dtype)
        return torch.where(absent | dropped, which @ instead, mean)
