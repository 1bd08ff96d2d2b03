"""One feature of items, users or rows of the log: its values, and its vocabulary if it has one."""

from dataclasses import dataclass, replace

import polars as pl
import torch
from torch import Tensor
from torch_geometric.utils import cumsum

from resemb_gnn.data.feature_values import (
    FIRST,
    KINDS,
    MISSING,
    UNKNOWN,
    kind_of,
    read_codes,
    read_lists,
    read_numbers,
    read_vectors,
)
from resemb_gnn.errors import InputError, shown, unknown_choice
from resemb_gnn.io.lists import to_lists


@dataclass(frozen=True, eq=False)
class Feature:
    """One feature of ``n`` items, users or rows.

    Of each row it has, by its kind, in ``values``:

    - ``category``: one value of a vocabulary, int64 ``[n]``; code 0 where it is missing
    - ``list``: several of them, int64 ``[m]``, or none
    - ``numeric``: a number, float32 ``[n]``; NaN where it is missing
    - ``vector``: numbers, as many in every row, float32 ``[n, width]``; NaN throughout where they
      are missing

    Codes are 2 for the first value of the vocabulary, 3 for the next and so on; 1 stands for a
    value that is not in it.

    Args:
        name: its name, of the column that it was read from.
        values: as told above.
        vocabulary: the values of a ``category`` or ``list``, in the order of their codes.
        ptr: the codes of row ``i`` of a ``list`` are ``values[ptr[i]:ptr[i + 1]]``, int64
            ``[n + 1]``.
        num_fitted: how many values the vocabulary had when a model was fitted with them, where
            others came behind them since; ``None`` where none did. The sizes of a model follow from
            it, so that it keeps what it learnt where it is.

    Raises:
        InputError: if the parts do not fit each other (codes and offsets by :meth:`check` alone,
            since a batch is cut from them at every step).
    """

    name: str
    values: Tensor
    vocabulary: pl.Series | None = None
    ptr: Tensor | None = None
    num_fitted: int | None = None

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
            ends = self.ptr[[0, -1]].tolist() if self.ptr.numel() else None
            if ends != [0, self.values.numel()] or bool((self.ptr.diff() < 0).any()):
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

    @property
    def num_fitted_codes(self) -> int:
        """Number of codes when a model was fitted with them, counted likewise."""
        return self.num_codes if self.num_fitted is None else FIRST + self.num_fitted

    def __len__(self) -> int:
        return self.values.size(0) if self.ptr is None else self.ptr.numel() - 1

    def __getitem__(self, index: Tensor) -> "Feature":
        """The rows at ``index``, int64 ``[k]``."""
        if self.ptr is None:
            return replace(self, values=self.values[index])
        place, ptr, _ = jagged_rows(self.ptr, index)
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
                vectors = pl.Series(self.name, found, pl.Array(pl.Float32, found.shape[1]))
                there = pl.Series(~self.missing().cpu().numpy())
                return pl.select(pl.when(there).then(vectors).alias(self.name))[self.name]
            return pl.Series(self.name, found, nan_to_null=True)
        codes = pl.Series(self.values.cpu().numpy()) - FIRST
        words = self.vocabulary.gather(codes.set(codes < 0, None)).alias(self.name)
        if self.ptr is None:
            return words
        lists = to_lists(words, self.ptr).list.drop_nulls()
        return pl.select(pl.when(lists.list.len() > 0).then(lists).alias(self.name))[self.name]


def jagged_rows(ptr: Tensor, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where the values of some lists are among those of all.

    Args:
        ptr: offsets of all lists, int64 ``[n + 1]``.
        index: numbers of the lists, int64 ``[k]``.

    Returns:
        The place of each value, int64 ``[m]``; offsets of the lists among these, ``[k + 1]``; the
        list of each value, ``[m]``.

    Raises:
        IndexError: if there is no such list.
    """
    start, end = ptr.index_select(0, index), ptr.index_select(0, index + 1)
    own = cumsum(end - start)
    segment = torch.arange(index.numel(), device=ptr.device).repeat_interleave(end - start)
    shift = (start - own[:-1]).index_select(0, segment)
    return torch.arange(segment.numel(), device=ptr.device) + shift, own, segment


def read_feature(
    column: pl.Series,
    kind: str | None = None,
    like: Feature | None = None,
    grow: bool = False,
) -> Feature:
    """A column as a feature.

    Args:
        column: its values, ``[n]``.
        kind: one of ``KINDS``; ``None`` for the one that the column's type tells.
        like: a feature whose kind, vocabulary and width it has; ``None`` for its own.
        grow: number values that are not in that vocabulary behind those that are.

    Raises:
        InputError: if the column cannot be of the kind.
    """
    vocabulary = None if like is None else like.vocabulary
    kind = like.kind if like is not None else kind or kind_of(column)
    if like is not None and column.null_count() == len(column):
        column = column.cast(pl.Null)  # nothing is there that could be of another kind
    if kind not in KINDS:
        raise unknown_choice(f"the kind {shown(kind)} of the feature {column.name!r}", kind, KINDS)
    if kind in ("category", "list"):
        if kind == "category":
            found = Feature(column.name, *read_codes(column, vocabulary, grow=grow))
        else:
            found = Feature(column.name, *read_lists(column, vocabulary, grow))
        if like is None or found.num_codes == like.num_fitted_codes:
            return found
        return replace(found, num_fitted=like.num_fitted_codes - FIRST)
    if kind == "vector":
        width = None if like is None else like.values.size(1)
        return Feature(column.name, read_vectors(column, width))
    return Feature(column.name, read_numbers(column))
