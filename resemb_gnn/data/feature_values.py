"""Columns as the values of features: of which kind they are, their codes, numbers and vectors."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor
from torch_geometric.utils import cumsum

from resemb_gnn.errors import InputError, RowError, shown
from resemb_gnn.io.frame import as_text, refuse
from resemb_gnn.io.ids import find_ids, id_kind, id_texts, is_written, parse_ids
from resemb_gnn.io.times import MOMENT, parse_times

KINDS = ("category", "numeric", "list", "vector")
MISSING, UNKNOWN, FIRST = 0, 1, 2  # codes: no value, one that is in no vocabulary, the first known
_TRUTH = {"true": True, "false": False}
_TRUE_OR_FALSE = _TRUTH | {"1": True, "0": False, "1.0": True, "0.0": False}


def kind_of(column: pl.Series) -> str:
    """The kind of feature that a column's type tells.

    Text is what it would be in a Parquet file: numeric if all of it is numbers, one of them with a
    decimal point, or all of it is dates. Lists of decimal numbers are vectors if they are of one
    length.

    Raises:
        InputError: if it is of a type that no feature has.
    """
    dtype = column.dtype
    if isinstance(dtype, pl.List | pl.Array):
        decimal = dtype.inner.is_float() or isinstance(dtype.inner, pl.Decimal)
        widths = _lengths(column).drop_nulls().n_unique()
        one = widths == 1 or isinstance(dtype, pl.Array)
        return "vector" if decimal and one else "list"
    if dtype.is_nested() or dtype in (pl.Object, pl.Binary):
        raise InputError(f"column {column.name!r} holds {dtype}, which cannot be a feature")
    if dtype == pl.String:
        words = _filled(column).drop_nulls()
        number = words.cast(pl.Float64, strict=False).is_not_null().all()
        decimal = number and words.str.contains(".", literal=True).any()
        dates = len(words) > 0 and words.str.contains(MOMENT).all()
        return "numeric" if decimal or dates else "category"
    fraction = isinstance(dtype, pl.Decimal) and dtype.scale > 0
    return "numeric" if dtype.is_float() or dtype.is_temporal() or fraction else "category"


def read_codes(
    column: pl.Series,
    vocabulary: pl.Series | None = None,
    grow: bool = False,
) -> tuple[Tensor, pl.Series]:
    """Codes of a column's values, int64 ``[n]``, and the vocabulary.

    Args:
        column: the values, ``[n]``.
        vocabulary: the known ones; ``None`` to take them from the column.
        grow: number values that are not known behind those that are.

    Raises:
        InputError: if a value is of another type than the known ones.
    """
    words = _words(column, vocabulary)
    if vocabulary is None:
        vocabulary = words.drop_nulls().unique().sort()
    there = words.is_not_null()
    found = words.filter(there)
    if len(vocabulary) and len(found):
        bad = there & _is_other(words, vocabulary)
        if bad.any():
            at = bad.arg_true()[0]
            raise RowError(
                f"column {column.name!r}",
                at,
                f"{shown(words[at])} is of another type than the feature's values, which are"
                f" {vocabulary.dtype}, such as {shown(vocabulary[0])}",
            )
    if grow:
        vocabulary = _grown(vocabulary, found)
    codes = np.full(len(words), MISSING, dtype=np.int64)
    codes[there.to_numpy()] = (find_ids(found, vocabulary) + FIRST).fill_null(UNKNOWN).to_numpy()
    return torch.from_numpy(codes), vocabulary.alias(column.name)


def read_lists(
    column: pl.Series, vocabulary: pl.Series | None = None, grow: bool = False
) -> tuple[Tensor, pl.Series, Tensor]:
    """Codes of the values of a column of lists one after the other, the vocabulary, and the
    offsets of the rows, int64 ``[n + 1]``. Missing values in a list are left out. Arguments as of
    :func:`read_codes`.

    Raises:
        InputError: if the column holds no lists, or as :func:`read_codes`.
    """
    if column.dtype == pl.Null:
        column = column.cast(pl.List(pl.String))
    if not isinstance(column.dtype, pl.List | pl.Array):
        raise another_kind(column, "list")
    lists = column.cast(pl.List(column.dtype.inner))
    row = pl.int_range(len(lists), eager=True)
    table = pl.DataFrame({"row": row, "value": lists}).explode("value")
    try:
        codes, words = read_codes(table["value"].alias(column.name), vocabulary, grow)
    except RowError as error:  # its row is among the values
        raise RowError(error.where, table["row"][error.row], error.what) from None
    there = codes != MISSING
    length = table["row"].to_torch()[there].bincount(minlength=len(lists))
    return codes[there], words, cumsum(length)


def read_numbers(column: pl.Series) -> Tensor:
    """The numbers of a column, float32 ``[n]``; NaN where there is none, or one that is infinite or
    too large for 32 bits. Dates are seconds since 1970.

    Raises:
        InputError: if a value is no number, naming its row.
    """
    column = _filled(as_text(column))
    if column.dtype.is_nested() or column.dtype in (pl.Object, pl.Binary):
        raise another_kind(column, "numeric")
    numbers = _seconds(column)
    refuse(column, numbers.is_null() & column.is_not_null(), "no number, but the feature is one")
    found = numbers.cast(pl.Float32).fill_null(float("nan"))
    return torch.from_numpy(found.set(found.is_infinite(), float("nan")).to_numpy().copy())


def read_vectors(column: pl.Series, width: int | None = None) -> Tensor:
    """The vectors of a column, float32 ``[n, width]``; NaN throughout where there is none, or an
    empty one, or a number of it is missing.

    Args:
        column: lists or arrays of numbers, also as text.
        width: how many numbers a vector must have; by default as many as the first.

    Raises:
        InputError: if the column holds no lists of numbers, or they differ in length; it names the
            row.
    """
    if column.dtype == pl.Null:
        column = column.cast(pl.List(pl.Float32))
    dtype = column.dtype
    inner = dtype.inner if isinstance(dtype, pl.List | pl.Array) else pl.Object
    if not (inner.is_numeric() or inner in (pl.String, pl.Null)):
        raise another_kind(column, "vector")
    if width is None and isinstance(dtype, pl.Array):
        width = dtype.size
    length = _lengths(column)
    there = length.is_not_null()
    if not width and not there.any():
        raise InputError(f"column {column.name!r} holds no vector: each of its lists is empty")
    width = int(length.drop_nulls()[0]) if width is None else width
    refuse(column, (length != width).fill_null(False), f"no vector of {width} numbers, as others")
    flat = column.filter(there).explode()
    numbers = flat.cast(pl.Float64, strict=False)
    bad = (numbers.is_null() & flat.is_not_null()).arg_true()
    if len(bad):
        row = there.arg_true()[bad[0] // width]
        what = f"{shown(flat[bad[0]])} is no number, but the feature is a vector of them"
        raise RowError(f"column {column.name!r}", row, what)
    found = np.full((len(column), width), np.nan, dtype=np.float32)
    filled = numbers.cast(pl.Float32).fill_null(float("nan")).to_numpy()
    found[there.to_numpy()] = filled.reshape(-1, width)
    found[~np.isfinite(found).all(axis=1)] = np.nan
    return torch.from_numpy(found)


def split_lists(
    table: pl.DataFrame, separator: str | None, kinds: Mapping[str, str]
) -> pl.DataFrame:
    """The table with the text columns in which the separator occurs, or whose kind is a list or
    vector, as lists; an empty text is an empty list.
    """
    if separator is None:
        return table
    if not separator:
        raise InputError("the list separator is empty")
    lists = [
        column.name
        for column in table
        if column.dtype == pl.String
        and (
            kinds.get(column.name) in ("list", "vector")
            or (column.name not in kinds and column.str.contains(separator, literal=True).any())
        )
    ]
    words = pl.col(lists).str.split(separator)
    return table.with_columns(words.list.eval(pl.element().filter(pl.element() != "")))


def another_kind(column: pl.Series, kind: str) -> InputError:
    """What to say of a column that cannot be a feature of the kind."""
    hint = " (the values of a list in text need a list separator)"
    return InputError(
        f"column {column.name!r} holds {column.dtype}, which cannot be a feature of kind {kind!r}"
        + hint * (column.dtype == pl.String)
    )


def _lengths(column: pl.Series) -> pl.Series:
    """Length of each list; null for an empty one, which is none."""
    if isinstance(column.dtype, pl.Array):
        length = pl.repeat(column.dtype.size, len(column), eager=True).set(column.is_null(), None)
    else:
        length = column.list.len().cast(pl.Int64)
    return length.set(length == 0, None)


def _filled(column: pl.Series) -> pl.Series:
    """The column with nulls for empty texts."""
    return column.set(column == "", None) if column.dtype == pl.String else column


def _words(column: pl.Series, vocabulary: pl.Series | None) -> pl.Series:
    """The values of a category in the form of ids, or as truth values."""
    column = _filled(as_text(column))
    dtype = column.dtype
    if dtype == pl.Null:
        return column.cast(pl.String)
    if dtype.is_nested() or dtype in (pl.Object, pl.Binary, pl.Duration):
        raise another_kind(column, "category")
    if vocabulary is not None and len(vocabulary):
        truth = vocabulary.dtype == pl.Boolean
    elif dtype == pl.String:  # as a CSV has them
        words = column.drop_nulls()
        truth = len(words) > 0 and bool(words.str.to_lowercase().is_in(list(_TRUTH)).all())
    else:
        truth = dtype == pl.Boolean
    if not truth:
        return parse_ids(column, nullable=True)
    text = column.cast(pl.String).str.to_lowercase()
    found = text.replace_strict(_TRUE_OR_FALSE, default=None, return_dtype=pl.Boolean)
    refuse(column, found.is_null() & column.is_not_null(), "no truth value, but the feature is one")
    return found


def _is_other(words: pl.Series, vocabulary: pl.Series) -> Any:
    """Which values are of another type than the known ones: of another kind of id, or no whole
    numbers where all known ones are. A number may stand for its own text.
    """
    if id_kind(words) != id_kind(vocabulary):
        return words.is_not_null()
    if vocabulary.dtype.is_integer() and is_written(words) and not words.dtype.is_integer():
        whole = words.cast(pl.Float64, strict=False)
        return (whole % 1 != 0).fill_null(True)
    return pl.repeat(False, len(words), eager=True)


def _grown(vocabulary: pl.Series, words: pl.Series) -> pl.Series:
    """The vocabulary with those words behind it that it lacks, sorted as a vocabulary of its own
    is. Of numbers and texts together it holds the texts, as which a number is the same value.
    """
    words = words.unique().sort()
    new = words.filter(find_ids(words, vocabulary).is_null())
    if not len(new) or not len(vocabulary):
        return new if len(new) else vocabulary
    if new.dtype != vocabulary.dtype:
        if is_written(new):
            vocabulary, new = id_texts(vocabulary), id_texts(new)
        new = new.cast(vocabulary.dtype)
    # Moments of another precision may become one that is known.
    return pl.concat([vocabulary, new.alias(vocabulary.name)]).unique(maintain_order=True)


def _seconds(column: pl.Series) -> pl.Series:
    """The column as Float64, null where it holds no number; dates as seconds since 1970, null
    where microseconds do not reach that far.
    """
    dtype = column.dtype
    if dtype in (pl.Date, pl.Datetime):
        return column.cast(pl.Datetime("us"), strict=False).to_physical() / 1e6
    if dtype == pl.Duration:
        return column.cast(pl.Duration("us"), strict=False).to_physical() / 1e6
    if dtype == pl.Time:
        return column.to_physical() / 1e9
    numbers = column.cast(pl.Float64, strict=False)
    none = numbers.is_null() & column.is_not_null()
    if dtype == pl.String and none.any() and column.str.contains(MOMENT).all():
        moments = parse_times(column.fill_null("1970-01-01"))  # so that an error names the row
        return (moments / 1e6).set(column.is_null(), None)
    return numbers
