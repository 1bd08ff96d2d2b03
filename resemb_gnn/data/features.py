"""Features of items, users and rows of the log: what is known of them besides their ids."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor
from torch_geometric.utils import cumsum

from resemb_gnn.errors import InputError, did_you_mean, shown
from resemb_gnn.io.ids import find_ids, parse_ids

KINDS = ("category", "numeric", "list", "vector")
MISSING, UNKNOWN, FIRST = 0, 1, 2  # codes: no value, one that is in no vocabulary, the first known


@dataclass(frozen=True, eq=False)
class Feature:
    """One feature of ``n`` items, users or rows.

    ============ ==================================== ================ =========================
    kind         a row's value                        ``values``       missing
    ============ ==================================== ================ =========================
    ``category`` one value of a vocabulary            int64 ``[n]``    code 0
    ``list``     several of them, or none             int64 ``[m]``    no value
    ``numeric``  a number                             float32 ``[n]``  NaN
    ``vector``   numbers, as many in every row        float32 ``[n, width]``  NaN throughout
    ============ ==================================== ================ =========================

    Codes are 2 for the first value of the vocabulary, 3 for the next and so on; 1 stands for a
    value that is not in it.

    Args:
        name: its name, of the column that it was read from.
        values: as the table says.
        vocabulary: the values of a ``category`` or ``list``, in the order of their codes.
        ptr: the codes of row ``i`` of a ``list`` are ``values[ptr[i]:ptr[i + 1]]``, int64
            ``[n + 1]``.

    Raises:
        InputError: if the parts do not fit each other (codes and offsets by :meth:`check` alone,
            since a batch is cut from them at every step).
    """

    name: str
    values: Tensor
    vocabulary: pl.Series | None = None
    ptr: Tensor | None = None

    def __post_init__(self) -> None:
        dims = (1, 2) if self.vocabulary is None else (1,)
        if self.values.dim() not in dims or (self.vocabulary is None and self.ptr is not None):
            raise self._misfit()

    def check(self) -> "Feature":
        """Refuses codes and offsets that do not fit; returns the feature.

        Raises:
            InputError: if one does not.
        """
        if self.vocabulary is not None and self.values.numel():
            low, high = self.values.aminmax()
            if int(low) < (MISSING if self.ptr is None else UNKNOWN) or int(high) >= self.num_codes:
                raise self._misfit()
        if self.ptr is not None:
            ends = int(self.ptr[0]) == 0 and int(self.ptr[-1]) == self.values.numel()
            if not ends or bool((self.ptr.diff() < 0).any()):
                raise self._misfit()
        return self

    def _misfit(self) -> InputError:
        return InputError(f"the parts of the feature {self.name!r} do not fit each other")

    @property
    def kind(self) -> str:
        """One of ``KINDS``."""
        if self.vocabulary is None:
            return "numeric" if self.values.dim() == 1 else "vector"
        return "category" if self.ptr is None else "list"

    @property
    def num_codes(self) -> int:
        """Number of codes of a ``category`` or ``list``, those for missing and unknown values
        included.
        """
        return FIRST + (0 if self.vocabulary is None else len(self.vocabulary))

    def __len__(self) -> int:
        return self.values.size(0) if self.ptr is None else self.ptr.numel() - 1

    def __getitem__(self, index: Tensor) -> "Feature":
        """The rows at ``index``, int64 ``[k]``."""
        if self.ptr is None:
            return replace(self, values=self.values[index])
        start, length = self.ptr[index], self.ptr.diff()[index]
        ptr = cumsum(length)
        shift = (start - ptr[:-1]).repeat_interleave(length)
        place = torch.arange(shift.numel(), device=shift.device) + shift
        return replace(self, values=self.values[place], ptr=ptr)

    def to(self, device: torch.device | str) -> "Feature":
        """The feature on another device."""
        ptr = None if self.ptr is None else self.ptr.to(device)
        return replace(self, values=self.values.to(device), ptr=ptr)

    def missing(self) -> Tensor:
        """Which rows have no value, bool ``[n]``."""
        if self.ptr is not None:
            return self.ptr.diff() == 0
        if self.vocabulary is not None:
            return self.values == MISSING
        return self.values.isnan() if self.values.dim() == 1 else self.values.isnan().all(dim=1)

    def decode(self) -> pl.Series:
        """The values as they were read; an unknown one is null, as a missing one is."""
        if self.vocabulary is None:
            found = self.values.cpu().numpy()
            if self.values.dim() == 2:
                return pl.Series(self.name, found, pl.Array(pl.Float32, found.shape[1]))
            return pl.Series(self.name, found, nan_to_null=True)
        codes = pl.Series(self.values.cpu().numpy()) - FIRST
        words = self.vocabulary.gather(codes.set(codes < 0, None)).alias(self.name)
        if self.ptr is None:
            return words
        rows = torch.arange(len(self)).repeat_interleave(self.ptr.cpu().diff())
        table = pl.DataFrame({"row": pl.Series(rows.numpy()), self.name: words})
        lists = table.drop_nulls().group_by("row", maintain_order=True).agg(self.name)
        every = pl.DataFrame({"row": pl.int_range(len(self), eager=True)})
        return every.join(lists, on="row", how="left", maintain_order="left")[self.name]


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """Features of the same items, users or rows, by name.

    Args:
        features: them; all of one length.

    Raises:
        InputError: if their lengths differ.
    """

    features: dict[str, Feature]

    def __post_init__(self) -> None:
        sizes = {name: len(feature) for name, feature in self.features.items()}
        if len(set(sizes.values())) > 1:
            raise InputError(f"the features differ in length: {sizes}")

    def __len__(self) -> int:
        return next((len(feature) for feature in self.features.values()), 0)

    def __iter__(self) -> Any:
        return iter(self.features.values())

    def __getitem__(self, index: Tensor) -> "FeatureTable":
        """The rows at ``index``, int64 ``[k]``."""
        return FeatureTable({name: feature[index] for name, feature in self.features.items()})

    def to(self, device: torch.device | str) -> "FeatureTable":
        """The table on another device."""
        return FeatureTable({name: feature.to(device) for name, feature in self.features.items()})

    def decode(self) -> pl.DataFrame:
        """The values as they were read."""
        return pl.DataFrame([feature.decode() for feature in self])

    def encode(self, frame: pl.DataFrame) -> "FeatureTable":
        """Other rows with the same features: numbers by the vocabularies of this table.

        Raises:
            InputError: if a column is missing or of another kind than here.
        """
        found = {}
        for feature in self:
            if feature.name not in frame.columns:
                raise InputError(
                    f"the column {feature.name!r} is missing, a feature that the model was trained"
                    f" with; there are {shown(frame.columns)}"
                )
            found[feature.name] = read_feature(
                frame[feature.name], feature.kind, feature.vocabulary
            )
        return FeatureTable(found)

    def summary(self) -> list[dict[str, Any]]:
        """Name, kind, number of values and share of rows without one, of each feature."""
        return [
            {
                "name": feature.name,
                "kind": feature.kind,
                "num_values": None if feature.vocabulary is None else len(feature.vocabulary),
                "missing": float(feature.missing().float().mean()) if len(feature) else 0.0,
            }
            for feature in self
        ]


@dataclass(frozen=True, eq=False)
class Features:
    """What is known of a log's items, users and rows.

    Args:
        items: a row an item, in the order of their numbers, or ``None``.
        users: a row a user, likewise.
        context: a row a behaviour of the log, likewise.

    Raises:
        InputError: if two of them have a feature of one name.
    """

    items: FeatureTable | None = None
    users: FeatureTable | None = None
    context: FeatureTable | None = None

    def __post_init__(self) -> None:
        names = [name for _, table in self.tables() for name in table.features]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(
                f"{shown(twice[0])} is a feature of two of items, users and context: rename one"
            )

    def tables(self) -> list[tuple[str, FeatureTable]]:
        """The tables that are there, by name."""
        every = (("items", self.items), ("users", self.users), ("context", self.context))
        return [(name, table) for name, table in every if table is not None]

    def __bool__(self) -> bool:
        return bool(self.tables())


def read_features(
    frame: pl.DataFrame, names: Iterable[str], kinds: Mapping[str, str] | None = None
) -> FeatureTable:
    """Columns of a frame as features, with vocabularies of their own.

    Args:
        frame: a row an item, user or behaviour.
        names: the columns.
        kinds: kinds of some of them by name, in place of those that their types tell: text, whole
            numbers and truth values are a ``category``, decimal numbers are ``numeric``, lists are
            a ``list``, fixed-size arrays of decimal numbers a ``vector``.

    Raises:
        InputError: if a column is missing, or cannot be of its kind; it names column and row.
    """
    found = {}
    for name in names:
        if name not in frame.columns:
            near = did_you_mean(name, frame.columns)
            raise InputError(f"there is no column {name!r}, but {shown(frame.columns)}{near}")
        found[name] = read_feature(frame[name], (kinds or {}).get(name))
    return FeatureTable(found)


def read_feature(
    column: pl.Series, kind: str | None = None, vocabulary: pl.Series | None = None
) -> Feature:
    """A column as a feature.

    Args:
        column: its values, ``[n]``.
        kind: one of ``KINDS``; ``None`` for the one that the column's type tells.
        vocabulary: the known values; ``None`` to take them from the column.

    Raises:
        InputError: if the column cannot be of the kind.
    """
    kind = kind or kind_of(column)
    if kind not in KINDS:
        raise InputError(
            f"the kind {shown(kind)} of the feature {column.name!r} is unknown; choose from"
            f" {', '.join(KINDS)}"
        )
    if kind == "numeric":
        return Feature(column.name, torch.from_numpy(_numbers(column)))
    if kind == "vector":
        return Feature(column.name, torch.from_numpy(_vectors(column)))
    if kind == "category":
        if column.dtype.is_nested():
            raise _another_kind(column, kind)
        codes, words = _encode(column, vocabulary)
        return Feature(column.name, codes, words)
    if not isinstance(column.dtype, pl.List | pl.Array):
        raise _another_kind(column, kind)
    lists = column.cast(pl.List(column.dtype.inner)).list.drop_nulls()
    length = lists.list.len().fill_null(0).cast(pl.Int64)
    codes, words = _encode(lists.explode(empty_as_null=False).drop_nulls(), vocabulary)
    return Feature(column.name, codes, words, cumsum(torch.from_numpy(length.to_numpy().copy())))


def kind_of(column: pl.Series) -> str:
    """The kind of feature that a column's type tells.

    Text is numeric if every value is a number and one has a fraction, as in a CSV.

    Raises:
        InputError: if it is of a type that no feature has.
    """
    dtype = column.dtype
    if isinstance(dtype, pl.Array) and dtype.inner.is_float():
        return "vector"
    if isinstance(dtype, pl.List | pl.Array):
        return "list"
    if dtype.is_float() or isinstance(dtype, pl.Decimal):
        return "numeric"
    if dtype == pl.String:
        words = column.filter(column != "")
        numbers = words.cast(pl.Float64, strict=False)
        decimal = len(words) > 0 and not numbers.null_count() and bool((numbers % 1 != 0).any())
        return "numeric" if decimal else "category"
    if dtype.is_nested() or dtype in (pl.Object, pl.Binary):
        raise InputError(f"column {column.name!r} holds {dtype}, which cannot be a feature")
    return "category"


def _encode(column: pl.Series, vocabulary: pl.Series | None) -> tuple[Tensor, pl.Series]:
    """Codes of the values, and the vocabulary."""
    words = _words(column)
    if vocabulary is None:
        vocabulary = words.drop_nulls().unique().sort()
    place = find_ids(words.drop_nulls(), vocabulary) + FIRST
    codes = np.zeros(len(words), dtype=np.int64)
    codes[words.is_not_null().to_numpy()] = place.fill_null(UNKNOWN).to_numpy()
    return torch.from_numpy(codes), vocabulary.alias(column.name)


def _words(column: pl.Series) -> pl.Series:
    """The values of a category as ids are: text, numbers, dates."""
    if column.dtype == pl.Boolean:
        column = column.cast(pl.String)
    if column.dtype == pl.Null:
        return column.cast(pl.String)
    return parse_ids(column, nullable=True)


def _numbers(column: pl.Series) -> "np.ndarray":
    """The numbers of a column as float32, NaN where there is none."""
    if column.dtype == pl.String:
        column = column.set(column == "", None)
    if column.dtype.is_nested() or column.dtype in (pl.Object, pl.Binary):
        raise _another_kind(column, "numeric")
    if column.dtype.is_temporal():
        column = column.to_physical()
    numbers = column.cast(pl.Float64, strict=False)
    bad = (numbers.is_null() & column.is_not_null()).arg_true()
    if len(bad):
        raise InputError(
            f"column {column.name!r}, row {bad[0]} (from 0): {shown(column[bad[0]])} is no number,"
            f" but the feature is numeric ({len(bad)} such rows)"
        )
    found = numbers.fill_null(float("nan")).to_numpy().astype(np.float32)
    return np.where(np.isinf(found), np.float32("nan"), found)


def _vectors(column: pl.Series) -> "np.ndarray":
    """The vectors of a column, float32 ``[n, width]``, NaN throughout where there is none."""
    if not isinstance(column.dtype, pl.List | pl.Array) or not column.dtype.inner.is_numeric():
        raise _another_kind(column, "vector")
    lists = column.cast(pl.List(pl.Float32))
    widths = lists.list.len().drop_nulls().unique()
    if len(widths) != 1 or widths[0] < 1:
        raise InputError(
            f"column {column.name!r} holds lists of {shown(sorted(widths.to_list()))} values; a"
            " vector has as many in every row"
        )
    width = int(widths[0])
    found = np.full((len(column), width), np.nan, dtype=np.float32)
    there = lists.is_not_null()
    if there.any():
        numbers = lists.drop_nulls().explode().fill_null(float("nan")).to_numpy()
        found[there.to_numpy()] = numbers.reshape(-1, width)
    whole = np.isfinite(found).all(axis=1)
    found[~whole] = np.nan
    return found


def _another_kind(column: pl.Series, kind: str) -> InputError:
    return InputError(
        f"column {column.name!r} holds {column.dtype}, which cannot be a feature of kind {kind!r}"
    )
