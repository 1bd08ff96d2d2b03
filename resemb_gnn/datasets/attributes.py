"""One category an item, out of several attributes."""

import polars as pl


def main_attribute(pairs: pl.DataFrame, num_items: int) -> pl.DataFrame:
    """The most telling attribute of each item, as its category.

    That is the most frequent one that fewer than half of the items have (the smallest of
    equally frequent ones): what nearly every item has tells nothing, and a rare attribute
    groups too few. Items with no such attribute are not in the result.

    Args:
        pairs: columns ``item`` and ``attribute``; a repeated pair counts once.
        num_items: number of items that half is taken of.

    Returns:
        Columns ``item`` and ``category``, an item a row.
    """
    counted = pairs.unique().with_columns(count=pl.len().over("attribute"))
    counted = counted.filter(pl.col("count") * 2 < num_items)
    best = counted.sort(["item", "count", "attribute"], descending=[False, True, False])
    best = best.unique("item", keep="first", maintain_order=True)
    return best.select("item", category="attribute")
