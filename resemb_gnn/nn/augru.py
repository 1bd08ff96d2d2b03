"""GRU with attentional update gate, the interest evolution of DIEN."""

import math

import torch
from torch import Tensor, nn


class AUGRU(nn.Module):
    r"""GRU whose update gate is scaled by attention (Zhou et al., "Deep Interest Evolution Network
    for Click-Through Rate Prediction", AAAI 2019), over packed sequences.

    .. math::
        u_t &= \sigma(W_u x_t + U_u h_{t-1} + b_u), \qquad
        r_t = \sigma(W_r x_t + U_r h_{t-1} + b_r) \\
        \tilde h_t &= \tanh(W_h x_t + r_t \odot U_h h_{t-1} + b_h) \\
        h_t &= (1 - a_t u_t) \odot h_{t-1} + a_t u_t \odot \tilde h_t, \qquad h_0 = 0

    A behaviour without attention leaves the state as it is; :math:`a_t = 1` is the plain GRU. Each
    step computes the sequences that reach it, and there are as many steps as the longest has.

    Args:
        input_dim: width of :math:`x_t`.
        hidden_dim: width of :math:`h_t`.

    Shapes:
        - **input:** x ``[num_rows, input_dim]`` and attention ``[num_rows]``, both in the order of
          :class:`~resemb_gnn.nn.packing.Packing`; sizes of its steps, int64 ``[longest]``
        - **output:** last state of each sequence that is not empty, longest first,
          ``[sizes[0], hidden_dim]``
    """

    def __init__(self, input_dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.hidden_dim = hidden_dim
        self.weight_input = nn.Parameter(torch.empty(3 * hidden_dim, input_dim))  # r, u, h
        self.weight_hidden = nn.Parameter(torch.empty(3 * hidden_dim, hidden_dim))
        self.bias = nn.Parameter(torch.empty(3 * hidden_dim))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the parameters as ``torch.nn.GRU`` does."""
        bound = 1 / math.sqrt(self.hidden_dim)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, x: Tensor, attention: Tensor, sizes: Tensor) -> Tensor:
        steps = sizes.tolist()
        gates = torch.addmm(self.bias, x, self.weight_input.t())  # [num_rows, 3 * hidden_dim]
        state = x.new_zeros(steps[0] if steps else 0, self.hidden_dim)
        ended = []
        for part, weight in zip(
            gates.split(steps), attention.unsqueeze(1).split(steps), strict=True
        ):
            if part.size(0) < state.size(0):
                ended.append(state[part.size(0) :])
                state = state[: part.size(0)]
            state = self._step(part, weight, state)
        return torch.cat([state, *reversed(ended)])

    def _step(self, gates: Tensor, attention: Tensor, state: Tensor) -> Tensor:
        width = self.hidden_dim
        recurrent = state @ self.weight_hidden.t()
        reset, update = (
            (gates[:, : 2 * width] + recurrent[:, : 2 * width]).sigmoid().chunk(2, dim=1)
        )
        new = torch.addcmul(gates[:, 2 * width :], reset, recurrent[:, 2 * width :]).tanh()
        return state.lerp(new, attention * update)

    def extra_repr(self) -> str:
        return f"{self.weight_input.size(1)}, {self.hidden_dim}"
