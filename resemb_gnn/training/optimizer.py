"""Adam for the network, and for large tables Adam on the rows of the batch alone."""

import torch
from torch import Tensor, nn

from resemb_gnn.nn import ResEmbedding


class TableAdam:
    """Adam, with ``torch.optim.SparseAdam`` for the tables of at least ``sparse_rows`` rows.

    Dense Adam moves every row of a table at each step, which for a million rows is most of the
    step. The sparse form updates the rows of the batch only: the others keep their moments and
    stay where they are. The tables' modules (``torch.nn.Embedding`` and
    :class:`~resemb_gnn.ResEmbedding`) are switched to sparse gradients.

    Args:
        model: the model to train.
        lr: learning rate.
        sparse_rows: smallest table that is trained so; ``None`` for dense Adam throughout.
    """

    def __init__(self, model: nn.Module, lr: float, sparse_rows: int | None = None) -> None:
        tables: list[Tensor] = []
        for module in model.modules():
            if not isinstance(module, nn.Embedding | ResEmbedding):
                continue
            module.sparse = sparse_rows is not None and module.num_embeddings >= sparse_rows
            if module.sparse:
                tables += module.tables if isinstance(module, ResEmbedding) else [module.weight]
        chosen = {id(table) for table in tables}
        rest = [parameter for parameter in model.parameters() if id(parameter) not in chosen]
        self.optimizers: list[torch.optim.Optimizer] = []
        if rest:
            self.optimizers.append(torch.optim.Adam(rest, lr=lr, fused=True))
        if tables:
            self.optimizers.append(torch.optim.SparseAdam(tables, lr=lr))

    def zero_grad(self) -> None:
        for optimizer in self.optimizers:
            optimizer.zero_grad()

    def step(self) -> None:
        for optimizer in self.optimizers:
            optimizer.step()
