"""Contenders: a training step of each click model, and of DIEN on padded histories."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.nn.utils.rnn import pad_sequence

import resemb_gnn as rg
from benchmarks.speed.ours import Task, contender, plain
from benchmarks.timing import Contender


class PaddedDIEN(rg.DIEN):
    """The same model and loss on histories padded to the longest of the batch."""

    def __init__(self, embedding: nn.Module) -> None:
        super().__init__(embedding)
        self.gru = nn.GRU(self.feature_dim, self.feature_dim, batch_first=True)

    def score(
        self,
        items: Tensor,
        history: Tensor,
        target: Tensor,
        batch: rg.Batch,
        side: Tensor | None = None,
    ) -> Tensor:
        lengths = batch.ptr.diff()
        rows = pad_sequence(list(history.split(lengths.tolist())), batch_first=True)
        place = torch.arange(rows.size(1), device=rows.device)
        mask = place < lengths[:, None]  # [batch_size, longest]
        behavior, query = items[rows], items[target]
        states, _ = self.gru(behavior)
        score = (states * self.attention(query)[:, None]).sum(dim=2)
        weight = score.masked_fill(~mask, -torch.inf).softmax(dim=1)
        interest = self._evolve(states, weight, mask)
        pooled = (behavior * mask[..., None]).sum(dim=1) / lengths[:, None]
        if self.training:
            shape = rows[:, 1:].shape
            drawn = torch.randint(history.numel(), shape, device=rows.device)
            negative = items[history[drawn]]
            losses = softplus(-(states[:, :-1] * behavior[:, 1:]).sum(dim=2))
            losses = losses + softplus((states[:, :-1] * negative).sum(dim=2))
            self._auxiliary_loss = (losses * mask[:, 1:]).sum() / mask[:, 1:].sum()
        features = torch.cat([interest, query, pooled, query * pooled], dim=1)
        return self.mlp(self.norm(features)).squeeze(1)

    def _evolve(self, states: Tensor, attention: Tensor, mask: Tensor) -> Tensor:
        cell, width = self.evolution, self.feature_dim
        gates = torch.addmm(cell.bias, states.flatten(0, 1), cell.weight_input.t())
        gates = gates.view(*mask.shape, -1)
        state = torch.zeros_like(states[:, 0])
        for step in range(mask.size(1)):
            by_input, by_state = gates[:, step], state @ cell.weight_hidden.t()
            both = by_input[:, : 2 * width] + by_state[:, : 2 * width]
            reset, update = both.sigmoid().chunk(2, dim=1)
            new = (by_input[:, 2 * width :] + reset * by_state[:, 2 * width :]).tanh()
            share = update * attention[:, step, None] * mask[:, step, None]
            state = state.lerp(new, share)
        return state


MODELS: dict[str, Callable[[nn.Module], rg.models.CTRModel]] = {
    "DIN": rg.DIN,
    "pooled MLP": rg.PooledMLP,
    "Wide & Deep": rg.WideDeep,
    "PNN": rg.PNN,
    "DIEN": rg.DIEN,
    "DIEN, padded": PaddedDIEN,
}


def models(task: Task, steps: int) -> list[Contender]:
    """Each with a plain table, on batches cut beforehand. The padded DIEN has PyTorch's GRU, and an
    AUGRU step by step in autograd.
    """
    return [
        contender(name, task, make(plain(task)), steps, prepared=True)
        for name, make in MODELS.items()
    ]
