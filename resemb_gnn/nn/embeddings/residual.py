"""What keeps the residual small."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from resemb_gnn.errors import InputError
from resemb_gnn.graph import check_graph
from resemb_gnn.graph.adjacency import graph_dtype


@dataclass(frozen=True)
class ResidualOptions:
    """Rarely used settings of the residual of a :class:`~resemb_gnn.ResEmbedding`.

    Args:
        learn_shrinkage: learn the shrinkage's constant, from where ``shrinkage`` starts it.
        max_norm: cap on the norm of the residual as it is added, or ``None``.
        max_ratio: cap on that norm as a multiple of the norm of the item's central part, or
            ``None``; with both caps, the lower one counts.
        lr_scale: factor on the learning rate of the residuals.
        decay: decay of a residual for each step since its last update
            (:class:`~resemb_gnn.training.AdamAR`); 0 for none.
        staged: train the centres alone first: residuals stay at zero until
            :meth:`ResEmbedding.release_residual`, which ``fit`` calls once the validation AUC has
            stopped to rise. What is learnt then is what the centres leave.

    Raises:
        InputError: if a setting is out of its range.
    """

    learn_shrinkage: bool = False
    max_norm: float | None = None
    max_ratio: float | None = None
    lr_scale: float = 1.0
    decay: float = 0.0
    staged: bool = False

    def __post_init__(self) -> None:
        for name in ("max_norm", "max_ratio", "lr_scale"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"{name} must be above 0, not {value}")
        if not self.decay >= 0:
            raise InputError(f"decay must be at least 0, not {self.decay}")

    @property
    def capped(self) -> bool:
        """Whether there is a cap."""
        return self.max_norm is not None or self.max_ratio is not None

    def cap(self, residual: Tensor, central: Tensor) -> Tensor:
        r"""Residuals no longer than the caps, both ``[n, dim]``.

        .. math::
            v_i \min\left(1, \frac{b_i}{\lVert v_i \rVert}\right), \qquad
            b_i = \min\left(\text{max\_norm},\
                  \text{max\_ratio} \cdot \lVert \bar c_i \rVert\right)

        with :math:`v_i` the residual and :math:`\bar c_i` the central part.
        """
        bound = residual.new_full((), math.inf if self.max_norm is None else self.max_norm)
        if self.max_ratio is not None:
            bound = torch.minimum(bound, self.max_ratio * central.norm(dim=1, keepdim=True))
        least = max(1e-12, torch.finfo(residual.dtype).tiny)  # float16 would take 1e-12 for 0
        norm = residual.norm(dim=1, keepdim=True).clamp(min=least)
        return residual * (bound / norm).clamp(max=1)


class Shrinkage(nn.Module):
    r"""Scale of the residuals by evidence, :math:`s_i = n_i / (n_i + n_0)`.

    With :math:`n_i = n_0 = 0`, it is 0: the limit of small :math:`n_0`.

    Args:
        graph: co-visit graph with ``count``, the behaviours :math:`n_i` of each item.
        start: :math:`n_0`, at least 0.
        learnt: make :math:`n_0` a parameter (its logarithm, so that it stays above 0).

    Shapes:
        - **input:** item ids, int64 ``[n]``, or nothing for all items
        - **output:** ``[n, 1]``

    Raises:
        InputError: if the graph has no ``count``, or a learnt constant starts at 0.
    """

    log_count: Tensor
    fixed: Tensor | None

    def __init__(self, graph: Data, start: float, learnt: bool = False) -> None:
        super().__init__()
        check_graph(graph, ("count",))
        if graph.get("count") is None:
            raise InputError("shrinkage needs graph.count, the behaviours of each item")
        if learnt and not start > 0:
            raise InputError(f"a learnt shrinkage must start above 0, not at {start}")
        self.start = start
        count, dtype = graph.count.to(graph_dtype()).unsqueeze(1), torch.get_default_dtype()
        # Of a popular item, the count itself is beyond float16.
        self.register_buffer("log_count", count.log().to(dtype), persistent=False)
        fixed = None if learnt else (count / (count + start)).nan_to_num(0.0).to(dtype)
        self.register_buffer("fixed", fixed, persistent=False)
        self.log_constant = nn.Parameter(torch.empty(())) if learnt else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Puts a learnt constant back to its start."""
        if self.log_constant is not None:
            nn.init.constant_(self.log_constant, math.log(self.start))

    def forward(self, ids: Tensor | None = None) -> Tensor:
        if self.log_constant is None:
            assert self.fixed is not None
            return self.fixed if ids is None else self.fixed.index_select(0, ids)
        log_count = self.log_count if ids is None else self.log_count.index_select(0, ids)
        return (log_count - self.log_constant).sigmoid()

    def extra_repr(self) -> str:
        return f"{self.start}" + (", learnt" if self.log_constant is not None else "")
