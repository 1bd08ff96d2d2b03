"""What a model needs to know of its users: their latest behaviours."""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import torch
from torch import Tensor
from torch_geometric.utils import cumsum

from resemb_gnn.data import BehaviorLog, Examples
from resemb_gnn.data.vocabulary import number_and_extend
from resemb_gnn.errors import InputError


@dataclass(frozen=True, eq=False)
class Histories:
    """The latest positive behaviours of each user, oldest first.

    Args:
        user_ids: the users' own ids, ``[num_users]``.
        items: item numbers, int64 ``[num_behaviors]``.
        ptr: the history of user ``u`` is ``items[ptr[u]:ptr[u + 1]]``, int64 ``[num_users + 1]``.
        times: time of each behaviour, ``[num_behaviors]``, the lowest number of its type where it
            is not known, which is before any other; ``None`` if none is known.

    Raises:
        InputError: if the parts do not fit each other.
    """

    user_ids: pl.Series
    items: Tensor
    ptr: Tensor
    times: Tensor | None = None

    def __post_init__(self) -> None:
        if self.ptr.shape != (len(self.user_ids) + 1,) or int(self.ptr[-1]) != self.items.numel():
            raise InputError(
                f"ptr does not cut {self.items.numel()} behaviours among {len(self.user_ids)} users"
            )
        if self.times is not None and self.times.shape != self.items.shape:
            raise InputError(
                f"times has shape {list(self.times.shape)}, not {list(self.items.shape)}"
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

    @property
    def users(self) -> Tensor:
        """User of each behaviour, int64 ``[num_behaviors]``."""
        return torch.arange(len(self.user_ids)).repeat_interleave(self.ptr.diff())

    def continued(self, log: BehaviorLog) -> tuple["Histories", Tensor]:
        """The histories with the positive behaviours of a later log behind them, and the number of
        each of its users. The users that are known keep their numbers, and the log's others follow.

        Args:
            log: the log, over the same item numbers.

        Raises:
            InputError: as :func:`~resemb_gnn.data.vocabulary.number_and_extend`.
        """
        number, user_ids = number_and_extend(log.user_ids, self.user_ids, "user")
        later = log.positives()
        users = torch.cat([self.users, number[later.users]])
        order = users.argsort(stable=True)  # of a user's, what is known stays before the log's
        lowest = torch.finfo if later.times.is_floating_point() else torch.iinfo
        before = later.times.new_full(self.items.shape, lowest(later.times.dtype).min)
        return Histories(
            user_ids,
            torch.cat([self.items, later.items])[order],
            cumsum(users.bincount(minlength=len(user_ids))),
            torch.cat([before, later.times])[order],
        ), number

    def with_users(self, ids: pl.Series) -> "Histories":
        """The histories with an empty one behind them for each user that is not among them.

        Args:
            ids: users' own ids, each as often as it may be.

        Raises:
            InputError: as :func:`~resemb_gnn.data.vocabulary.number_and_extend`.
        """
        asked = ids.unique(maintain_order=True).alias(self.user_ids.name)
        _, user_ids = number_and_extend(asked, self.user_ids, "user")
        more = len(user_ids) - len(self.user_ids)
        ptr = torch.cat([self.ptr, self.ptr[-1:].expand(more)])
        return replace(self, user_ids=user_ids, ptr=ptr)

    def ends(self, user: Tensor, time: Tensor | None = None) -> Tensor:
        """One past the last behaviour of users before points of time, int64 ``[n]``: those of the
        same time do not count.

        Args:
            user: user numbers, int64 ``[n]``.
            time: times, ``[n]``; ``None`` for all that is known.
        """
        if time is None or self.times is None:
            return self.ptr[user + 1]
        moments, rank = np.unique(self.times.numpy(), return_inverse=True)
        # Behaviours are sorted by user, then time: so are these numbers of both.
        of_behaviors = self.users.numpy() * (moments.size + 1) + rank
        asked = user.numpy() * (moments.size + 1) + np.searchsorted(moments, time.numpy())
        return torch.from_numpy(np.searchsorted(of_behaviors, asked))

    def examples(self, user: Tensor, target: Tensor, time: Tensor | None = None) -> Examples:
        """One example a pair of user number and candidate, int64 ``[n]`` each, at a time as
        :meth:`ends` has it; labels are zero.
        """
        label = torch.zeros(target.numel())
        start, end = self.ptr[user], self.ends(user, time)
        return Examples(self.items, start, end, target, label, user)
