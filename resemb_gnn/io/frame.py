"""Reading a log's columns from a file or a frame, checked row by row."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl
import pyarrow as pa

from resemb_gnn.errors import InputError, PlacedError, RowError, brief, shown
from resemb_gnn.io.arrow import ARROW_ERRORS, POLARS_ERRORS, check_names, frame_of
from resemb_gnn.io.parts import Paths, are_paths, shown_paths
from resemb_gnn.io.tables import place_of_row, read_table

if TYPE_CHECKING:
    import pandas as pd

EXACT = 2**53  # below it whole numbers are exact as float numbers

Frame: TypeAlias = "pl.DataFrame | pl.LazyFrame | pa.Table | pd.DataFrame | Paths"


def read_columns(frame: Frame, columns: list[str] | None) -> pl.DataFrame:
    """The named columns, or all, of a polars frame (also lazy), a pandas frame, an Arrow table (or
    what hands out an Arrow stream), or of files, patterns and folders as
    :func:`~resemb_gnn.io.tables.read_table` has them.

    Columns of text files come back as strings, so that no id is changed by guessing its type.

    Raises:
        InputError: if the file is missing, empty, damaged or of another kind, the frame is none or
            cannot be read, or a column is missing or there twice.
    """
    columns = None if columns is None else list(dict.fromkeys(columns))
    if are_paths(frame):
        table = read_table(frame, columns)
    else:
        try:
            table = _from_memory(frame, columns)
        except InputError:
            raise
        except (*ARROW_ERRORS, *POLARS_ERRORS) as error:
            raise InputError(f"the frame cannot be read: {brief(error)}") from error
    if table.is_empty():
        raise InputError(f"{place_of(frame)} holds no rows")
    return table


def place_of(frame: Frame) -> str:
    """How messages name the frame: files by their paths."""
    return shown_paths(frame) if are_paths(frame) else "the frame"


def _from_memory(frame: Any, columns: list[str] | None) -> pl.DataFrame:
    if isinstance(frame, pl.LazyFrame):
        names = frame.collect_schema().names()
    elif isinstance(frame, pl.DataFrame) or hasattr(frame, "iloc"):  # pandas, not imported for it
        names = list(frame.columns)
    elif hasattr(frame, "__arrow_c_stream__"):
        frame = pa.table(frame)
        names = frame.column_names
    else:
        raise InputError(
            "a table must be a polars or pandas frame, an Arrow table or a path, not"
            f" {shown(frame)}"
        )
    columns = names if columns is None else columns
    check_names("the frame", names, columns)
    if isinstance(frame, pl.LazyFrame):
        return frame.select(columns).collect()
    if isinstance(frame, pl.DataFrame):
        return frame.select(columns)
    if isinstance(frame, pa.Table):
        return frame_of("the frame", frame, columns)
    return pl.DataFrame({name: _from_pandas(name, frame[name]) for name in columns})


@contextlib.contextmanager
def naming(place: str, frame: "Frame | None" = None) -> Iterator[None]:
    """Puts ``place`` before the message of an :class:`~resemb_gnn.InputError` of a column. With the
    ``frame`` whose rows the column has, a row in files is named by its line
    (:func:`~resemb_gnn.io.tables.place_of_row`), and no other place is put before that; without, by
    whoever knows the frame.
    """
    kind = PlacedError if are_paths(frame) else InputError
    try:
        with contextlib.nullcontext() if frame is None else naming_lines(frame):
            yield
    except RowError as error:
        raise RowError(f"{place}, {error.where}", error.row, error.what) from None
    except PlacedError:
        raise
    except InputError as error:
        raise kind(f"{place}, {error}") from None
    except pl.exceptions.PanicException as error:  # no Exception: nothing else would catch it
        raise kind(f"{place} holds values that no log can use: {brief(error)}") from error


@contextlib.contextmanager
def naming_lines(frame: Frame) -> Iterator[None]:
    """Names rows in the message of an error of a column by their lines in the frame's files."""
    try:
        yield
    except RowError as error:
        if not are_paths(frame):
            raise
        raise error.at(place_of_row(frame, error.row)) from None


def _from_pandas(name: str, column: "pd.Series[Any]") -> pl.Series:
    try:
        return pl.from_pandas(column)
    except (ValueError, TypeError, NotImplementedError, OverflowError) as error:  # pyarrow's
        raise InputError(f"column {name!r} holds values of no one kind: {error}") from error
    except pl.exceptions.PanicException as error:  # no Exception: nothing else would catch it
        raise InputError(f"column {name!r} cannot be read: {brief(error)}") from error


def parse_labels(column: pl.Series) -> pl.Series:
    """Click labels (0, 1, or true and false, as text of any case) as Float32."""
    refuse_nulls(column)
    column = as_text(column)
    if not (column.dtype.is_numeric() or column.dtype in (pl.String, pl.Boolean)):
        raise InputError(f"column {column.name!r} holds {column.dtype}, not labels")
    numbers = column
    if column.dtype == pl.String:
        numbers = column.str.to_lowercase().replace({"true": "1", "false": "0"})
    numbers = numbers.cast(pl.Float64, strict=False)
    refuse(column, ~numbers.is_in([0.0, 1.0]).fill_null(False), "not a label (0 or 1)")
    return numbers.cast(pl.Float32)


def as_text(column: pl.Series) -> pl.Series:
    """The column; of text that is kept as numbers of its words, the text."""
    return column.cast(pl.String) if column.dtype in (pl.Categorical, pl.Enum) else column


def refuse_nulls(column: pl.Series) -> None:
    """Refuses a column in which a value is missing, as :func:`refuse` does."""
    refuse(column, column.is_null(), "missing")


def refuse(column: pl.Series, bad: pl.Series, why: str) -> None:
    """Refuses a column with ``bad`` rows, naming the first of them.

    Raises:
        RowError: if there is one.
    """
    if bad.any():
        row = bad.arg_true()[0]
        what = f"{shown_value(column, row)} is {why} ({such_rows(bad)})"
        raise RowError(f"column {column.name!r}", row, what)


def such_rows(bad: pl.Series) -> str:
    """How many rows are ``bad``, for a message that names the first."""
    return "1 such row" if bad.sum() == 1 else f"{bad.sum()} such rows"


def shown_value(column: pl.Series, row: int) -> str:
    """A column's value as a message shows it."""
    try:
        value = column[row]
        return shown(value.to_list() if isinstance(value, pl.Series) else value)
    except (ValueError, OverflowError, pl.exceptions.PanicException):
        return f"{shown(column.to_physical()[row])} as {column.dtype}"  # a year beyond Python's
