"""What is known of every item, or of every user, embedded by its number."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from resemb_gnn.data.features import FeatureTable
from resemb_gnn.errors import InputError
from resemb_gnn.io.digests import tensor_digest
from resemb_gnn.nn.embeddings.feature_embedding import TableEmbedding
from resemb_gnn.nn.encoders.guarded_buffer import register_guarded_buffer


class KnownFeatures(nn.Module):
    """A table of features, a row an item or user, and their embeddings.

    The table is not saved with the weights. What a step needs of it is encoded once, by
    :meth:`~resemb_gnn.nn.TableEmbedding.encode`, and goes where the module goes.

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
        self.table = table.to("cpu")
        self.embedding = TableEmbedding(table, widths)
        parts = [part for one in table for part in (one.values, one.ptr)]
        register_guarded_buffer(
            self,
            "digest",
            torch.tensor([int(tensor_digest(*parts), 16) >> 1]),
            f"the saved weights belong to other features of the {what} than these",
        )
        self.register_load_state_dict_post_hook(_encode_anew)
        self.encode()

    @property
    def dim(self) -> int:
        """Width of the output."""
        return self.embedding.dim

    def encode(self) -> None:
        """Has the table encoded anew, where and in the precision in which the embeddings are."""
        where = self.embedding.steps.device
        self._rows = self.embedding.encode(self.table.to(where))

    def over(self, table: FeatureTable) -> "KnownFeatures":
        """The same embeddings over other rows."""
        widths = dict(zip(self.embedding.names, self.embedding.widths, strict=True))
        found = KnownFeatures(table, self.what, widths=widths)
        found.embedding = self.embedding
        found.encode()
        return found.train(self.training)

    def _apply(self, *args: Any, **options: Any) -> "KnownFeatures":
        super()._apply(*args, **options)
        self.encode()
        return self

    def adapt(self, ids: Tensor) -> None:
        """Learns scales and known values from the rows of ``ids``, int64 ``[n]``."""
        self.embedding.adapt(self.rows(ids))
        self.encode()

    def rows(self, ids: Tensor) -> FeatureTable:
        """The rows of ``ids``, int64 ``[n]``.

        Raises:
            InputError: if one is beyond the table.
        """
        if ids.numel():
            low, high = (int(end) for end in ids.aminmax())
            if low < 0 or high >= self.size:
                raise self._beyond(low if low < 0 else high)
        return self.table[ids.to("cpu")]

    def codes(self, ids: Tensor) -> Tensor:
        """Codes of the categories, int64 ``[n, num_categories]``
        (:meth:`~resemb_gnn.nn.TableEmbedding.codes`).
        """
        return self.embedding.selected_codes(self._rows, ids)

    def forward(self, ids: Tensor) -> Tensor:
        try:
            rows = self.embedding.select(self._rows, ids)
        except IndexError:  # on a CPU; a GPU asserts it, and no step waits for that
            bad = ids[(ids < 0) | (ids >= self.size)]
            raise self._beyond(int(bad[0])) from None
        return self.embedding.embed(rows, ids)

    def _beyond(self, number: int) -> InputError:
        return InputError(
            f"the features are of {self.size} {self.what}, 0 to {self.size - 1}, but number"
            f" {number} was asked for"
        )


def _encode_anew(module: nn.Module, keys: object) -> None:
    """Which values are known, and the scales of numbers, are loaded with the weights."""
    assert isinstance(module, KnownFeatures)
    module.encode()
