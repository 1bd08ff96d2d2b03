"""What a model keeps of its users and a later log, as one log."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import torch
from torch import Tensor
from torch_geometric.utils import cumsum

from resemb_gnn.data import BehaviorLog, Features, FeatureTable
from resemb_gnn.data.feature_rows import joined_rows, missing_rows, rows_of
from resemb_gnn.data.vocabulary import number_and_extend
from resemb_gnn.errors import InputError
from resemb_gnn.io.ids import id_texts
from resemb_gnn.saved.extended import features_over, without_rows
from resemb_gnn.saved.histories import Histories

if TYPE_CHECKING:
    from resemb_gnn.saved.trained_model import TrainedModel


@dataclass(frozen=True, eq=False)
class ContinuedLog:
    """A model's histories and the rows of a later log, over the items and users of both: known ones
    keep their numbers, and new ones follow.

    Args:
        log: of each user what the model knew, as clicks without times of their own that come before
            all others, and then the new rows.
        is_new: which of its rows are new, bool ``[num_behaviors]``.
        content: the features of all items that the graph's node features hold, if they hold some.
        told: whether the later log tells of them.
    """

    log: BehaviorLog
    is_new: Tensor
    content: FeatureTable | None
    told: bool

    @classmethod
    def of(cls, trained: "TrainedModel", log: BehaviorLog, name: str) -> "ContinuedLog":
        """The histories of a model and a later log, in numbers of its own.

        Known items keep their category. Features of items and users are the log's where it has a
        table of them, else the model's own; one of whom neither knows anything has no values. A
        value that the model does not have is numbered behind those that it has.

        Args:
            trained: the model.
            log: the log.
            name: how messages name it.

        Raises:
            InputError: if the log has no rows; if it has labels where the training's had none, or
                none where it had some, or its ids are of another type; if it lacks a feature or the
                categories of the model, or has a feature of another kind.
        """
        if not log.num_behaviors:
            raise InputError(f"{name} holds no rows")
        logged = trained.facts["data"]["split"].get("negatives") == "logged"
        if logged != (log.labels is not None):
            has = "had labels, but {} has none" if logged else "had no labels, but {} has some"
            raise InputError(f"the training's log {has.format(name)}")
        own = trained.histories
        item, item_ids = number_and_extend(log.item_ids, trained.item_ids, "item")
        user, user_ids = number_and_extend(log.user_ids, own.user_ids, "user")
        category, category_ids = _categories(trained, log, item, len(item_ids), name)
        old = own.items.numel()
        users = torch.cat([own.users, user[log.users]])
        order = users.argsort(stable=True)  # of a user's, what the model knew stays before the rest
        labels = None if log.labels is None else torch.cat([torch.ones(old), log.labels])
        features = features_over(trained, log, item_ids, user_ids, log, name, grow=True)
        if features is not None and features.context is not None:
            of_old = missing_rows(features.context, old)
            every = joined_rows([of_old, features.context])[order]
            features = Features(features.items, features.users, every)
        joined = BehaviorLog(
            items=torch.cat([own.items, item[log.items]])[order],
            ptr=cumsum(users.bincount(minlength=len(user_ids))),
            times=torch.cat([_times_before(own, log.times), log.times])[order],
            user_ids=user_ids,
            item_ids=item_ids,
            labels=None if labels is None else labels[order],
            item_category=category,
            category_ids=category_ids,
            features=features,
        )
        theirs = None if log.features is None else log.features.items
        content = trained.graph_features
        if content is not None and features is not None and features.items is not None:
            known = features.items.features
            content = FeatureTable({one: known[one] for one in content.features})
        elif content is not None:
            content = rows_of(content, trained.item_ids, item_ids, theirs, log.item_ids)
        return cls(joined, order >= old, content, theirs is not None)

    @property
    def features(self) -> Features | None:
        """The features of items and users, and those of the context without rows."""
        return without_rows(self.log.features)

    def near(
        self, rows: Tensor, window: int, feature: str | None = None
    ) -> tuple[BehaviorLog, Tensor]:
        """The log of new rows and of the last ``window`` behaviours that their users had before:
        all that is joined to them.

        Args:
            rows: which of the rows, bool ``[num_behaviors]``; of them, the new ones count.
            window: how many places apart two behaviours are joined.
            feature: the items' feature whose values take the place of the items, if one is named.

        Returns:
            The log, and the row of :attr:`log` of each of its behaviours, int64 ``[n]``.
        """
        log, at = self.log, torch.arange(self.log.num_behaviors)
        if feature is not None:  # behaviours without a value do not count as places
            log = log.of(feature)
            assert log.rows is not None
            at = log.rows
        users, is_new = log.users, self.is_new[at]
        rows = rows[at] & is_new
        num_old = users[~is_new].bincount(minlength=log.num_users)
        place = torch.arange(log.num_behaviors) - log.ptr[users]
        joined = users[rows].bincount(minlength=log.num_users) > 0
        kept = rows | ((place >= num_old[users] - window) & joined[users] & ~is_new)
        return log.select(kept), at[kept]


def _times_before(own: Histories, times: Tensor) -> Tensor:
    """A time for each behaviour of histories: in their order, and before all others."""
    from_end = own.ptr[1:][own.users] - torch.arange(own.items.numel())
    first = times.min()
    # The nearest float number may be more than 1 away: of nanoseconds since 1970, 256.
    step = max(1, np.spacing(abs(first.item()))) if first.is_floating_point() else 1
    return first - step * from_end.to(times.dtype)


def _categories(
    trained: "TrainedModel", log: BehaviorLog, item: Tensor, num_items: int, name: str
) -> tuple[Tensor | None, pl.Series | None]:
    """The category of each item, int64 ``[num_items]``, and the categories' ids; ``None`` if the
    model knows none.
    """
    own, known = trained.item_category, trained.category_ids
    if own is None or known is None:
        return None, None
    if log.item_category is None or log.category_ids is None:
        raise InputError(f"{name} lacks the categories of items that the model was trained with")
    theirs = log.category_ids
    if theirs.dtype != known.dtype:
        theirs, known = id_texts(theirs), id_texts(known)
    place = pl.DataFrame({"id": known}).with_row_index("place")
    # A missing category is one of its own.
    found = pl.DataFrame({"id": theirs}).join(
        place, on="id", how="left", nulls_equal=True, maintain_order="left"
    )["place"]
    new = found.is_null()
    every = pl.concat([known, theirs.filter(new).alias(known.name)])
    following = len(known) - 1 + new.cast(pl.Int64).cum_sum()
    number = torch.from_numpy(following.zip_with(new, found.cast(pl.Int64)).to_numpy().copy())
    category = torch.cat([own, own.new_zeros(num_items - len(own))])
    first = item >= len(own)
    category[item[first]] = number[log.item_category[first]]
    return category, every
