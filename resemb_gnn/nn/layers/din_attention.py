"""The local activation unit of DIN, over jagged histories."""

import torch
from torch import Tensor, nn

from resemb_gnn.errors import InputError, unknown_choice
from resemb_gnn.nn.layers.mlp import make_activation, make_mlp
from resemb_gnn.nn.layers.segment import repeat_rows, segment_index, segment_softmax, segment_sum
from resemb_gnn.settings.names import ATTENTION_NORMALIZATIONS


class DINAttention(nn.Module):
    r"""Interest of a user with respect to a candidate (Zhou et al., "Deep Interest Network for
    Click-Through Rate Prediction", KDD 2018).

    .. math::
        v_b = \sum_{t} a(q_b, k_t)\, k_t, \qquad
        a(q, k) = \mathrm{MLP}([q, k, q - k, q \odot k])

    summed over the behaviours :math:`t` of example :math:`b` without normalisation, as in the
    paper, or with :math:`\mathrm{softmax}_t(a(q_b, k_t) / \sqrt d)` in the place of :math:`a`. An
    empty history gives zeros.

    The first layer is linear in its parts, so it splits:
    :math:`W[q, k, q-k, q \odot k] = (W_q + W_d) q + (W_k - W_d) k + W_p (q \odot k)`. The first
    part is computed once an example, the second once a distinct item, and only the last once a
    pair of candidate and behaviour.

    Args:
        dim: width :math:`d` of queries and keys.
        hidden: widths of the MLP's hidden layers.
        activation: ``"dice"``, ``"prelu"`` or ``"relu"``.
        normalization: ``"none"`` or ``"softmax"``.

    Shapes:
        - **input:** query ``[batch_size, dim]``, keys ``[num_keys, dim]``, which key each
          behaviour has, int64 ``[num_behaviors]``, ptr int64 ``[num_histories + 1]``, and how many
          queries in a row share a history: ``batch_size`` is so many times ``num_histories``
        - **output:** ``[batch_size, dim]``

    Raises:
        InputError: if ``hidden`` is empty or a name is unknown.
    """

    def __init__(
        self,
        dim: int,
        hidden: tuple[int, ...] = (36,),
        activation: str = "dice",
        normalization: str = "none",
    ) -> None:
        super().__init__()
        if normalization not in ATTENTION_NORMALIZATIONS:
            what = f"normalization={normalization!r}"
            raise unknown_choice(what, normalization, ATTENTION_NORMALIZATIONS)
        if not hidden:
            raise InputError("the attention needs at least one hidden layer")
        self.dim = dim
        self.normalization = normalization
        self.first = nn.Linear(4 * dim, hidden[0])
        self.activation = make_activation(activation, hidden[0])
        self.rest = make_mlp(hidden[0], hidden[1:], activation)
        if normalization == "softmax":
            # A shift of all scores changes nothing: the gradient of a bias would be rounding alone,
            # and Adam would follow it.
            self.rest[-1] = nn.Linear(hidden[-1], 1, bias=False)

    def forward(
        self, query: Tensor, keys: Tensor, key_index: Tensor, ptr: Tensor, candidates: int = 1
    ) -> Tensor:
        history = segment_index(ptr, key_index.numel())
        behavior = keys.index_select(0, key_index)  # [num_behaviors, dim]
        weight = self._weights(query, keys, key_index, ptr, candidates, history, behavior)
        if candidates > 1 and ptr.numel() == 2:  # of one history, a sum is a product
            return weight.t() @ behavior
        weighted = weight.unsqueeze(2) * behavior.unsqueeze(1)
        return segment_sum(weighted.flatten(1), ptr, history).view(query.shape)

    def weights(
        self, query: Tensor, keys: Tensor, key_index: Tensor, ptr: Tensor, candidates: int = 1
    ) -> Tensor:
        """Attention of each behaviour, ``[num_behaviors]``, or for each of the candidates that
        share it, ``[num_behaviors, candidates]`` if they are several; shapes as in ``forward``.
        """
        history = segment_index(ptr, key_index.numel())
        behavior = keys.index_select(0, key_index)
        found = self._weights(query, keys, key_index, ptr, candidates, history, behavior)
        return found.squeeze(1) if candidates == 1 else found

    def _weights(
        self,
        query: Tensor,
        keys: Tensor,
        key_index: Tensor,
        ptr: Tensor,
        candidates: int,
        history: Tensor,
        behavior: Tensor,
    ) -> Tensor:
        """``[num_behaviors, candidates]``."""

        def beside(of_queries: Tensor) -> Tensor:
            """Those of a history's candidates beside each of its behaviours."""
            rows = of_queries.view(ptr.numel() - 1, candidates * of_queries.size(1))
            return repeat_rows(rows, ptr, history).unflatten(1, (candidates, -1))

        w_query, w_key, w_difference, w_product = self.first.weight.split(self.dim, dim=1)
        one_history = candidates > 1 and ptr.numel() == 2
        if one_history:
            # Its behaviours are part of the weights, (w_query + w_difference + w_product * k_t) q,
            # and no row a pair is made before the hidden layer.
            bias = torch.addmm(self.first.bias, behavior, (w_key - w_difference).t())
            weight = torch.addcmul(w_query + w_difference, w_product, behavior.unsqueeze(1))
            hidden = torch.addmm(bias.flatten(), query, weight.flatten(0, 1).t())
            hidden = hidden.view(query.size(0) * behavior.size(0), bias.size(1))
        else:
            per_query = torch.addmm(self.first.bias, query, (w_query + w_difference).t())
            per_key = (keys @ (w_key - w_difference).t()).index_select(0, key_index)
            product = (beside(query) * behavior.unsqueeze(1)).flatten(0, 1)  # a row a pair
            # With one candidate this expands and copies nothing.
            per_key = per_key.unsqueeze(1).expand(-1, candidates, -1).flatten(0, 1)
            hidden = torch.addmm(per_key, product, w_product.t()) + beside(per_query).flatten(0, 1)
        score: Tensor = self.rest(self.activation(hidden))
        if one_history:
            score = score.view(query.size(0), behavior.size(0)).t()
        else:
            score = score.view(-1, candidates)
        if self.normalization == "softmax":
            score = segment_softmax(score / self.dim**0.5, ptr, history)
        return score
