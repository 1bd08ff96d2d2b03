"""Embeddings of features: a vector for each value, and for values that are missing or unknown."""

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from resemb_gnn.data.features import Feature, FeatureTable
from resemb_gnn.errors import InputError, did_you_mean
from resemb_gnn.nn.embeddings.feature_codes import CategoryEmbeddings, CodePart, ListEmbedding
from resemb_gnn.nn.embeddings.feature_numbers import NumberEmbeddings, VectorEmbedding
from resemb_gnn.nn.embeddings.feature_part import FeaturePart, Rows
from resemb_gnn.nn.encoders.guarded_buffer import register_guarded_buffer

_WIDTHS = (4, 8, 16, 32)


def width_of(feature: Feature) -> int:
    """Width of a feature's embedding: the fourth root of its number of values (the rule of thumb of
    TensorFlow's feature columns), by its logarithm rounded to 4, 8, 16 or 32; 4 for a number, and
    for a vector as wide as it is, but at most 32. Values that came since a model was fitted do not
    count.
    """
    if feature.kind == "numeric":
        return _WIDTHS[0]
    if feature.kind == "vector":
        return min(_WIDTHS[-1], feature.values.size(1))
    size = feature.num_fitted_codes
    # A width w serves up to the fourth power of w times the root of two: 4 times that of w.
    return next((width for width in _WIDTHS if 4 * width**4 >= size), _WIDTHS[-1])


class TableEmbedding(nn.Module):
    r"""The embeddings of a table's features side by side.

    In training, a share of the values is dropped, so that missing and unknown values have trained
    embeddings. Which ones depends on the row's key and on the step alone: parts of a batch in
    several processes drop what the whole batch would.

    Args:
        table: the features.
        widths: width of the embedding of a feature by its name, or of all of them; those that are
            not named are as wide as :func:`width_of` says.
        drop: share of the values that is dropped in training.

    Shapes:
        - **input:** rows of a table with the same features, ``[n]``; a key of each, int64 ``[n]``
        - **output:** ``[n, dim]``, with ``dim`` the sum of the widths

    Raises:
        InputError: if a width is below 1 or named for a feature that there is not, or ``drop`` is
            not in 0..1.
    """

    steps: Tensor
    salt: Tensor

    def __init__(
        self,
        table: FeatureTable,
        widths: Mapping[str, int] | int | None = None,
        drop: float = 0.02,
    ) -> None:
        super().__init__()
        if not 0 <= drop < 1:
            raise InputError(f"drop must be at least 0 and below 1, not {drop}")
        self.names = tuple(table.features)
        self.drop = drop
        own = dict.fromkeys(self.names, widths) if isinstance(widths, int) else dict(widths or {})
        for name, width in own.items():
            if name not in self.names:
                raise InputError(f"there is no feature {name!r}{did_you_mean(name, self.names)}")
            if width < 1:
                raise InputError(f"the width of the feature {name!r} must be above 0, not {width}")
        wide = {name: own.get(name) or width_of(one) for name, one in table.features.items()}
        self.widths = tuple(wide.values())
        self.parts = nn.ModuleList(_parts(table, wide))
        for part in self._each():
            part.adapt(table)
        register_guarded_buffer(
            self,
            "digest",
            features_digest(table),
            "the saved weights belong to features of other names, kinds or values than these",
        )
        self.register_buffer("steps", torch.tensor(0))
        # An odd number of each feature.
        salt = mix_bits(torch.arange(1, len(self.names) + 1)) | 1
        self.register_buffer("salt", salt, persistent=False)

    @property
    def dim(self) -> int:
        """Width of all of them together."""
        return sum(self.widths)

    def _each(self) -> list[FeaturePart]:
        return [part for part in self.parts if isinstance(part, FeaturePart)]

    @property
    def columns(self) -> dict[str, slice]:
        """The columns of the output that each feature has."""
        found, start = {}, 0
        for part in self._each():
            for name in part.names:
                found[name] = slice(start, start + part.width)
                start += part.width
        return {name: found[name] for name in self.names}

    def reset_parameters(self) -> None:
        """Draws all of them anew."""
        for part in self._each():
            part.reset_parameters()

    def adapt(self, table: FeatureTable) -> None:
        """Learns scales and known values from the rows of training, as ``fit`` has it done; a
        table that has been trained keeps its scales, and the values that it was trained with are
        joined by those that occur now.
        """
        for part in self._each():
            (part.admit if int(self.steps) else part.adapt)(table)

    @torch.no_grad()
    def over(self, table: FeatureTable) -> "TableEmbedding":
        """The same embeddings of a table with the same features, whose vocabularies begin with
        those of this one; values behind them are taken for unknown ones until training has them.
        """
        table = FeatureTable({name: table.features[name] for name in self.names})
        coded = [part for part in self.parts if isinstance(part, CodePart)]
        sizes = {name: part.num_codes[at] for part in coded for at, name in enumerate(part.names)}
        if all(table.features[name].num_codes == size for name, size in sizes.items()):
            return self
        widths = dict(zip(self.names, self.widths, strict=True))
        found = TableEmbedding(table, widths, self.drop).to(next(self.parameters()))
        for new, old in zip(found._each(), self._each(), strict=True):
            new.take_over(old)
        for one, own in zip(found.parameters(), self.parameters(), strict=True):
            one.requires_grad_(own.requires_grad)
        found.steps.copy_(self.steps)
        return found.train(self.training)

    @property
    def num_codes(self) -> list[int]:
        """Number of codes of each category, in the order of :meth:`codes`."""
        return [size for _, part in self._categories() for size in part.num_codes]

    @property
    def num_fitted_codes(self) -> list[int]:
        """How many of these there were when the model was fitted with them."""
        return [size for _, part in self._categories() for size in part.num_fitted_codes]

    def codes(self, table: FeatureTable) -> Tensor:
        """Codes of the categories of rows of the table, those that training did not have as
        unknown, int64 ``[n, num_categories]``.
        """
        found = [part.codes(part.encode(table)) for _, part in self._categories()]
        return torch.cat(found, dim=1)

    def selected_codes(self, rows: list[Rows], ids: Tensor) -> Tensor:
        """:meth:`codes` of encoded rows by their numbers, int64 ``[n]``."""
        found = [part.codes(part.select(rows[at], ids)) for at, part in self._categories()]
        return torch.cat(found, dim=1)

    def _categories(self) -> list[tuple[int, CategoryEmbeddings]]:
        parts = enumerate(self.parts)
        return [(at, part) for at, part in parts if isinstance(part, CategoryEmbeddings)]

    def encode(self, table: FeatureTable) -> list[Rows]:
        """What :meth:`embed` takes of rows of the table: all that depends on no parameter."""
        return [part.encode(table) for part in self._each()]

    def select(self, rows: list[Rows], ids: Tensor) -> list[Rows]:
        """Some of encoded rows, by their numbers, int64 ``[k]``.

        Raises:
            IndexError: if there is no such row.
        """
        return [part.select(one, ids) for part, one in zip(self._each(), rows, strict=True)]

    def embed(self, rows: list[Rows], key: Tensor) -> Tensor:
        """The embeddings of encoded rows, with a key of each; ``[n, dim]``."""
        if self.training:
            self.steps += 1
        dropped, second = self._dropped(key)
        found, start = [], 0
        for part, one in zip(self._each(), rows, strict=True):
            end = start + len(part.names)
            found.append(part(one, None if dropped is None else dropped[:, start:end], second))
            start = end
        return torch.cat(found, dim=1)

    def forward(self, table: FeatureTable, key: Tensor) -> Tensor:
        return self.embed(self.encode(table), key)

    def _dropped(self, key: Tensor) -> tuple[Tensor, Tensor] | tuple[None, None]:
        """What is dropped of each row and feature, bool ``[n, num_features]``, and in which of two
        ways, each as often, bool ``[n]``.
        """
        if not self.training or self.drop == 0:
            return None, None
        # A hash of key and step; times an odd number it is another one (multiplicative hashing:
        # the upper of 32 bits count). Products wrap around at 64 bits.
        mixed = mixed_key(key, self.steps)
        own = (mixed.unsqueeze(1) * self.salt) & 0xFFFFFFFF
        return own < int(self.drop * 2**32), (mixed & 1).bool()


