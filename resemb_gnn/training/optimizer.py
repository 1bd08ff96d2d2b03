"""Adam for the network, and for large tables Adam on the rows of the batch alone."""

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor, nn

from resemb_gnn.nn import ResEmbedding


class TableAdam:
    """Adam, with :class:`RowAdam` for the tables of at least ``sparse_rows`` rows.

    Dense Adam moves every row of a table at each step, which for a million rows is most of the
    step. The sparse form updates the rows of the batch only: the others keep their moments and
    stay where they are. On Amazon's Beauty this changed DIN's test AUC by -.003 [-.016, +.011] with
    a plain table and by .0000 with ``gcn`` (3 seeds; ``benchmarks/optimizer.py``). The tables'
    modules (``torch.nn.Embedding`` and :class:`~resemb_gnn.ResEmbedding`) are switched to sparse
    gradients.

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
            self.optimizers.append(RowAdam(tables, lr=lr))

    def zero_grad(self) -> None:
        for optimizer in self.optimizers:
            optimizer.zero_grad()

    def step(self) -> None:
        for optimizer in self.optimizers:
            optimizer.step()


class RowAdam(torch.optim.Optimizer):
    r"""Adam on the rows that have a gradient (parameters with sparse gradients only).

    The update of ``torch.optim.SparseAdam``, in fewer passes: the rows' moments are gathered,
    moved and put back once, without sparse tensors in between.

    Args:
        params: the tables, ``[num_rows, dim]``.
        lr: learning rate.
        betas: decay of the moments' running means.
        eps: added to the root of the second moment.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for table in group["params"]:
                if table.grad is not None:
                    self._move(table, self.state[table], group)
        return loss

    def _move(self, table: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        if not state:
            state.update(step=0, mean=torch.zeros_like(table), square=torch.zeros_like(table))
        state["step"] += 1
        beta1, beta2 = group["betas"]
        assert table.grad is not None
        grad = table.grad.coalesce()
        rows, values = grad.indices()[0], grad.values()
        mean = state["mean"].index_select(0, rows).lerp_(values, 1 - beta1)
        square = state["square"].index_select(0, rows).mul_(beta2)
        square.addcmul_(values, values, value=1 - beta2)
        state["mean"].index_copy_(0, rows, mean)
        state["square"].index_copy_(0, rows, square)
        correction = (1 - beta2 ** state["step"]) ** 0.5 / (1 - beta1 ** state["step"])
        step = mean.div_(square.sqrt_().add_(group["eps"]))
        table.index_add_(0, rows, step, alpha=-group["lr"] * correction)
