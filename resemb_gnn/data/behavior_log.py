"""The behaviour log: who acted on which item, in time order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl
import torch
from torch import Tensor
from torch_geometric.utils import cumsum

from resemb_gnn.data.features import FIRST, Features
from resemb_gnn.data.log_table import read_log_table
from resemb_gnn.data.saved_log import read_log, write_log
from resemb_gnn.data.split import Split, split_log
from resemb_gnn.data.windows import first_of_moment
from resemb_gnn.errors import InputError, shown
from resemb_gnn.io.frame import Frame


@dataclass(frozen=True, eq=False, repr=False)
class BehaviorLog:
    r"""Users' behaviours as flat tensors in user-then-time order (compressed sparse rows).

    The behaviours of user ``u`` stand at ``ptr[u]:ptr[u + 1]``, oldest first, told apart as finely
    as the table does. Behaviours of one time (a basket) have no order of their own:
    :meth:`from_frame` lays them in one that is drawn from the ids of user and item
    (:mod:`resemb_gnn.data.tie_order`), and histories of a split end before them. A repeated row
    is a repeated behaviour and is kept (:attr:`num_repeated` counts them).
    Users and items are numbered from 0 in the sorted order of their ids, so a log does not
    depend on the order of its rows; those alike in user, item, time and label keep theirs.

    Args:
        items: item of each behaviour, int64 ``[num_behaviors]``.
        ptr: offsets of the users, int64 ``[num_users + 1]``.
        times: time of each behaviour, int64 or float64 ``[num_behaviors]``; dates are
            microseconds since 1970, rounded down: nanoseconds order the behaviours and are not
            kept.
        user_ids: the users' own ids, ``[num_users]``.
        item_ids: the items' own ids (the vocabulary), ``[num_items]``.
        labels: click labels (0 or 1), float32 ``[num_behaviors]``; ``None`` if every row is a
            positive behaviour.
        item_category: category number of each item, int64 ``[num_items]``.
        category_ids: the categories' own ids, ``[num_categories]``.
        features: what is known of items, users and behaviours besides, or ``None``.
        rows: row of the table that the log was read from, of each behaviour, int64
            ``[num_behaviors]``; by default they are numbered as they stand.

    Raises:
        InputError: if the parts do not fit each other.
    """

    items: Tensor
    ptr: Tensor
    times: Tensor
    user_ids: pl.Series
    item_ids: pl.Series
    labels: Tensor | None = None
    item_category: Tensor | None = None
    category_ids: pl.Series | None = field(default=None)
    features: Features | None = None
    rows: Tensor | None = None

    def __post_init__(self) -> None:
        rows = self.items.numel()
        steps = self.ptr.diff()
        if (
            self.ptr.shape != (len(self.user_ids) + 1,)
            or int(self.ptr[0]) != 0
            or int(self.ptr[-1]) != rows
            or bool((steps < 0).any())
        ):
            raise InputError(f"ptr does not cut {rows} behaviours among {len(self.user_ids)} users")
        parts = {"items": self.items, "times": self.times, "labels": self.labels, "rows": self.rows}
        for name, values in parts.items():
            if values is not None and values.shape != (rows,):
                raise InputError(f"{name} has shape {list(values.shape)}, not [{rows}]")
        if rows and not 0 <= int(self.items.min()) <= int(self.items.max()) < self.num_items:
            raise InputError(f"items must lie in 0..{self.num_items - 1}")
        if (self.item_category is None) != (self.category_ids is None):
            raise InputError("item_category and category_ids go together")
        if self.item_category is not None and self.item_category.shape != (self.num_items,):
            raise InputError(
                f"item_category has shape {list(self.item_category.shape)}, not [{self.num_items}]"
            )
        if self.item_category is not None and self.num_items:
            low, high = self.item_category.aminmax()
            if not 0 <= int(low) <= int(high) < self.num_categories:
                raise InputError(f"item_category must lie in 0..{self.num_categories - 1}")
        if self.features is not None:
            self.features.check(items=self.num_items, users=self.num_users, context=rows)

    @classmethod
    def from_frame(
        cls,
        frame: Frame,
        user: str,
        item: str,
        time: str,
        category: str | None = None,
        label: str | None = None,
        *,
        items: "Frame | None" = None,
        users: "Frame | None" = None,
        context: Sequence[str] = (),
        item_features: Sequence[str] | None = None,
        user_features: Sequence[str] | None = None,
        time_features: Sequence[str] = (),
        kinds: Mapping[str, str] | None = None,
        list_separator: str | None = None,
    ) -> "BehaviorLog":
        """Reads a log from a table with one behaviour a row.

        Args:
            frame: polars frame (also lazy), pandas frame or Arrow table; or the path of a
                ``.csv``, of a ``.tsv`` or ``.txt`` (fields between tabs), each also as ``.gz``,
                of a ``.parquet``, of a folder of such files, a pattern as
                ``"logs/2025-*.parquet"``, or a list of these.
            user: column of the users' ids (integers or strings; :mod:`resemb_gnn.io.ids`).
            item: column of the items' ids, likewise.
            time: column of times: numbers, dates, or strings that hold either.
            category: column of the items' categories. An item that comes with several gets
                its most frequent one; a missing category is a category of its own.
            label: column of click labels (0 or 1, or true or false), for a log of impressions.
            items: table with a row an item, whose column of ids has the log's name for it; every
                other column is a feature.
            users: likewise of the users.
            context: columns of the log that are features of a row, such as the page it was shown
                on.
            item_features: columns of ``items`` to take; all by default.
            user_features: columns of ``users`` to take.
            time_features: features of a row that its time tells, some of ``"hour"``, ``"weekday"``,
                ``"item_age"`` and ``"gap"`` (:func:`~resemb_gnn.data.time_columns`).
            kinds: kinds of features by name, in place of those that their types tell: text, whole
                numbers and truth values are a ``"category"``, decimal numbers and dates
                ``"numeric"``, lists a ``"list"``, lists of decimal numbers of one length a
                ``"vector"``.
            list_separator: what stands between the values of a list in a text column, such as
                ``"|"``; a text column in which it occurs is a list.

        Warns:
            UserWarning: if the category differs within an item, or a feature tells the label by
                itself.

        Raises:
            InputError: if a column is missing, the table is empty, or an id, a time or a label
                is missing or cannot be read; if an item or user of the log has no row in its table
                or several, a column cannot be a feature, or two features have one name. It names
                column, row and value.

        Examples:
            >>> import polars as pl
            >>> rows = [("ann", "tea", 3), ("bob", "tea", 1), ("ann", "cup", 2), ("bob", "pot", 5)]
            >>> frame = pl.DataFrame(rows, ["who", "what", "when"], orient="row")
            >>> log = BehaviorLog.from_frame(frame, user="who", item="what", time="when")
            >>> log.num_users, log.num_items
            (2, 3)
            >>> log.item_ids.gather(log.items.numpy()).to_list()  # by user, then time
            ['cup', 'tea', 'tea', 'pot']
            >>> log.ptr.tolist()
            [0, 2, 4]
        """
        parts = read_log_table(
            frame,
            (user, item, time, category, label),
            items=items,
            users=users,
            context=context,
            item_features=item_features,
            user_features=user_features,
            time_features=time_features,
            kinds=kinds,
            list_separator=list_separator,
        )
        return cls(**parts)

    @property
    def num_users(self) -> int:
        return len(self.user_ids)

    @property
    def num_items(self) -> int:
        return len(self.item_ids)

    @property
    def num_behaviors(self) -> int:
        return self.items.numel()

    @property
    def num_categories(self) -> int:
        """Number of categories; 0 if the log has none."""
        return 0 if self.category_ids is None else len(self.category_ids)

    @property
    def num_repeated(self) -> int:
        """Number of behaviours whose user, item and time an earlier one has."""
        moment = first_of_moment(self.users, self.times)
        return self.num_behaviors - (moment * self.num_items + self.items).unique().numel()

    @property
    def users(self) -> Tensor:
        """User of each behaviour, int64 ``[num_behaviors]``."""
        return torch.arange(self.num_users).repeat_interleave(self.ptr.diff())

    def of(self, feature: str) -> "BehaviorLog":
        """The log of the values of an item feature in the items' place, such as their authors:
        its co-visit graph makes an embedding for the feature (``embed`` of the click models).

        Item ``v`` of it is value ``v`` of the feature's vocabulary. Behaviours on items without a
        value are left out; of a list every value counts.

        Args:
            feature: name of a category or list of the items.

        Raises:
            InputError: if there is no such feature.
        """
        table = None if self.features is None else self.features.items
        known = {one.name: one for one in table or () if one.vocabulary is not None}
        found = known.get(feature)
        if found is None or found.vocabulary is None:
            raise InputError(
                f"{feature!r} is no category or list of the items; there are {shown(list(known))}"
            )
        every = torch.arange(self.num_behaviors)
        at = found[self.items]
        every = every if at.ptr is None else every.repeat_interleave(at.ptr.diff())
        there = at.values >= FIRST
        every, values = every[there], at.values[there] - FIRST
        counts = self.users[every].bincount(minlength=self.num_users)
        features = self._features_at(every)
        return BehaviorLog(
            items=values,
            ptr=cumsum(counts),
            times=self.times[every],
            user_ids=self.user_ids,
            item_ids=found.vocabulary,
            labels=None if self.labels is None else self.labels[every],
            features=None if features is None else replace(features, items=None) or None,
            rows=every if self.rows is None else self.rows[every],
        )

    def _features_at(self, behaviors: Tensor) -> Features | None:
        """The features with the context of some of the behaviours, int64 ``[n]``."""
        if self.features is None or self.features.context is None:
            return self.features
        return replace(self.features, context=self.features.context[behaviors])

    def item_counts(self) -> Tensor:
        """Behaviours of each item, int64 ``[num_items]``."""
        return self.items.bincount(minlength=self.num_items)

    def select(self, mask: Tensor) -> "BehaviorLog":
        """The log of the behaviours in ``mask`` (bool ``[num_behaviors]``), same vocabularies.

        Raises:
            InputError: if the mask has another shape or type.
        """
        if mask.shape != self.items.shape or mask.dtype != torch.bool:
            raise InputError(
                f"mask is {mask.dtype} {list(mask.shape)}, not bool [{self.num_behaviors}]"
            )
        counts = self.users[mask].bincount(minlength=self.num_users)
        rows = torch.arange(self.num_behaviors) if self.rows is None else self.rows
        return replace(
            self,
            items=self.items[mask],
            ptr=cumsum(counts),
            times=self.times[mask],
            labels=None if self.labels is None else self.labels[mask],
            features=self._features_at(mask.nonzero().flatten()),
            rows=rows[mask],
        )

    def positives(self) -> "BehaviorLog":
        """The log of the positive behaviours alone, without labels; itself if it has none."""
        if self.labels is None:
            return self
        return replace(self.select(self.labels > 0), labels=None)

    def split(self, by: str = "last", **options: Any) -> Split:
        """Cuts the log into training, validation and test: :func:`~resemb_gnn.data.split_log`."""
        return split_log(self, by, **options)

    def save(self, folder: str | Path) -> None:
        """Writes behaviours, users and items (the vocabularies) as Parquet files.

        Raises:
            InputError: if nothing can be written there, or a file that is no log's has the name of
                one of these.
        """
        write_log(self, folder)

    @classmethod
    def load(cls, folder: str | Path) -> "BehaviorLog":
        """Reads what :meth:`save` wrote.

        Raises:
            InputError: if a file is missing or damaged, or the files do not fit each other.
        """
        return cls(**read_log(folder))

    def __repr__(self) -> str:
        parts = f"users={self.num_users}, items={self.num_items}, behaviors={self.num_behaviors}"
        if self.labels is not None:
            parts += f", positives={int(self.labels.sum())}"
        if self.category_ids is not None:
            parts += f", categories={self.num_categories}"
        return f"{type(self).__name__}({parts})"
