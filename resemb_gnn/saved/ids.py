"""Numbers of ids in a model's vocabulary."""

import polars as pl

from resemb_gnn.errors import InputError
from resemb_gnn.io.frame import shown_value
from resemb_gnn.io.ids import find_ids
from resemb_gnn.settings.names import UNKNOWN


def number_ids(ids: pl.Series, vocabulary: pl.Series, unknown: str = "refuse") -> pl.Series:
    """The number of each id, Int64 ``[len(ids)]``, null where the id is unknown.

    Two ids are the same as :mod:`resemb_gnn.io.ids` says: 7, 7.0 and ``"7"`` are, ``"007"`` is
    another.

    Args:
        ids: ids to look up.
        vocabulary: known ids in the order of their numbers.
        unknown: ``"refuse"`` or ``"skip"`` ids that are not known.

    Raises:
        InputError: if an id is missing, or is unknown and ``unknown="refuse"``, or ``unknown`` is
            neither.
    """
    if unknown not in UNKNOWN:
        raise InputError(f"unknown={unknown!r} is unknown; choose from {', '.join(UNKNOWN)}")
    numbers = find_ids(ids, vocabulary)
    bad = numbers.is_null()
    if unknown == "refuse" and bad.any():
        row = bad.arg_true()[0]
        raise InputError(
            f"column {ids.name!r}, row {row} (from 0): {shown_value(ids, row)} is unknown to the"
            f" model ({bad.sum()} such rows; with unknown 'skip' their score is left empty)"
        )
    return numbers
