"""Features of a table that are embedded together."""

from collections.abc import Iterable, Sequence

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


def values_of(table: FeatureTable, names: Iterable[str]) -> list[Tensor]:
    """The values of some features."""
    return [table.features[name].values for name in names]
