"""What is known of every item, or of every user, embedded by its number."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from resemb_gnn.data.features import FIRST, Features, FeatureTable
from resemb_gnn.errors import InputError, did_you_mean, shown
from resemb_gnn.io.digests import tensor_digest
from resemb_gnn.nn.embeddings.feature_embedding import TableEmbedding
from resemb_gnn.nn.embeddings.feature_part import Rows
from resemb_gnn.nn.embeddings.value_embedding import ValueEmbedding, check_category
from resemb_gnn.nn.encoders.guarded_buffer import register_guarded_buffer


class KnownFeatures(nn.Module):
    """A table of features, a row an item or user, and their embeddings: those that are made from
    the table itself, and behind them those that features have of their own.

    The table is not saved with the weights. What a step needs of it is encoded once, by
    :meth:`~resemb_gnn.nn.TableEmbedding.encode`, and goes where the module goes.

    Args:
        table: the features.
        what: ``"items"`` or ``"users"``, for messages.
        size: how many there must be; ``None`` if that is not known.
        widths: as :class:`~resemb_gnn.nn.TableEmbedding` has it.
        embed: embeddings of their own of features by name, over their values
            (:class:`~resemb_gnn.nn.embeddings.value_embedding.ValueEmbedding`).

    Shapes:
        - **input:** numbers, int64 ``[n]``; fold, int or ``None``
        - **output:** ``[n, dim]``

    Raises:
        InputError: if the table has another number of rows, an embedding does not fit its
            feature, a number is beyond the table, or, on ``load_state_dict``, the weights belong to
            another table.
    """

    def __init__(
        self,
        table: FeatureTable,
        what: str,
        size: int | None = None,
        widths: Mapping[str, int] | int | None = None,
        embed: Mapping[str, nn.Module] | None = None,
    ) -> None:
        super().__init__()
        if size is not None and len(table) != size:
            raise InputError(f"the features are of {len(table)} {what}, but there are {size}")
        self.size = len(table)
        self.what = what
        self.table = table.to("cpu")
        own = embed or {}
        rest = {one.name: one for one in table if one.name not in own}
        self.embedding = TableEmbedding(FeatureTable(rest), widths)
        self.embedded = nn.ModuleList(
            ValueEmbedding(one, own[one.name]) for one in table if one.name in own
        )
        parts = [part for one in table for part in (one.values, one.ptr)]
        register_guarded_buffer(
            self,
            "digest",
            torch.tensor([int(tensor_digest(*parts), 16) >> 1]),
            f"the saved weights belong to other features of the {what} than these",
        )
        self.register_load_state_dict_post_hook(_encode_anew)
        self.encode()

    @property
    def dim(self) -> int:
        """Width of the output."""
        return self.embedding.dim + sum(one.dim for one in self.with_own)

    @property
    def with_own(self) -> list[ValueEmbedding]:
        """The features that have embeddings of their own."""
        return [one for one in self.embedded if isinstance(one, ValueEmbedding)]

    @property
    def num_codes(self) -> list[int]:
        """Number of codes of each category."""
        return [*self.embedding.num_codes, *(one.num_codes for one in self.with_own)]

    @property
    def num_fitted_codes(self) -> list[int]:
        """How many of these there were when the model was fitted with them."""
        own = (one.num_fitted_codes for one in self.with_own)
        return [*self.embedding.num_fitted_codes, *own]

    def encode(self) -> None:
        """Has the table encoded anew, where and in the precision in which the embeddings are."""
        where = self.embedding.steps.device
        table = self.table.to(where)
        self._rows = self.embedding.encode(table)
        self._codes = [one.encode(table.features[one.name]) for one in self.with_own]

    def over(self, table: FeatureTable) -> "KnownFeatures":
        """The same embeddings over other rows, whose vocabularies begin with those of these."""
        widths = dict(zip(self.embedding.names, self.embedding.widths, strict=True))
        own = {one.name: one.embedding for one in self.with_own}
        found = KnownFeatures(table, self.what, widths=widths, embed=own)
        found.embedding = self.embedding.over(table)
        found.embedded = nn.ModuleList(one.over(table.features[one.name]) for one in self.with_own)
        found.to(self.embedding.steps.device)  # which encodes, too
        return found.train(self.training)

    def _apply(self, *args: Any, **options: Any) -> "KnownFeatures":
        super()._apply(*args, **options)
        self.encode()
        return self

    def adapt(self, ids: Tensor) -> None:
        """Learns scales and known values from the rows of ``ids``, int64 ``[n]``."""
        rows = self.rows(ids)
        self.embedding.adapt(rows)
        for one in self.with_own:
            one.adapt(rows.features[one.name])
        self.encode()

    def rows(self, ids: Tensor) -> FeatureTable:
        """The rows of ``ids``, int64 ``[n]``.

        Raises:
            InputError: if one is beyond the table.
        """
        if ids.numel():
            low, high = (int(end) for end in ids.aminmax())
            if low < 0 or high >= self.size:
                raise self._beyond(low if low < 0 else high)
        return self.table[ids.to("cpu")]

    def codes(self, ids: Tensor) -> Tensor:
        """Codes of the categories, int64 ``[n, num_categories]``
        (:meth:`~resemb_gnn.nn.TableEmbedding.codes`).
        """
        codes = [codes.index_select(0, ids).unsqueeze(1) for codes in self._codes]
        if self.embedding.num_codes:
            codes.insert(0, self.embedding.selected_codes(self._rows, ids))
        return torch.cat(codes, dim=1)

    def codes_of(self, rows: FeatureTable) -> Tensor:
        """Codes of the categories of other rows with these features."""
        codes = [one.encode(rows.features[one.name]).unsqueeze(1) for one in self.with_own]
        if self.embedding.num_codes:
            codes.insert(0, self.embedding.codes(rows))
        return torch.cat(codes, dim=1)

    def penalties(self, target: Tensor, history: Tensor) -> list[Tensor | None]:
        """The penalty of each embedding of a feature's own, on the values of the candidates
        (``[batch_size]``) of a batch and, where it asks for them, of the behaviours
        (``[num_behaviors]``).
        """
        found = []
        for one, codes in zip(self.with_own, self._codes, strict=True):
            ids = torch.cat([history, target]) if one.items.penalizes_history else target
            code = codes.index_select(0, ids)
            found.append(one.items.penalty(code[code >= FIRST] - FIRST))
        return found

    def forward(self, ids: Tensor, fold: int | None = None) -> Tensor:
        try:
            rows = self.embedding.select(self._rows, ids)
            codes = [one.index_select(0, ids) for one in self._codes]
        except IndexError:  # on a CPU; a GPU asserts it, and no step waits for that
            bad = ids[(ids < 0) | (ids >= self.size)]
            raise self._beyond(int(bad[0])) from None
        return self._embed(rows, codes, ids, fold)

    def embed_rows(self, rows: FeatureTable, key: Tensor) -> Tensor:
        """The embeddings of other rows with these features, ``[n, dim]``; of the keys as
        :class:`~resemb_gnn.nn.TableEmbedding` has them.
        """
        codes = [one.encode(rows.features[one.name]) for one in self.with_own]
        return self._embed(self.embedding.encode(rows), codes, key)

    def _embed(
        self, rows: list[Rows], codes: list[Tensor], key: Tensor, fold: int | None = None
    ) -> Tensor:
        parts = [self.embedding.embed(rows, key)] if rows else []
        for one, code in zip(self.with_own, codes, strict=True):
            parts.append(one(code, key, fold))
        return torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]

    def _beyond(self, number: int) -> InputError:
        return InputError(
            f"the features are of {self.size} {self.what}, 0 to {self.size - 1}, but number"
            f" {number} was asked for"
        )


def _encode_anew(module: nn.Module, keys: object) -> None:
    """Which values are known, and the scales of numbers, are loaded with the weights."""
    assert isinstance(module, KnownFeatures)
    module.encode()


def check_embed(features: Features, names: Iterable[str]) -> None:
    """Refuses features that cannot have an embedding of their own: all but categories of items,
    whose values are items of the log :meth:`~resemb_gnn.BehaviorLog.of` them.

    Raises:
        InputError: naming the first of them.
    """
    place = {name: of for of, table in features.tables() for name in table.features}
    of_items = {} if features.items is None else features.items.features
    for name in names:
        if name not in place:
            raise InputError(
                f"there is no feature {name!r} to embed, but {shown(list(of_items))}"
                f"{did_you_mean(name, of_items)}"
            )
        if name not in of_items:
            raise InputError(
                f"{name!r} is a feature of {place[name]}: an embedding of its own is for those of"
                " items"
            )
        check_category(of_items[name])
