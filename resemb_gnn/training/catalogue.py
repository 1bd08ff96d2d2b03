"""The items of a model, embedded once, and scored after one history after the other."""

from dataclasses import replace

import torch
from torch import Tensor

from resemb_gnn.data import Batch
from resemb_gnn.errors import InputError
from resemb_gnn.models import CTRModel
from resemb_gnn.models.ctr_model import per_candidate

_CHUNK = 2048  # items that are scored at once: what belongs to them stays in the cache


class Catalogue:
    """All items of a model as candidates.

    What the model knows of an item is computed here, for all of them; a history is read once for
    all its candidates where the model can.

    Args:
        model: the model, in evaluation mode; it knows its number of items.

    Raises:
        InputError: if the embedding does not tell its number of items.
    """

    @torch.no_grad()
    def __init__(self, model: CTRModel) -> None:
        size = model.items.num_embeddings
        if size is None:
            raise InputError(f"{type(model.embedding).__name__} does not tell its number of items")
        self.model = model
        device = next(model.parameters()).device
        parts = torch.arange(size, device=device).split(_CHUNK)
        self.vectors = torch.cat([model.item_features(part) for part in parts])

    @torch.no_grad()
    def logits(self, batch: Batch, candidates: Tensor | None = None) -> Tensor:
        """Logits of candidates after the histories of a batch of one example each.

        Args:
            batch: the examples; their targets and labels are not looked at.
            candidates: item numbers, int64 ``[n]``, the same after each history, or ``[batch_size,
                n]``; all items if ``None``.

        Returns:
            ``[batch_size, n]``.
        """
        if candidates is None:
            candidates = torch.arange(self.vectors.size(0), device=self.vectors.device)
        side = self.model.side_features(batch)
        parts = candidates.expand(len(batch), -1).split(_CHUNK, dim=1)
        return torch.cat([self._logits(batch, part, side) for part in parts], dim=1)

    def _logits(self, batch: Batch, ids: Tensor, side: Tensor | None) -> Tensor:
        size, length = ids.size(1), batch.history.numel()
        each = torch.arange(len(batch), device=ids.device).repeat_interleave(size)
        shared = replace(
            batch,
            target=ids.flatten(),
            label=batch.label[each],
            user=batch.user[each],
            row=None if batch.row is None else batch.row[each],
            context=None if batch.context is None else batch.context[each],
            candidates=size,
        )
        positions = torch.arange(length, device=ids.device)
        if not self.model.shares_history:
            positions, shared = shared.pairs()[0], shared.expanded()
        items = self.vectors[torch.cat([batch.history, shared.target])]
        target = torch.arange(length, length + ids.numel(), device=ids.device)
        beside_them = () if side is None else (per_candidate(side, size),)
        found: Tensor = self.model.score(items, positions, target, shared, *beside_them)
        return found.view(len(batch), size)
