"""GRU with attentional update gate, the interest evolution of DIEN."""

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from resemb_gnn.nn.layers.second_derivative import differentiable_gradient


class AUGRU(nn.Module):
    r"""GRU whose update gate is scaled by attention (Zhou et al., "Deep Interest Evolution Network
    for Click-Through Rate Prediction", AAAI 2019), over packed sequences.

    .. math::
        r_t &= \sigma(W_r x_t + U_r h_{t-1} + b_r), \qquad
        u_t = \sigma(W_u x_t + U_u h_{t-1} + b_u) \\
        \tilde h_t &= \tanh(W_h x_t + r_t \odot U_h h_{t-1} + b_h) \\
        h_t &= (1 - a_t u_t) \odot h_{t-1} + a_t u_t \odot \tilde h_t, \qquad h_0 = 0

    A behaviour without attention leaves the state as it is; :math:`a_t = 1`, or no attention given,
    makes the plain GRU. Each step computes the sequences that reach it, and there are as many steps
    as the longest has.

    Args:
        input_dim: width of :math:`x_t`.
        hidden_dim: width of :math:`h_t`.

    Shapes:
        - **input:** x ``[num_rows, input_dim]`` in the order of
          :class:`~resemb_gnn.nn.layers.packing.Packing`; sizes of its steps, int64 ``[longest]``;
          attention ``[num_rows]`` in the same order, or ``None``
        - **output:** state after each row, ``[num_rows, hidden_dim]``, in the same order
    """

    def __init__(self, input_dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.weight_input = nn.Parameter(torch.empty(3 * hidden_dim, input_dim))  # of r, u, h
        self.weight_hidden = nn.Parameter(torch.empty(3 * hidden_dim, hidden_dim))
        self.bias = nn.Parameter(torch.empty(3 * hidden_dim))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the parameters as ``torch.nn.GRU`` does."""
        bound = 1 / math.sqrt(self.weight_hidden.size(1))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    # The number of steps changes from batch to batch: not compiled.
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def forward(self, x: Tensor, sizes: Tensor, attention: Tensor | None = None) -> Tensor:
        x = x.to(self.bias.dtype)
        attention = x.new_ones(x.size(0)) if attention is None else attention.to(x.dtype)
        with torch.autocast(x.device.type, enabled=False):  # steps would add up their rounding
            gates = torch.addmm(self.bias, x, self.weight_input.t())
            out: Tensor = _Recurrence.apply(
                gates, attention.unsqueeze(1), self.weight_hidden, sizes.tolist()
            )
        return out

    def extra_repr(self) -> str:
        return f"{self.weight_input.size(1)}, {self.weight_hidden.size(1)}"


class _Recurrence(torch.autograd.Function):
    """The steps. In the gradient only what passes from step to step is computed step by step;
    autograd, which takes over where the gradient is itself to be differentiated, takes several
    times as many calls.
    """

    @staticmethod
    def forward(
        ctx: Any, gates: Tensor, attention: Tensor, weight: Tensor, sizes: list[int]
    ) -> Tensor:
        width = weight.size(1)
        states = gates.new_empty(gates.size(0), width)
        reset_update = gates.new_empty(gates.size(0), 2 * width)
        new = torch.empty_like(states)
        starts = [gates.new_zeros(sizes[0] if sizes else 0, width)]  # states that steps start from
        start = 0
        for size in sizes:
            step = slice(start, start := start + size)
            state = starts[-1][:size]
            starts[-1] = state
            recurrent = state @ weight.t()
            torch.add(gates[step, : 2 * width], recurrent[:, : 2 * width], out=reset_update[step])
            reset, update = reset_update[step].sigmoid_().chunk(2, dim=1)
            torch.addcmul(gates[step, 2 * width :], reset, recurrent[:, 2 * width :], out=new[step])
            share = attention[step] * update
            starts.append(torch.lerp(state, new[step].tanh_(), share, out=states[step]))
        before = torch.cat(starts[:-1] or starts)
        ctx.save_for_backward(gates, attention, weight, reset_update, new, before)
        ctx.sizes = sizes
        return states

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        gates, attention, weight, reset_update, new, before = ctx.saved_tensors
        if torch.is_grad_enabled():
            plain = partial(_plain_recurrence, sizes=ctx.sizes)
            return *differentiable_gradient(plain, (gates, attention, weight), grad), None
        reset, update = reset_update.chunk(2, dim=1)
        share, change = attention * update, new - before
        # How the three recurrent terms of a row move its state, [num_rows, 3, hidden_dim].
        by_new = share * (1 - new.square())
        by_reset = by_new * (before @ weight[-new.size(1) :].t()) * reset * (1 - reset)
        slope = torch.stack([by_reset, change * share * (1 - update), by_new * reset], dim=1)
        kept = 1 - share
        grad, through = grad.clone(), torch.empty_like(slope)
        end = grad.size(0)
        carried = grad.new_empty(0, new.size(1))
        for size in reversed(ctx.sizes):
            step = slice(end := end - size, end + size)
            part = grad[step]
            part[: carried.size(0)] += carried
            torch.mul(part.unsqueeze(1), slope[step], out=through[step])
            carried = torch.addmm(part * kept[step], through[step].flatten(1), weight)
        through = through.flatten(1)  # [num_rows, 3 * hidden_dim]
        grad_weight = through.t() @ before
        grad_attention = (grad * change * update).sum(dim=1, keepdim=True)
        grad_gates = torch.cat([through[:, : reset_update.size(1)], grad * by_new], dim=1)
        return grad_gates, grad_attention, grad_weight, None


def _plain_recurrence(gates: Tensor, attention: Tensor, weight: Tensor, sizes: list[int]) -> Tensor:
    width = weight.size(1)
    state, states = gates.new_zeros(sizes[0] if sizes else 0, width), []
    for gate, share in zip(gates.split(sizes), attention.split(sizes), strict=True):
        state = state[: gate.size(0)]
        recurrent = state @ weight.t()
        reset, update = (gate + recurrent)[:, : 2 * width].sigmoid().chunk(2, dim=1)
        new = torch.addcmul(gate[:, 2 * width :], reset, recurrent[:, 2 * width :]).tanh()
        state = torch.lerp(state, new, share * update)
        states.append(state)
    return torch.cat([gates[:0, :width], *states])
