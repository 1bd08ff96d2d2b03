"""Features of a table that are embedded together."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from resemb_gnn.data.features import FeatureTable

Rows = tuple[Tensor, ...]
"""Encoded rows of the features of one part: what its ``encode`` makes of a table."""


class FeaturePart(nn.Module):
    """Base class: embeddings of one width of features of one kind.

    What does not depend on parameters is done by :meth:`encode`, for known items and users once
    and not at each step.

    Args:
        names: the features.
        width: width of the embedding of each.

    Shapes:
        - **input:** encoded rows; which of the values are treated as if they were not there, bool
          ``[n, len(names)]``, and how, bool ``[n]`` (``False``: as unknown, ``True``: as missing
          where training has no missing value), or ``None`` for both
        - **output:** ``[n, len(names) * width]``
    """

    def __init__(self, names: Sequence[str], width: int) -> None:
        super().__init__()
        self.names = tuple(names)
        self.width = width

    def adapt(self, table: FeatureTable) -> None:
        """Learns from the rows of training what scale numbers have, or which values occur."""
        raise NotImplementedError

    def admit(self, table: FeatureTable) -> None:
        """Learns from the rows of a later training which values occur since; scales stay, since
        what was learnt is bound to them.
        """

    def take_over(self, before: "FeaturePart") -> None:
        """Takes what another part of the same features has learnt, of which each vocabulary begins
        with that of the other.
        """
        self.load_state_dict(before.state_dict())

    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        raise NotImplementedError

    def encode(self, table: FeatureTable) -> Rows:
        """Rows as ``forward`` takes them."""
        raise NotImplementedError

    def select(self, rows: Rows, ids: Tensor) -> Rows:
        """Some of the rows, by their numbers, int64 ``[k]``.

        Raises:
            IndexError: if there is no such row.
        """
        # Selected, not indexed: a negative number is an error too.
        return tuple(one.index_select(0, ids) for one in rows)

    def forward(self, rows: Rows, dropped: Tensor | None, second: Tensor | None) -> Tensor:
        raise NotImplementedError

    def extra_repr(self) -> str:
        return ", ".join(self.names)


def places_of(before: Sequence[int], sizes: Sequence[int]) -> Tensor:
    """Where the codes of some features, numbered one feature after the other, are when each feature
    has further ones behind its own, int64 ``[sum(before)]``.

    Args:
        before: how many codes each feature has.
        sizes: how many then.
    """
    first = torch.tensor([0, *sizes[:-1]]).cumsum(0).tolist()
    parts = [one + torch.arange(size) for one, size in zip(first, before, strict=True)]
    return torch.cat(parts)


def values_of(table: FeatureTable, names: Iterable[str]) -> list[Tensor]:
    """The values of some features."""
    return [table.features[name].values for name in names]
