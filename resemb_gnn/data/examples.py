"""Training and test examples as windows into a flat log."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from resemb_gnn.data.batch import Batch, cut_windows
from resemb_gnn.data.features import FeatureTable
from resemb_gnn.errors import InputError


@dataclass(frozen=True, eq=False)
class Examples:
    """Examples of click prediction; the history of each is a window into one flat log.

    Args:
        items: the flat log of positive behaviours, int64 ``[num_behaviors]``.
        start: first behaviour of each example's history, int64 ``[num_examples]``.
        end: one past its last behaviour, int64 ``[num_examples]``; may equal ``start``.
        target: candidate item, int64 ``[num_examples]``.
        label: clicked or not, float32 ``[num_examples]``.
        user: user, int64 ``[num_examples]``.
        row: row of the log that each example is of, int64 ``[num_examples]``, so that anything can
            be fetched from there; a drawn negative has its positive's. ``None`` if of no log.
        context: features of all rows of the log, if it has any; needs ``row``.
        negatives: further candidates of each example, labelled 0, which share its history: int64
            ``[num_examples, n]``. ``None`` if there are none.

    Raises:
        InputError: if the parts differ in size, or there is a context without rows.
    """

    items: Tensor
    start: Tensor
    end: Tensor
    target: Tensor
    label: Tensor
    user: Tensor
    row: Tensor | None = None
    context: FeatureTable | None = None
    negatives: Tensor | None = None

    def __post_init__(self) -> None:
        sizes = {name: part.size(0) for name, part in self._parts().items()}
        if self.context is not None and self.row is None:
            raise InputError("examples with a context need the rows of the log that they are of")
        if len(set(sizes.values())) > 1:
            raise InputError(f"the parts of the examples differ in size: {sizes}")

    def _parts(self) -> dict[str, Tensor]:
        """What there is of each example, by name."""
        names = ("start", "end", "target", "label", "user", "row", "negatives")
        return {
            name: part for name, part in vars(self).items() if name in names and part is not None
        }

    def __len__(self) -> int:
        return self.target.numel()

    def __repr__(self) -> str:
        more = "" if self.negatives is None else f", negatives={self.negatives.size(1)} each"
        return f"Examples({len(self)}, positives={int(self.label.sum())}{more})"

    @property
    def candidates(self) -> int:
        """Candidates of each example: its target, and its negatives if there are any."""
        return 1 if self.negatives is None else 1 + self.negatives.size(1)

    def __getitem__(self, index: Tensor) -> "Examples":
        """The examples at ``index`` (int64 or bool tensor)."""
        parts: dict[str, Any] = {name: part[index] for name, part in self._parts().items()}
        return replace(self, **parts)

    def to(self, device: torch.device | str) -> "Examples":
        parts: dict[str, Any] = {
            name: part.to(device) for name, part in vars(self).items() if part is not None
        }
        return replace(self, **parts)

    def past_items(self) -> Tensor:
        """Items of the behaviours that stand in a history of these examples, each once, int64."""
        opened = torch.zeros(self.items.numel() + 1, dtype=torch.long, device=self.items.device)
        opened.index_add_(0, self.start, torch.ones_like(self.start))
        opened.index_add_(0, self.end, -torch.ones_like(self.end))
        return self.items[opened.cumsum(0)[:-1] > 0].unique()

    def batch(
        self, index: Tensor, max_history: int | None = None, fold: int | None = None
    ) -> Batch:
        """Cuts the examples at ``index`` into a jagged batch.

        Args:
            index: which examples, int64 ``[n]``.
            max_history: keep only so many most recent behaviours of each history.
            fold: the fold of all of their users, if it matters.
        """
        end = self.end[index]
        start = self.start[index]
        if max_history is not None:
            start = torch.maximum(start, end - max_history)
        place, ptr = cut_windows(start, end)
        target, label = self.target[index], self.label[index]
        if self.negatives is not None:
            target = torch.cat([target.unsqueeze(1), self.negatives[index]], dim=1).flatten()
            label = label.new_zeros(index.numel(), self.candidates)
            label[:, 0] = self.label[index]
            label, index = label.flatten(), index.repeat_interleave(self.candidates)
        row = None if self.row is None else self.row[index]
        context = None if self.context is None or row is None else self.context[row]
        own = (target, label, self.user[index], fold, row, context)
        return Batch(self.items[place], ptr, *own, self.candidates)

    def batches(
        self,
        batch_size: int,
        max_history: int | None = None,
        generator: torch.Generator | None = None,
        user_fold: Tensor | None = None,
    ) -> Iterator[Batch]:
        """All examples in batches, cut as :meth:`plan` says; arguments as there, and as in
        :meth:`batch`.
        """
        for index, fold in self.plan(batch_size, generator, user_fold):
            yield self.batch(index, max_history, fold)

    def plan(
        self,
        batch_size: int,
        generator: torch.Generator | None = None,
        user_fold: Tensor | None = None,
    ) -> list[tuple[Tensor, int | None]]:
        """Which examples each batch of a pass holds (int64 ``[n]``), and of which fold:
        in order, or shuffled if a ``generator`` is given.

        With ``user_fold`` each batch holds users of one fold only, and the batches of all folds
        come in random order.

        Args:
            batch_size: examples a batch; the last batch may be smaller.
            generator: source of the shuffling.
            user_fold: fold of each user, int64 ``[num_users]``; needs a ``generator``.

        Raises:
            InputError: if ``user_fold`` lacks a user of the examples.
        """
        device = self.target.device
        if generator is None:
            order = torch.arange(len(self), device=device)
        else:
            order = torch.randperm(len(self), generator=generator).to(device)
        if user_fold is None:
            return [(index, None) for index in order.split(batch_size)]
        if len(self) and int(self.user.max()) >= user_fold.numel():
            raise InputError(
                f"user_fold holds {user_fold.numel()} users, but there is a user"
                f" {int(self.user.max())}"
            )
        fold, by_fold = user_fold.to(device)[self.user[order]].sort(stable=True)
        sizes = fold.bincount().tolist()
        parts: list[tuple[Tensor, int | None]] = [
            (index, number)
            for number, indices in enumerate(order[by_fold].split(sizes))
            for index in indices.split(batch_size)
            if index.numel()
        ]
        return [parts[at] for at in torch.randperm(len(parts), generator=generator).tolist()]
