"""What a scorer holds of the features of items and users: computed once, a row each."""

import torch
from torch import Tensor, nn

from resemb_gnn.data.feature_rows import missing_rows
from resemb_gnn.data.features import Feature, FeatureTable
from resemb_gnn.models.known_features import KnownFeatures


class KnownCodes(nn.Module):
    """The codes of a :class:`~resemb_gnn.models.known_features.KnownFeatures` in its place, and
    behind them those of one of whom nothing is known.

    Args:
        known: the features.

    Shapes:
        - **input:** numbers, int64 ``[n]``
        - **output:** int64 ``[n, num_categories]``
    """

    table: Tensor

    def __init__(self, known: KnownFeatures) -> None:
        super().__init__()
        self.num_codes = known.num_codes
        rows = [known.table, missing_rows(known.table)]
        codes = [known.codes_of(one) for one in rows] if self.num_codes else []
        self.register_buffer("table", torch.cat(codes) if codes else torch.zeros(0))

    def codes(self, ids: Tensor) -> Tensor:
        """Codes of the categories, as the features themselves give them."""
        return self.table[ids]


@torch.no_grad()
def known_vectors(known: KnownFeatures) -> nn.Embedding:
    """The embedded features, and behind them those of one of whom nothing is known."""
    nobody = known.embed_rows(missing_rows(known.table), torch.zeros(1, dtype=torch.long))
    parts = [known(ids) for ids in torch.arange(known.size).split(8192)]
    return nn.Embedding.from_pretrained(torch.cat([*parts, nobody]).float())


def unchecked_table(features: dict[str, Feature]) -> FeatureTable:
    """A table whose lengths are not compared: while a program is exported that would bind it to
    those of the example.
    """
    table = object.__new__(FeatureTable)
    object.__setattr__(table, "features", features)
    return table
