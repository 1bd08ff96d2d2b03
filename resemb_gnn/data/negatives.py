"""Negative items for a log of positive behaviours."""

import copy
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from resemb_gnn.data.examples import Examples
from resemb_gnn.errors import InputError, check_lengths

_ROUNDS = 30  # of rejection before the few rows left are enumerated


class NegativeSampler:
    """Draws items that a user had not acted on before a point of their history.

    Args:
        items: the flat log of positive behaviours, int64 ``[num_behaviors]``.
        users: user of each behaviour, int64 ``[num_behaviors]``.
        weight: how often an item is drawn in proportion to others, int64 ``[num_items]``: ones
            for uniform negatives, counts of the training behaviours for popularity.

    Raises:
        InputError: if fewer than two items can be drawn, or the behaviours are not as many as
            their users.
    """

    def __init__(self, items: Tensor, users: Tensor, weight: Tensor) -> None:
        check_lengths(items=items, users=users)
        self.num_items = weight.numel()
        if int((weight > 0).sum()) < 2:
            raise InputError(
                f"negatives cannot be drawn: of {self.num_items} items fewer than two"
                " can be a negative"
            )
        self.cumulative = weight.cumsum(0).numpy()
        key, order = (users * self.num_items + items).sort(stable=True)
        first = torch.ones_like(key, dtype=torch.bool)
        first[1:] = key[1:] != key[:-1]
        # Behind all of them one that no pair has, so that every key has a place among them.
        self.key = np.append(key[first].numpy(), np.iinfo(np.int64).max)
        self.first_position = np.append(order[first].numpy(), 0)

    def uniform(self) -> "NegativeSampler":
        """The same, but every item is drawn equally often."""
        other = copy.copy(self)
        other.cumulative = np.arange(1, self.num_items + 1)
        return other

    def draw(
        self, user: Tensor, end: Tensor, target: Tensor, num: int, rng: np.random.Generator
    ) -> Tensor:
        """Negatives for each example, int64 ``[num_examples, num]``.

        None of them is the example's target or an item that its user acted on before flat
        position ``end`` of the log. Several negatives of one example are drawn independently.

        Args:
            user: int64 ``[num_examples]``.
            end: one past the last behaviour of each history, int64 ``[num_examples]``.
            target: int64 ``[num_examples]``.
            num: negatives an example.
            rng: source of the draws.

        Raises:
            InputError: if a user acted on every item that can be drawn, or the parts of the
                examples differ in length.
        """
        check_lengths(user=user, end=end, target=target)
        users, ends, targets = (np.repeat(part.numpy(), num) for part in (user, end, target))
        drawn = np.empty_like(targets)
        open_rows = np.arange(targets.size)
        for _ in range(_ROUNDS):
            if not open_rows.size:
                break
            candidate = self._candidates(open_rows.size, rng)
            drawn[open_rows] = candidate
            bad = candidate == targets[open_rows]
            bad |= self._seen(users[open_rows], candidate, ends[open_rows])
            open_rows = open_rows[bad]
        for row in open_rows:
            drawn[row] = self._enumerate(users[row], ends[row], targets[row], rng)
        return torch.from_numpy(drawn.reshape(len(target), num))

    def _candidates(self, size: int, rng: np.random.Generator) -> "np.ndarray":
        ticket = rng.integers(self.cumulative[-1], size=size)
        return np.searchsorted(self.cumulative, ticket, side="right")

    def _seen(self, user: "np.ndarray", item: "np.ndarray", end: "np.ndarray") -> "np.ndarray":
        key = user * self.num_items + item
        at = np.searchsorted(self.key, key)
        return np.asarray((self.key[at] == key) & (self.first_position[at] < end))

    def _enumerate(self, user: int, end: int, target: int, rng: np.random.Generator) -> int:
        """One draw for a user who has acted on nearly everything."""
        every = np.arange(self.num_items)
        weight = np.diff(self.cumulative, prepend=0)
        weight[self._seen(np.full_like(every, user), every, np.full_like(every, end))] = 0
        weight[target] = 0
        if not weight.sum():
            raise InputError(
                f"user number {user} has acted on every item before behaviour {end} of the log:"
                " no negative is left"
            )
        return int(rng.choice(every, p=weight / weight.sum()))


def with_negatives(
    positives: Examples, sampler: NegativeSampler, num: int, rng: np.random.Generator
) -> Examples:
    """Each positive followed by ``num`` examples with the same history and a drawn target.

    Raises:
        InputError: as :meth:`NegativeSampler.draw`.
    """
    drawn = sampler.draw(positives.user, positives.end, positives.target, num, rng)
    label = torch.zeros(len(positives), 1 + num)
    label[:, 0] = 1
    repeated = positives[torch.arange(len(positives)).repeat_interleave(1 + num)]
    target = torch.cat([positives.target[:, None], drawn], dim=1)
    return replace(repeated, target=target.flatten(), label=label.flatten())
