"""Adam for embedding tables with a decay that grows with a row's absence."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from resemb_gnn.errors import InputError


class AdamAR(torch.optim.Optimizer):
    r"""AdamAR: adaptive regularisation of embedding tables (Li and Lyu, "Adaptive Regularization
    for Large-Scale Sparse Feature Embedding Models", ICLR 2026, arXiv 2511.06374).

    A row :math:`\theta_i` that gets a gradient at step :math:`t`, the last time at step
    :math:`t_i`, is first decayed for the steps in between, whatever the learning rate:

    .. math::
        \theta_i \leftarrow \left(1 - \min(1, \alpha (t - t_i))\right) \theta_i,

    and then moved by Adam on the rows of the batch, as ``torch.optim.SparseAdam`` does (which this
    is, with :math:`\alpha = 0`). A row in every batch loses :math:`\alpha` of itself a step, one
    that comes by once an epoch is close to drawn anew. Rows count from step 0.

    Args:
        params: tables ``[num_rows, dim]``, or groups of them; their gradients are sparse, or dense
            with zeros in the rows outside the batch.
        lr: learning rate.
        alpha: :math:`\alpha`, decay of a row for each step since its last update.
        betas: decay of the moments.
        eps: added to the root of the second moment.

    Raises:
        InputError: if ``lr`` is not above 0 or ``alpha`` below 0.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, object]],
        lr: float = 1e-3,
        alpha: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        if not lr > 0:
            raise InputError(f"lr must be above 0, not {lr}")
        if not alpha >= 0:
            raise InputError(f"alpha must be at least 0, not {alpha}")
        super().__init__(params, {"lr": lr, "alpha": alpha, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Updates the rows that have a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for table in group["params"]:
                if table.grad is not None:
                    self._update(
                        table, **{key: group[key] for key in ("lr", "alpha", "betas", "eps")}
                    )
        return loss

    @torch.no_grad()
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As in every optimiser, but the steps of the last updates stay whole numbers (PyTorch
        makes all state that has a parameter's company of the parameter's type).
        """
        super().load_state_dict(state_dict)
        tables = [table for group in self.param_groups for table in group["params"]]
        for number, saved in state_dict["state"].items():
            if "last_step" in saved:
                table = tables[number]
                self.state[table]["last_step"] = saved["last_step"].to(table.device, copy=True)

    def _update(
        self, table: Tensor, lr: float, alpha: float, betas: tuple[float, float], eps: float
    ) -> None:
        state = self.state[table]
        if not state:
            state["step"] = 0
            if alpha > 0:
                state["last_step"] = torch.zeros_like(table[:, 0], dtype=torch.long)
            state["exp_avg"] = torch.zeros_like(table)
            state["exp_avg_sq"] = torch.zeros_like(table)
        state["step"] += 1
        rows, grad = _touched(table.grad)
        beta1, beta2 = betas
        first = state["exp_avg"].index_select(0, rows).lerp_(grad, 1 - beta1)
        second = state["exp_avg_sq"].index_select(0, rows).lerp_(grad.square(), 1 - beta2)
        state["exp_avg"].index_copy_(0, rows, first)
        state["exp_avg_sq"].index_copy_(0, rows, second)
        corrected = lr * (1 - beta2 ** state["step"]) ** 0.5 / (1 - beta1 ** state["step"])
        moved = table.index_select(0, rows)
        if alpha > 0:
            absence = state["step"] - state["last_step"].index_select(0, rows)
            moved *= 1 - (alpha * absence).clamp(max=1).unsqueeze(1)
            state["last_step"].index_fill_(0, rows, state["step"])
        moved.addcdiv_(first, second.sqrt_().add_(eps), value=-corrected)
        table.index_copy_(0, rows, moved)


def _touched(grad: Tensor | None) -> tuple[Tensor, Tensor]:
    """The rows that have a gradient, int64 ``[n]``, and their gradients ``[n, dim]``."""
    assert grad is not None
    if grad.is_sparse:
        grad = grad.coalesce()
        return grad.indices()[0], grad.values()
    rows = grad.any(dim=1).nonzero().squeeze(1)
    return rows, grad.index_select(0, rows)
