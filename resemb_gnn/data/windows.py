"""Which earlier behaviours of a user each row of a log looks back on."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from resemb_gnn.data.behavior_log import BehaviorLog


def windows(log: "BehaviorLog", positives: "BehaviorLog") -> tuple[Tensor, Tensor]:
    """Window into the positives of earlier time than each row of the log: first behaviour and one
    past the last, int64 ``[num_behaviors]`` each.
    """
    users = log.users
    start, first = positives.ptr[users], first_of_moment(users, log.times)
    if log.labels is None:
        return start, first
    clicks_before = torch.nn.functional.pad(log.labels.long().cumsum(0), (1, 0))
    return start, clicks_before[first]


def first_of_moment(users: Tensor, times: Tensor) -> Tensor:
    """The first row that has a row's user and time, int64 ``[n]``.

    Args:
        users: user of each row, sorted.
        times: time of each row, sorted within a user.
    """
    new = torch.ones_like(users, dtype=torch.bool)
    new[1:] = (users[1:] != users[:-1]) | (times[1:] != times[:-1])
    return torch.where(new, torch.arange(users.numel()), 0).cummax(0).values
