"""The distinct items of a batch."""

import torch
from torch import Tensor

# Marking a table of all items beats sorting the ids until the table is so many times longer.
_MARKING = 32


def check_ids(ids: Tensor, num_items: int) -> None:
    """Refuses ids outside ``0..num_items - 1`` as a lookup in ``torch.nn.Embedding`` does: at once
    on a CPU, on a GPU by an assertion of the device, which no step waits for.

    Args:
        ids: int64 or int32 ``[n]``.
        num_items: number of items.

    Raises:
        IndexError: if an id is out of range.
    """
    # A lookup indeed, in a table that takes no memory.
    torch.zeros(1, device=ids.device).expand(num_items).index_select(0, ids)


def unique_ids(ids: Tensor, num_items: int | None = None) -> tuple[Tensor, Tensor]:
    """Distinct ids in order, and the place of each id among them: ``ids = values[position]``.

    What ``torch.unique(ids, return_inverse=True)`` returns, without sorting where the items are
    few.

    Args:
        ids: int64 or int32 ``[n]``.
        num_items: number of items; ``None`` if not known.

    Returns:
        values int64 ``[num_distinct]`` (of ``ids``' type if they were sorted), position int64
        ``[n]``.

    Raises:
        IndexError: if the number of items is known and an id out of range, as :func:`check_ids`.
    """
    if num_items is None:
        return torch.unique(ids, return_inverse=True)
    if num_items > _MARKING * ids.numel():
        check_ids(ids, num_items)
        return torch.unique(ids, return_inverse=True)
    seen = torch.zeros(num_items, dtype=torch.bool, device=ids.device)
    seen[ids] = True
    values = seen.nonzero().flatten()
    place = torch.empty(num_items, dtype=torch.long, device=ids.device)
    place[values] = torch.arange(values.numel(), device=ids.device)
    # Selected, not indexed: that would take negative ids for ones counted from the end.
    return values, place.index_select(0, ids)
