"""The distinct items of a batch."""

import torch
from torch import Tensor

# Marking a table of all items beats sorting the ids until the table is so many times longer.
_MARKING = 32


def unique_ids(ids: Tensor, num_items: int | None = None) -> tuple[Tensor, Tensor]:
    """Distinct ids in order, and the place of each id among them: ``ids = values[position]``.

    What ``torch.unique(ids, return_inverse=True)`` returns, without sorting where the ids are known
    to lie in ``0..num_items - 1``.

    Args:
        ids: int64 ``[n]``.
        num_items: number of items; ``None`` if not known.

    Returns:
        values int64 ``[num_distinct]``, position int64 ``[n]``.
    """
    if num_items is None or num_items > _MARKING * ids.numel():
        return torch.unique(ids, return_inverse=True)
    seen = torch.zeros(num_items, dtype=torch.bool, device=ids.device)
    seen[ids] = True
    values = seen.nonzero().flatten()
    place = torch.empty(num_items, dtype=torch.long, device=ids.device)
    place[values] = torch.arange(values.numel(), device=ids.device)
    return values, place[ids]
