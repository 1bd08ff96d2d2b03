"""The plain table that Res-embedding is compared to, with what is said to help it."""

import torch
from torch import Tensor, nn

from resemb_gnn.errors import InputError
from resemb_gnn.nn.embeddings.item_embedding import ItemEmbedding, check_rows
from resemb_gnn.nn.embeddings.table_options import TableOptions
from resemb_gnn.nn.layers.mean_square import mean_square


class PlainEmbedding(ItemEmbedding, nn.Embedding):  # type: ignore[misc]
    r"""A table of item embeddings: ``torch.nn.Embedding`` with a start and a penalty of its own.

    Args:
        num_embeddings: number of items.
        embedding_dim: width of the embeddings.
        std: standard deviation of the rows at the start; close to zero by default, where
            ``torch.nn.Embedding`` has 1.
        start: rows around which the table is started, ``[num_embeddings, embedding_dim]``, or
            ``None`` for zero.
        l2: :math:`\lambda` of :meth:`penalty`.
        options: how the table is trained.

    Raises:
        InputError: if ``std`` or ``l2`` is below 0, or ``start`` has another shape or is not
            finite.
    """

    start: Tensor | None
    penalizes_history = True  # CTRModel hands every item of the batch to penalty()

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        *,
        std: float = 0.003,
        start: Tensor | None = None,
        l2: float = 0.0,
        options: TableOptions | None = None,
    ) -> None:
        for name, value in (("std", std), ("l2", l2)):
            if not value >= 0:
                raise InputError(f"{name} must be at least 0, not {value}")
        check_rows("start", start, num_embeddings, embedding_dim)
        self.std = std
        self.l2 = l2
        self.options = options or TableOptions()
        super().__init__(num_embeddings, embedding_dim)
        self.register_buffer("start", start, persistent=False)
        self.reset_parameters()

    @property
    def tables(self) -> dict[str, TableOptions]:
        return {"weight": self.options}

    def reset_parameters(self) -> None:
        """Draws the table anew."""
        nn.init.normal_(self.weight, std=self.std)
        start = getattr(self, "start", None)  # torch.nn.Embedding calls this before it is there
        if start is not None:
            with torch.no_grad():
                self.weight += start

    def forward(self, ids: Tensor, fold: int | None = None) -> Tensor:
        return nn.Embedding.forward(self, ids)

    def penalty(self, ids: Tensor) -> Tensor | None:
        r"""L2 penalty :math:`\lambda \cdot \mathrm{mean}_i \lVert e_i \rVert^2` over the distinct
        ``ids`` (``[*]``); ``None`` if :math:`\lambda = 0`, and 0 for no ids.
        """
        if self.l2 == 0:
            return None
        return self.l2 * mean_square(self(ids.unique()))
