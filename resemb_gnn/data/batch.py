"""Jagged batches: histories of different lengths, one after the other."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch_geometric.utils import cumsum

from resemb_gnn.data.features import FeatureTable


@dataclass(frozen=True, eq=False)
class Batch:
    """A jagged batch: histories of different lengths one after the other, no padding.

    Args:
        history: item of each behaviour, int64 ``[num_behaviors]``, oldest first.
        ptr: history ``h`` is ``history[ptr[h]:ptr[h + 1]]``, int64 ``[num_histories + 1]``.
        target: candidate item, int64 ``[batch_size]``.
        label: clicked or not, float32 ``[batch_size]``.
        user: user, int64 ``[batch_size]``.
        fold: the fold of all of the batch's users, if the batches were cut by fold.
        row: row of the log that each example is of, int64 ``[batch_size]``; a drawn negative has
            its positive's. ``None`` if the examples are of no log.
        context: the features of these rows, if the log has any.
        candidates: so many examples in a row share a history, and with it user, row and context:
            ``batch_size`` is ``candidates`` times ``num_histories``. With 1, example ``b`` has
            history ``b``.
    """

    history: Tensor
    ptr: Tensor
    target: Tensor
    label: Tensor
    user: Tensor
    fold: int | None = None
    row: Tensor | None = None
    context: FeatureTable | None = None
    candidates: int = 1

    def __len__(self) -> int:
        return self.target.numel()

    def to(self, device: torch.device | str) -> "Batch":
        return Batch(
            self.history.to(device),
            self.ptr.to(device),
            self.target.to(device),
            self.label.to(device),
            self.user.to(device),
            self.fold,
            None if self.row is None else self.row.to(device),
            None if self.context is None else self.context.to(device),
            self.candidates,
        )

    def pairs(self) -> tuple[Tensor, Tensor]:
        """The pairs of a candidate and a behaviour of its history, by candidate.

        Returns:
            The place of the behaviour in ``history``, int64 ``[num_pairs]``, and the offsets of the
            candidates' pairs, int64 ``[batch_size + 1]``.
        """
        if self.candidates == 1:
            return torch.arange(self.history.numel(), device=self.history.device), self.ptr
        if self.ptr.numel() == 2:  # one history, whose length an exported program leaves open
            length, device = self.history.numel(), self.history.device
            place = torch.arange(length, device=device).repeat(self.candidates)
            return place, torch.arange(self.candidates + 1, device=device) * length
        bounds = (end.repeat_interleave(self.candidates) for end in (self.ptr[:-1], self.ptr[1:]))
        return cut_windows(*bounds)

    def expanded(self) -> "Batch":
        """The same examples, each with a history of its own."""
        if self.candidates == 1:
            return self
        place, ptr = self.pairs()
        return replace(self, history=self.history[place], ptr=ptr, candidates=1)


def cut_windows(start: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
    """The places from ``start`` to one before ``end`` of each window (int64 ``[num_windows]``
    each), one window after the other, int64 ``[total]``, and the windows' offsets among them,
    int64 ``[num_windows + 1]``.
    """
    length = end - start
    ptr = cumsum(length)
    # Place p of the result, in window b, is place p + (start_b - ptr_b).
    shift = (start - ptr[:-1]).repeat_interleave(length)
    return torch.arange(shift.numel(), device=shift.device) + shift, ptr
