"""What an id is, and when two are the same.

An id is a whole number or a text that is not empty; a number with a fraction, a truth value, a
date or a moment passes as well. Two ids are the same if they are one number, one text, or a number
and the canonical text of that number: 7, 7.0 and ``"7"`` are one id; ``"007"``, ``"+7"``,
``"7.0"``, 7.9 and the date that is stored as 7 are others. A float number so large that it may
stand for several whole ones is none.
"""

from typing import TYPE_CHECKING, Any

import polars as pl

from resemb_gnn.errors import InputError, brief
from resemb_gnn.io.frame import refuse

if TYPE_CHECKING:
    from ibis.expr.types import Column

# Below these, whole numbers are exact as float numbers.
_EXACT = {"Float64": 2**53, "Float32": 2**24, "Float16": 2**11}
_POLARS = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
_NANOSECONDS = {"ms": 10**6, "us": 10**3, "ns": 1}


def parse_ids(column: pl.Series, nullable: bool = False) -> pl.Series:
    """Ids in the form that a log keeps: Int64 where every one is a whole number of 64 bits or the
    canonical text of one; else the texts of categories and of decimal numbers, and anything else
    as it is.

    Missing ids, which an empty string is, too, are refused unless ``nullable``.

    Raises:
        InputError: naming the column, and the row of an id that is missing or none.
    """
    column = _plain(column)
    if nullable and column.dtype.is_float():
        column = column.fill_nan(None)
    if not nullable:
        refuse(column, column.is_null(), "missing")
    if column.dtype.is_float():
        refuse(column, ~column.is_finite(), "not an id")
        refuse(column, ~_is_exact(column), "not an id: a float number of this size is not exact")
    if not is_written(column):
        return column
    whole = column.cast(pl.Int64, strict=False)
    again = whole.cast(pl.String) if column.dtype == pl.String else whole
    if whole.null_count() == column.null_count() and bool((again == column).all()):
        return whole  # pairs of nulls do not count
    return column


def is_written(ids: pl.Series) -> bool:
    """Whether the ids are numbers or texts, one of which may be the same as one of the other."""
    return ids.dtype.is_numeric() or ids.dtype == pl.String


def id_kind(ids: pl.Series) -> Any:
    """What two ids that :func:`parse_ids` returned must share to be the same."""
    if is_written(ids):
        return pl.String
    if isinstance(ids.dtype, pl.Datetime):
        return pl.Datetime, ids.dtype.time_zone is None
    return ids.dtype


def id_texts(ids: pl.Series) -> pl.Series:
    """Ids that :func:`parse_ids` returned as their canonical texts: of a whole number its digits,
    of another the shortest decimal number that is read back as it.
    """
    if not ids.dtype.is_float():
        return ids.cast(pl.String)
    wide = ids.cast(pl.Float64)
    whole = wide.cast(pl.Int64, strict=False)
    return whole.cast(pl.String).zip_with(whole == wide, wide.cast(pl.String))


def find_ids(ids: pl.Series, known: pl.Series) -> pl.Series:
    """The place of each id among the known ones, Int64 ``[len(ids)]``; null if it is none of them.

    Args:
        ids: ids of any type.
        known: different ids, as :func:`parse_ids` returns them.

    Raises:
        InputError: if an id is missing, or the column's type cannot hold ids.
    """
    column = _plain(ids)
    if column.dtype.is_float():
        column = column.fill_nan(None)
    refuse(column, column.is_null(), "missing")
    if column.dtype.is_float():
        column = column.set(~_is_exact(column), None)  # it is no id, so no known one
    column = parse_ids(column, nullable=True)
    if id_kind(column) != id_kind(known):
        return pl.repeat(None, len(column), dtype=pl.Int64, eager=True)
    if column.dtype != known.dtype:
        column, known = _comparable(column), _comparable(known)
    place = pl.int_range(len(known), eager=True)
    if len(column) == 1:  # a server asks for one item, and a join would hash all that are known
        place = place.filter((known == column).fill_null(False))
        known = known.gather(place)
    table = pl.DataFrame({"id": known, "place": place})
    wanted = pl.DataFrame({"id": column})
    return wanted.join(table, on="id", how="left", maintain_order="left")["place"]


def id_column(ids: Any, name: str) -> pl.Series:
    """Ids that a caller gave, a series or a sequence, as a series; one of its own keeps its name.

    Raises:
        InputError: if they are no sequence, or of no one kind.
    """
    if isinstance(ids, pl.Series):
        return ids
    if isinstance(ids, str | bytes):
        raise InputError(f"column {name!r} must be a sequence of ids, not {ids!r}")
    # polars would make a 1 of True among numbers.
    if isinstance(ids, list | tuple) and {bool} < {type(one) for one in ids if one is not None}:
        raise InputError(f"column {name!r} holds ids of no one kind: truth values and others")
    try:
        return pl.Series(name, ids)
    except (TypeError, ValueError, OverflowError, NotImplementedError, *_POLARS) as error:
        raise InputError(f"column {name!r} holds no ids of one kind: {brief(error)}") from error


def missing_in_query(column: "Column") -> Any:
    """Which ids of an engine's column are missing, by the rule of :func:`parse_ids`."""
    missing = column.isnull()
    return missing | (column == "") if column.type().is_string() else missing


def whole_in_query(column: "Column") -> Any:
    """Which ids of an engine's column are whole numbers of 64 bits or their canonical texts, by
    the rule of :func:`parse_ids`.
    """
    kind, whole = column.type(), column.try_cast("int64")
    if kind.is_string():
        return (whole.cast("string") == column).fill_null(False)
    same = (whole == column).fill_null(False)
    return same & (column.abs() < _EXACT[type(kind).__name__]) if kind.is_floating() else same


def _plain(column: pl.Series) -> pl.Series:
    """The column with texts for categories and decimal numbers, and null for empty texts."""
    if column.dtype in (pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
    if isinstance(column.dtype, pl.Decimal):
        text = column.cast(pl.String)
        fraction = column.dtype.scale > 0
        return text.str.strip_chars_end("0").str.strip_chars_end(".") if fraction else text
    if column.dtype.is_nested() or column.dtype in (pl.Object, pl.Binary, pl.Duration):
        raise InputError(f"column {column.name!r} holds {column.dtype}, which cannot be an id")
    return column.set(column == "", None) if column.dtype == pl.String else column


def _is_exact(column: pl.Series) -> pl.Series:
    return column.abs() < _EXACT[str(column.dtype)]


def _comparable(ids: pl.Series) -> pl.Series:
    """Ids of one kind but of several types as one type."""
    if isinstance(ids.dtype, pl.Datetime):
        unit = pl.Series([_NANOSECONDS[ids.dtype.time_unit]], dtype=pl.Int128)
        return ids.to_physical().cast(pl.Int128) * unit
    return id_texts(ids)
