"""Self-attentive sequential recommendation."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import pad

from resemb_gnn.data import Batch, Features
from resemb_gnn.errors import InputError
from resemb_gnn.models.ctr_model import CTRModel, per_candidate
from resemb_gnn.nn.layers.packing import permute


class SASRec(CTRModel):
    r"""SASRec (Kang and McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018) over jagged
    histories.

    .. math::
        x_t = k_t + p_{T - t}, \qquad
        s = \mathrm{LN}(\mathrm{Block}_B \cdots \mathrm{Block}_1(x_1, \dots, x_T))_T, \qquad
        \hat y = \langle s, q \rangle

    with :math:`q` the candidate's features, :math:`k_t` the behaviours' and :math:`p` learnt
    positions, counted from the last behaviour as the paper's are, which pads on the left. A block
    is causal self-attention of one head and a feed-forward layer as wide as the features, both
    normalised beforehand and added to what they read (``torch.nn.TransformerEncoderLayer``). An
    empty history has a learnt state.

    The features of user and row, :math:`f`, of which the paper knows none, move the state and the
    logit: :math:`\hat y = \langle s + W f, q \rangle + \langle w, f \rangle`, and all features
    have their linear part (:class:`~resemb_gnn.models.ValueWeights`). Each example is the state
    after one history against its candidates, as of every click model here, where the paper's
    training takes the states after all behaviours of a sequence at once.

    Histories are read in groups of like length, each padded to less than twice its own.

    Args:
        embedding: any module with ``embedding_dim`` that maps item ids to vectors.
        item_category: category of each item, int64 ``[num_items]``, as a second feature.
        features: what is known of items, users and rows (``log.features``).
        widths: width of the embedding of a feature by its name.
        embed: embeddings for categories of the items by name (:class:`CTRModel`).
        num_blocks: number of blocks :math:`B`.
        max_length: only so many most recent behaviours of a history are read.
        dropout: share of the numbers that training drops, of :math:`x_t` and within the blocks;
            ``torch.manual_seed`` governs the draws.

    Shapes:
        - **input:** :class:`~resemb_gnn.data.Batch`
        - **output:** logits of the click probability, ``[batch_size]``

    Raises:
        InputError: if ``num_blocks`` or ``max_length`` is below 1, or ``dropout`` not at least 0
            and below 1.
    """

    shares_history = True

    def __init__(
        self,
        embedding: nn.Module,
        *,
        item_category: Tensor | None = None,
        features: Features | None = None,
        widths: Mapping[str, int] | None = None,
        embed: Mapping[str, nn.Module] | None = None,
        num_blocks: int = 2,
        max_length: int = 50,
        dropout: float = 0.2,
    ) -> None:
        super().__init__(embedding, item_category, features, widths, embed)
        for name, value in (("num_blocks", num_blocks), ("max_length", max_length)):
            if value < 1:
                raise InputError(f"{name} must be at least 1, not {value}")
        if not 0 <= dropout < 1:
            raise InputError(f"dropout must be at least 0 and below 1, not {dropout}")
        dim = self.feature_dim
        self.max_length = max_length
        self.position = nn.Parameter(torch.zeros(max_length, dim))  # the last behaviour's first
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            # One head: with an even number, evaluation would take a kernel that ONNX does not know.
            nn.TransformerEncoderLayer(dim, 1, dim, dropout, batch_first=True, norm_first=True)
            for _ in range(num_blocks)
        )
        self.norm = nn.LayerNorm(dim)
        self.empty = nn.Parameter(torch.zeros(dim))
        self.side = nn.Linear(self.side_dim, dim + 1, bias=False) if self.side_dim else None

    def score(
        self,
        items: Tensor,
        history: Tensor,
        target: Tensor,
        batch: Batch,
        side: Tensor | None = None,
    ) -> Tensor:
        state = per_candidate(self._states(items, history, batch.ptr), batch.candidates)
        query = items.index_select(0, target)
        if self.side is None:
            return self.add_values((state * query).sum(dim=1), batch)
        offset, logit = self.side(side).tensor_split([query.size(1)], dim=1)
        logit = logit.squeeze(1) + ((state + offset) * query).sum(dim=1)
        return self.add_values(logit, batch)

    # The groups change from batch to batch: not compiled.
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def _states(self, items: Tensor, history: Tensor, ptr: Tensor) -> Tensor:
        """State after each history, ``[num_histories, feature_dim]``; arguments as in
        :meth:`score`.
        """
        # One without behaviours is read as of one, whichever: at worst the one that is put here.
        length, end = ptr.diff().clamp(1, self.max_length), ptr[1:]
        history = pad(history, (0, 1))
        if torch.compiler.is_exporting():  # the program knows no length but the longest
            state = self._read(items, history, length, end, self.max_length)
        else:
            length, order = length.sort(stable=True)
            groups = like_lengths(length)
            parts = zip(length.split(groups), end[order].split(groups), strict=True)
            states = [self._read(items, history, *part, int(part[0][-1])) for part in parts]
            state = permute(torch.cat([items[:0], *states]), order.argsort(), order)
        return torch.where(ptr.diff().unsqueeze(1) > 0, state, self.empty)

    def _read(
        self, items: Tensor, history: Tensor, length: Tensor, end: Tensor, longest: int
    ) -> Tensor:
        """The same of histories by their lengths and ends, int64 ``[n]``, padded to ``longest``."""
        # How many behaviours come after each. Behind the last it stands again, seen by none before.
        step = torch.arange(longest, device=end.device)
        after = (length.unsqueeze(1) - 1 - step).clamp(min=0)
        place = (end.unsqueeze(1) - 1 - after).clamp(min=0).flatten()
        behavior = items.index_select(0, history.index_select(0, place))
        rows = self.dropout(behavior + self.position.index_select(0, after.flatten()))
        x = rows.view(*after.shape, rows.size(1))
        mask = nn.Transformer.generate_square_subsequent_mask(longest, x.device, x.dtype)
        with sdpa_kernel(SDPBackend.MATH):  # the others have no second derivative
            for block in self.blocks:
                x = block(x, mask, is_causal=True)
        first = torch.arange(length.numel(), device=x.device) * longest
        state: Tensor = self.norm(x.flatten(0, 1).index_select(0, first + length - 1))
        return state


def like_lengths(length: Tensor) -> list[int]:
    """Sizes of groups of sorted lengths, int64 ``[n]`` from 1, between powers of two: 1, 2, 3 and
    4, 5 to 8, and so on; none of them is 0.
    """
    power = (length - 1).double().frexp().exponent
    sizes: list[int] = power.bincount().tolist()
    return [size for size in sizes if size]
