"""The order of a user's behaviours of one time, which the table that they come from does not tell.

A basket's products stand in a file by their ids, and an engine's rows in no order at all. An order
by either would tell a model where in the basket an item stood.
"""

from collections.abc import Sequence
from hashlib import md5
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from ibis.expr.types import Column, StringValue

_DIGITS = 16  # hexadecimal ones of the digest: 64 bits


def break_ties(
    rows: pl.DataFrame, by: Sequence[str], user_ids: pl.Series, item_ids: pl.Series
) -> pl.DataFrame:
    """Sorted rows, with those that are alike in ``by`` in an order drawn from the ids of user and
    item: the first 64 bits of the MD5 digest of ``"USER<tab>ITEM"``, then by item and label. It is
    neither that of the rows nor that of the ids, and another one for each user.

    Args:
        rows: sorted by ``by``, with the columns ``user`` and ``item`` of numbers.
        by: columns that tell rows apart.
        user_ids: the users' own ids.
        item_ids: the items' own ids.
    """
    new = np.ones(len(rows) + 1, dtype=bool)
    new[1:-1] = False
    for name in by:
        values = rows[name].to_numpy()
        new[1:-1] |= values[1:] != values[:-1]
    places = np.flatnonzero(~(new[1:] & new[:-1]))
    if not places.size:
        return rows
    tied = rows[places]
    ids = pl.DataFrame({"user": user_ids[tied["user"]], "item": item_ids[tied["item"]]})
    text = ids.select(pl.format("{}\t{}", "user", "item")).to_series()
    tied = tied.with_columns(key=_digests(text), place=places)
    keys = [*by, "key", *(name for name in ("item", "label") if name in rows.columns)]
    order = np.arange(len(rows))
    order[places] = tied.sort(keys, maintain_order=True)["place"].to_numpy()
    return rows[order]


def _digests(texts: pl.Series) -> pl.Series:
    every = (md5(text.encode(), usedforsecurity=False).digest() for text in texts.to_list())
    return pl.Series(np.frombuffer(b"".join(every), dtype=">u8")[::2].astype(np.uint64))


def tie_order(user: "Column", item: "Column") -> "StringValue":
    """The same order of ties as a query's column."""
    text = user.cast("string") + "\t" + item.cast("string")
    return text.hexdigest("md5").left(_DIGITS)
