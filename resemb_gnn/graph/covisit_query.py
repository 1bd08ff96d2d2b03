"""The co-visit counts of a log as one query, for the engine that holds the log.

Written once with `Ibis <https://ibis-project.org>`_, which is imported where it is used; the
counts are those of :func:`~resemb_gnn.graph.covisit_graph`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from resemb_gnn.data.tie_order import tie_order
from resemb_gnn.errors import InputError
from resemb_gnn.graph.covisit import check_at_least_one
from resemb_gnn.graph.query_times import order_by_time
from resemb_gnn.io.ids import missing_in_query, whole_in_query

if TYPE_CHECKING:
    from ibis.expr.types import Column, Table


def covisit_edges(
    table: "Table",
    user: str,
    item: str,
    time: str,
    window: int = 5,
    min_count: int = 1,
    top_k: int | None = None,
    label: str | None = None,
    order: str | Sequence[str] = (),
) -> "Table":
    """The edges of :func:`~resemb_gnn.covisit_graph` as a query of an Ibis table, not yet run.

    It runs where the table lives, on DuckDB and on Spark alike. A check of the rows runs at once.

    Args:
        table: one behaviour a row.
        user: column of the users' ids (integers or strings, or whole numbers of another type).
        item: column of the items' ids, likewise.
        time: column of times: numbers, dates, or strings that hold either, as in
            ``BehaviorLog.from_frame``.
        window: how many places apart two behaviours may stand.
        min_count: leave out pairs that were visited together less often.
        top_k: keep each item's so many heaviest edges; an edge stays if either end keeps it.
        label: column of labels, 0 or 1; only rows of label 1 count.
        order: column or columns that tell the order of a user's behaviours of one time, if there
            are such. Behaviours that are alike in these too come in the order that
            ``BehaviorLog.from_frame`` draws (:mod:`resemb_gnn.data.tie_order`).

    Returns:
        Table of ``item``, ``neighbor`` (ids, ``item < neighbor``; where all are whole numbers, as
        integers, as ``BehaviorLog`` reads them) and ``weight`` (int64, the counts): each
        pair once, in no order.

    Raises:
        InputError: if an argument is below 1, a column is missing or of a wrong type, the table is
            empty, or an id, a time or a label is missing or cannot be read.
    """
    check_at_least_one(window=window, min_count=min_count, top_k=top_k)
    edges = count_pairs(pairs(behaviors(table, user, item, time, label, order), window), min_count)
    return edges if top_k is None else heaviest(both_ways(edges), top_k).distinct()


def behaviors(
    table: "Table",
    user: str,
    item: str,
    time: str,
    label: str | None = None,
    order: str | Sequence[str] = (),
) -> "Table":
    """The log as columns ``user``, ``item``, ``order0`` and so on (by which a user's rows are in
    order: the time, the columns of ``order``, what ties fall by) and ``counts`` (bool).

    Raises:
        InputError: as :func:`covisit_edges`.
    """
    order = [order] if isinstance(order, str) else order
    for name in [user, item, time, *([label] if label is not None else []), *order]:
        if name not in table.columns:
            raise InputError(f"the table has no column {name!r}; its columns are {table.columns}")
    no_time, times = order_by_time(table, time)
    integers = _refuse_bad_rows(table, user, item, time, label, no_time)
    import ibis

    ids = {
        role: table[name].cast("int64") if name in integers else table[name]
        for role, name in (("user", user), ("item", item))
    }
    ties = tie_order(ids["user"], ids["item"])
    keys = [*times, *(table[name] for name in order), ties]
    return table.select(
        **ids,
        **{f"order{place}": key for place, key in enumerate(keys)},
        counts=ibis.literal(True) if label is None else table[label].cast("int64") > 0,
    )


def _refuse_bad_rows(
    table: "Table", user: str, item: str, time: str, label: str | None, no_time: Any
) -> set[str]:
    """Columns of other types whose ids are all integers. One query counts all that is wrong."""
    wrong: dict[tuple[str, str], Any] = {}
    for name in (user, item):
        kind = table[name].type()
        if not (kind.is_string() or kind.is_numeric()):
            raise _not_ids(name, kind)
        if not kind.is_integer():
            wrong[name, ""] = ~whole_in_query(table[name])
    if no_time is not None:
        wrong[time, "not a time"] = no_time
    if label is not None:
        kind = table[label].type()
        if not (kind.is_numeric() or kind.is_boolean()):
            raise InputError(f"column {label!r} holds {kind}, not labels")
        wrong[label, "not a label (0 or 1)"] = ~table[label].cast("float64").isin([0.0, 1.0])
    for name in [time, *([label] if label is not None else [])]:
        wrong[name, "missing"] = table[name].isnull()
    for name in (user, item):
        wrong[name, "missing"] = missing_in_query(table[name])
    sums = {f"wrong{i}": bad.fill_null(False).sum() for i, bad in enumerate(wrong.values())}
    found = table.agg(rows=table.count(), **sums).to_pyarrow().to_pylist()[0]
    if not found["rows"]:
        raise InputError("the table holds no rows")
    integers = set()
    for place, (name, why) in enumerate(wrong):
        bad = found[f"wrong{place}"]
        if not why and not bad:
            integers.add(name)
        elif why and bad:
            raise InputError(f"column {name!r}: {bad} of {found['rows']} rows are {why}")
    for name in (user, item):
        kind = table[name].type()
        if not (name in integers or kind.is_string() or kind.is_integer()):
            raise _not_ids(name, kind)
    return integers


def _not_ids(name: str, kind: Any) -> InputError:
    return InputError(f"column {name!r} holds {kind}, not integers or strings")


def number_items(log: "Table") -> "Table":
    """Items of a log: ``item``, ``count`` (behaviours that count), ``number`` in sorted order."""
    import ibis

    items = log.group_by("item").agg(count=log.counts.cast("int64").sum())
    return items.mutate(number=ibis.row_number().over(ibis.window(order_by="item")))


def with_numbers(log: "Table", items: "Table") -> "Table":
    """The log with its items' numbers for their ids, without the rows that do not count."""
    names = items.select(of="item", number="number")
    joined = log.filter(log.counts).join(names, [("item", "of")])
    return joined.drop("item", "of").rename(item="number")


