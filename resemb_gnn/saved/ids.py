"""Numbers of ids in a vocabulary."""

import polars as pl

from resemb_gnn.errors import InputError, shown
from resemb_gnn.io.frame import parse_ids


def number_ids(ids: pl.Series, vocabulary: pl.Series, unknown: str = "refuse") -> pl.Series:
    """The number of each id, Int64 ``[len(ids)]``, null where the id is unknown.

    An id is the same whether it comes as a number or as the text of that number.

    Args:
        ids: ids to look up.
        vocabulary: known ids in the order of their numbers.
        unknown: ``"refuse"`` or ``"skip"`` ids that are not known.

    Raises:
        InputError: if an id is missing, or is unknown and ``unknown="refuse"``.
    """
    parsed = parse_ids(ids).cast(vocabulary.dtype, strict=False)
    known = pl.DataFrame({"id": vocabulary, "number": range(len(vocabulary))}).cast(
        {"number": pl.Int64}
    )
    found = pl.DataFrame({"id": parsed}).join(known, on="id", how="left", maintain_order="left")
    numbers = found["number"]
    bad = numbers.is_null()
    if unknown == "refuse" and bad.any():
        row = bad.arg_true()[0]
        raise InputError(
            f"column {ids.name!r}, row {row} (from 0): {shown(ids[row])} is unknown to the model"
            f" ({bad.sum()} such rows; with unknown 'skip' their score is left empty)"
        )
    return numbers