def _parts(table: FeatureTable, widths: Mapping[str, int]) -> list[FeaturePart]:
    """The features' embeddings: those of categories and of numbers that are equally wide are one,
    as a step through a few large tensors is quicker than through many small ones.
    """
    groups: dict[tuple[str, int], list[Feature]] = {}
    found: list[FeaturePart] = []
    for feature in table:
        groups.setdefault((feature.kind, widths[feature.name]), []).append(feature)
    for (kind, width), features in groups.items():
        if kind == "category":
            found.append(CategoryEmbeddings(features, width))
        elif kind == "numeric":
            found.append(NumberEmbeddings(features, width))
        else:
            kinds = {"list": ListEmbedding, "vector": VectorEmbedding}
            found += [kinds[kind](feature, width) for feature in features]
    return found


def features_digest(table: FeatureTable) -> Tensor:
    """A number of the features' names, kinds and vocabularies, and of how much of these was there
    when a model was fitted, int64 ``[1]``.
    """
    found = hashlib.blake2b(digest_size=8)
    for feature in table:
        words = [] if feature.vocabulary is None else feature.vocabulary.to_list()
        width = feature.values.size(1) if feature.kind == "vector" else None
        since = () if feature.num_fitted is None else (feature.num_fitted,)
        found.update(repr((feature.name, feature.kind, width, words, *since)).encode())
    return torch.tensor([int.from_bytes(found.digest(), signed=True)])


def mixed_key(key: Tensor, step: Tensor) -> Tensor:
    """32 bits that look drawn of each key, int64 ``[n]``, at a step."""
    return mix_bits(key * 0x9E3779B1 + step * 0x85EBCA77)


def mix_bits(number: Tensor) -> Tensor:
    """Mixes the lower 32 bits ("lowbias32" of C. Wellons' hash prospector)."""
    number = number & 0xFFFFFFFF
    number = ((number ^ (number >> 16)) * 0x7FEB352D) & 0xFFFFFFFF
    number = ((number ^ (number >> 15)) * 0x846CA68B) & 0xFFFFFFFF
    return number ^ (number >> 16)