def pairs(log: "Table", window: int) -> "Table":
    """Pairs of a user's behaviours within the window: ``item < neighbor``, one row a pair."""
    import ibis

    log = log.filter(log.counts)
    order = [*(name for name in log.columns if name.startswith("order")), "item"]
    of_user = ibis.window(group_by="user", order_by=order)
    # One pass over a user's behaviours; a union over the distances would make one for each.
    later = ibis.array([log.item.lead(k).over(of_user) for k in range(1, window + 1)])
    rows = log.select("item", later=later)
    rows = rows.select("item", other=rows.later.unnest())
    rows = rows.filter(rows.other.notnull(), rows.other != rows.item)
    return rows.select(
        item=ibis.least(rows.item, rows.other), neighbor=ibis.greatest(rows.item, rows.other)
    )


def count_pairs(pairs: "Table", min_count: int = 1) -> "Table":
    """Edges: the distinct pairs and how often each comes (``weight``)."""
    edges = pairs.group_by("item", "neighbor").agg(weight=pairs.count())
    return edges if min_count == 1 else edges.filter(edges.weight >= min_count)


def both_ways(edges: "Table") -> "Table":
    """Each edge from both of its ends."""
    back = edges.select(item="neighbor", neighbor="item", weight="weight")
    return edges.select("item", "neighbor", "weight").union(back)


def heaviest(edges: "Table", top_k: int) -> "Table":
    """Each item's ``top_k`` heaviest of the edges both ways, once for each end that keeps it."""
    import ibis

    best = ibis.window(group_by="item", order_by=[ibis.desc("weight"), "neighbor"])
    ranked = edges.mutate(rank=ibis.row_number().over(best))
    kept = ranked.filter(ranked.rank < top_k)
    low, high = (f(kept.item, kept.neighbor) for f in (ibis.least, ibis.greatest))
    return kept.select(item=low, neighbor=high, weight="weight")


def part_of(column: "Column", bounds: Sequence[int], first: int = 0) -> "Column":
    """Which part a number falls in, of those that start at 0 and at the sorted ``bounds``."""
    import ibis

    if not bounds:
        return ibis.literal(first, "int32")
    middle = len(bounds) // 2
    return ibis.ifelse(
        column < bounds[middle],
        part_of(column, bounds[:middle], first),
        part_of(column, bounds[middle + 1 :], first + middle + 1),
    )
