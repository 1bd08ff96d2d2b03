"""Features of items, users and rows of the log: what is known of them besides their ids."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl
import torch
from torch import Tensor

from resemb_gnn.data.feature import Feature, read_feature
from resemb_gnn.data.feature_values import FIRST, KINDS, MISSING, UNKNOWN, split_lists
from resemb_gnn.errors import InputError, did_you_mean, shown

__all__ = [
    "FIRST",
    "KINDS",
    "MISSING",
    "UNKNOWN",
    "Feature",
    "FeatureTable",
    "Features",
    "read_feature",
    "read_features",
]


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

    def __iter__(self) -> Iterator[Feature]:
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

    def encode(
        self, frame: pl.DataFrame, list_separator: str | None = None, *, grow: bool = False
    ) -> "FeatureTable":
        """Other rows with the same features: numbers by the vocabularies of this table, code 1 for
        values that are not in them.

        Args:
            frame: columns of the features' names, and any others.
            list_separator: what stands between the values of a list or vector in a text column.
            grow: number such values behind those of the vocabularies instead.

        Raises:
            InputError: if a column is missing or holds another type than here; it names the column
                and, of values, the row.
        """
        for name in self.features:
            if name not in frame.columns:
                raise InputError(
                    f"the column {name!r} is missing, a feature that the model was trained with;"
                    f" there are {shown(frame.columns)}{did_you_mean(name, frame.columns)}"
                )
        kinds = {feature.name: feature.kind for feature in self}
        table = split_lists(frame.select(list(kinds)), list_separator, kinds)
        return FeatureTable(
            {one.name: read_feature(table[one.name], like=one, grow=grow) for one in self}
        )

    def recode(self, other: "FeatureTable", *, grow: bool = False) -> "FeatureTable":
        """Rows of a table that was read by itself, with the same features and any others, numbered
        as :meth:`encode` does. Values of a category stand for lists of one, as in a text column in
        which no separator occurs.

        Raises:
            InputError: as :meth:`encode`, or if what was read as numbers, of which a table keeps 32
                bits, stands for values of a vocabulary that are no whole ones.
        """
        frame = other.decode()
        for own in self:
            one, known = other.features.get(own.name), own.vocabulary
            if one is not None and (own.kind, one.kind) == ("list", "category"):
                frame = frame.with_columns(pl.concat_list(own.name))
            if one is None or one.vocabulary is not None or known is None or not len(known):
                continue
            whole = known.dtype.is_integer() or known.dtype == pl.Boolean
            if not whole and not bool(one.missing().all()):
                raise InputError(
                    f"column {own.name!r} was read as {one.kind}, but the feature is a {own.kind}"
                    f" of values such as {shown(known[0])}: read it with"
                    f" kinds={shown({own.name: own.kind})}"
                )
        return self.encode(frame, grow=grow)

    def summary(self) -> list[dict[str, Any]]:
        """Name, kind, number of values and share of rows without one, of each feature, and where
        values came since a model was fitted, the number of those before.
        """
        return [
            {
                "name": feature.name,
                "kind": feature.kind,
                "num_values": None if feature.vocabulary is None else len(feature.vocabulary),
                "missing": float(feature.missing().float().mean()) if len(feature) else 0.0,
            }
            | ({} if feature.num_fitted is None else {"num_fitted": feature.num_fitted})
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
        known: dict[str, str] = {}
        for place, table in self.tables():
            for name in table.features:
                if name in known:
                    raise InputError(
                        f"{shown(name)} is a feature of {known[name]} and of {place}: rename one"
                    )
                known[name] = place

    def tables(self) -> list[tuple[str, FeatureTable]]:
        """The tables that are there, by name."""
        every = (("items", self.items), ("users", self.users), ("context", self.context))
        return [(name, table) for name, table in every if table is not None]

    def check(self, **sizes: int) -> None:
        """Refuses features that do not fit.

        Args:
            sizes: how many ``items``, ``users`` and ``context`` rows there must be.

        Raises:
            InputError: if a table has another number of rows, or a feature's codes are none.
        """
        for place, table in self.tables():
            if len(table) != sizes[place]:
                raise InputError(f"features of {len(table)} {place}, but there are {sizes[place]}")
            for feature in table:
                feature.check()

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
            numbers and truth values are a ``category``, decimal numbers and dates ``numeric``,
            lists a ``list``, lists of decimal numbers that are of one length a ``vector``.

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
