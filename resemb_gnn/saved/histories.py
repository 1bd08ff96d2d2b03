"""What a model needs to know of its users: their latest behaviours."""

from dataclasses import dataclass

import polars as pl
import torch
from torch import Tensor

from resemb_gnn.data import BehaviorLog, Examples
from resemb_gnn.errors import InputError


@dataclass(frozen=True, eq=False)
class Histories:
    """The latest positive behaviours of each user, oldest first.

    Args:
        user_ids: the users' own ids, ``[num_users]``.
        items: item numbers, int64 ``[num_behaviors]``.
        ptr: the history of user ``u`` is ``items[ptr[u]:ptr[u + 1]]``, int64 ``[num_users + 1]``.

    Raises:
        InputError: if the parts do not fit each other.
    """

    user_ids: pl.Series
    items: Tensor
    ptr: Tensor

    def __post_init__(self) -> None:
        if self.ptr.shape != (len(self.user_ids) + 1,) or int(self.ptr[-1]) != self.items.numel():
            raise InputError(
                f"ptr does not cut {self.items.numel()} behaviours among {len(self.user_ids)} users"
            )

    @classmethod
    def of(cls, log: BehaviorLog, most: int) -> "Histories":
        """The last ``most`` positive behaviours of each user of a log, test behaviours included."""
        log = log.positives()
        from_end = log.ptr[1:][log.users] - torch.arange(log.num_behaviors)
        kept = log.select(from_end <= most)
        return cls(kept.user_ids, kept.items, kept.ptr)

    def of_user(self, user: int) -> Tensor:
        """Items of a user by number, int64 ``[n]``."""
        return self.items[int(self.ptr[user]) : int(self.ptr[user + 1])]

    def examples(self, user: Tensor, target: Tensor) -> Examples:
        """One example a pair of user number and candidate, int64 ``[n]`` each; labels are zero."""
        label = torch.zeros(target.numel())
        start, end = self.ptr[user], self.ptr[user + 1]
        return Examples(self.items, start, end, target, label, user)
