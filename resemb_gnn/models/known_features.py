"""What is known of every item, or of every user, embedded by its number."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from resemb_gnn.data.features import FeatureTable
from resemb_gnn.errors import InputError
from resemb_gnn.io.digests import tensor_digest
from resemb_gnn.nn.embeddings.feature_embedding import TableEmbedding
from resemb_gnn.nn.encoders.guarded_buffer import register_guarded_buffer


class KnownFeatures(nn.Module):
    """A table of features, a row an item or user, and their embeddings.

    The table is not saved with the weights; it goes where the module goes.

    Args:
        table: the features.
        what: ``"items"`` or ``"users"``, for messages.
        size: how many there must be; ``None`` if that is not known.
        widths: as :class:`~resemb_gnn.nn.TableEmbedding` has it.

    Shapes:
        - **input:** numbers, int64 ``[n]``
        - **output:** ``[n, dim]``

    Raises:
        InputError: if the table has another number of rows, if a number is beyond it, or, on
            ``load_state_dict``, the weights belong to another table.
    """

    def __init__(
        self,
        table: FeatureTable,
        what: str,
        size: int | None = None,
        widths: Mapping[str, int] | int | None = None,
    ) -> None:
        super().__init__()
        if size is not None and len(table) != size:
            raise InputError(f"the features are of {len(table)} {what}, but there are {size}")
        self.size = len(table)
        self.what = what
        self.embedding = TableEmbedding(table, widths)
        parts = [part for one in table for part in (one.values, one.ptr)]
        register_guarded_buffer(
            self,
            "digest",
            torch.tensor([int(tensor_digest(*parts), 16) >> 1]),
            f"the saved weights belong to other features of the {what} than these",
        )
        # Without their rows, which are in the buffers.
        self._features = tuple(table[torch.arange(0)])
        for number, feature in enumerate(table):
            self.register_buffer(f"values_{number}", feature.values, persistent=False)
            self.register_buffer(f"ptr_{number}", feature.ptr, persistent=False)

    @property
    def dim(self) -> int:
        """Width of the output."""
        return self.embedding.dim

    @property
    def table(self) -> FeatureTable:
        """The table, where the module is."""
        return FeatureTable(
            {
                feature.name: replace(
                    feature,
                    values=self.get_buffer(f"values_{number}"),
                    ptr=getattr(self, f"ptr_{number}"),
                )
                for number, feature in enumerate(self._features)
            }
        )

    def adapt(self, ids: Tensor) -> None:
        """Learns scales and known values from the rows of ``ids``, int64 ``[n]``."""
        self.embedding.adapt(self.rows(ids))

    def rows(self, ids: Tensor) -> FeatureTable:
        """The rows of ``ids``, int64 ``[n]``.

        Raises:
            InputError: if one is beyond the table.
        """
        if ids.numel() and not torch.compiler.is_compiling():
            low, high = (int(end) for end in ids.aminmax())
            if low < 0 or high >= self.size:
                bad = low if low < 0 else high
                raise InputError(
                    f"the features are of {self.size} {self.what}, 0 to {self.size - 1}, but number"
                    f" {bad} was asked for"
                )
        return self.table[ids]

    def codes(self, ids: Tensor) -> Tensor:
        """Codes of the categories, int64 ``[n, num_categories]``
        (:meth:`~resemb_gnn.nn.TableEmbedding.codes`).
        """
        return self.embedding.codes(self.rows(ids))

    def forward(self, ids: Tensor) -> Tensor:
        found: Tensor = self.embedding(self.rows(ids), ids)
        return found
