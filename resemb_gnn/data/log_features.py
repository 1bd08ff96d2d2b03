"""The features of a log's items and users, from a table of theirs."""

from collections.abc import Iterable, Mapping, Sequence

import polars as pl

from resemb_gnn.data.feature_values import split_lists
from resemb_gnn.data.features import Features, FeatureTable, read_features
from resemb_gnn.errors import InputError, RowError, did_you_mean, shown
from resemb_gnn.io.arrow import check_id_name
from resemb_gnn.io.frame import Frame, naming, place_of, read_columns
from resemb_gnn.io.ids import find_ids, parse_ids


def read_table_of(
    frame: Frame,
    id_column: str,
    ids: pl.Series,
    what: str,
    *,
    chosen: Sequence[str] | None = None,
    kinds: Mapping[str, str] | None = None,
    list_separator: str | None = None,
    like: FeatureTable | None = None,
) -> FeatureTable:
    """A table of items or users as features, a row for each of the log's in their order. The
    vocabularies are those of the whole table.

    Args:
        frame: a row an item or user; others than the log's are left out.
        id_column: the column of their ids; every other one is a feature.
        ids: the log's own ids, in the order of their numbers.
        what: ``"items"`` or ``"users"``, for messages.
        chosen: the features to take; all by default.
        kinds: kinds of some of them by name.
        list_separator: what stands between the values of a list in a text column; a text column
            in which it occurs is a list.
        like: a table with the features to take, their kinds and their vocabularies, in place of
            ``chosen`` and ``kinds`` and the table's own.

    Raises:
        InputError: if an id of the log has no row, or one comes twice, or a column is missing or
            cannot be a feature.
    """
    place_name = f"the table of {what} ({place_of(frame)})"
    if like is not None:
        chosen = list(like.features)
    with naming(f"the table of {what}", frame):
        if chosen is not None and id_column in chosen:
            raise InputError(f"{id_column!r} holds the ids of the {what} and is no feature of them")
        table = read_columns(frame, None if chosen is None else [id_column, *chosen])
        check_id_name(place_of(frame), table.columns, id_column, what)
    with naming(place_name, frame):
        own = parse_ids(table[id_column])
        if own.is_duplicated().any():
            row = own.is_duplicated().arg_true()[0]
            what = f"{shown(own[row])} comes twice; an id has one row"
            raise RowError(f"column {id_column!r}", row, what)
        place = find_ids(ids, own)
        if place.null_count():
            first = ids.filter(place.is_null())[0]
            raise InputError(
                f"column {id_column!r} lacks {shown(first)}, which the log has"
                f" ({place.null_count()} of {len(ids)} such {what}); add their rows, empty where"
                " nothing is known"
            )
        # Read as they stand, so that messages name rows of the table.
        if like is not None:
            return like.encode(table, list_separator)[place.to_torch()]
        known = split_lists(table.drop(id_column), list_separator, kinds or {})
        return read_features(known, known.columns, kinds)[place.to_torch()]


def check_kinds(kinds: Iterable[str], features: Features) -> None:
    """Refuses kinds that are given for features that there are not.

    Raises:
        InputError: naming the first of them.
    """
    known = [name for _, table in features.tables() for name in table.features]
    for name in kinds:
        if name not in known:
            raise InputError(
                f"a kind is given for {name!r}, which is no feature; there are {shown(known)}"
                f"{did_you_mean(name, known)}"
            )
