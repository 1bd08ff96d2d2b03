"""An item embedding over the values of a category: a feature with an embedding of its own."""

import zlib

import torch
from torch import Tensor, nn

from resemb_gnn.data.features import FIRST, MISSING, UNKNOWN, Feature, FeatureTable
from resemb_gnn.errors import InputError
from resemb_gnn.nn.embeddings.feature_codes import codes_taken
from resemb_gnn.nn.embeddings.feature_embedding import features_digest, mix_bits, mixed_key
from resemb_gnn.nn.embeddings.item_embedding import ItemEmbedding, as_item_embedding
from resemb_gnn.nn.encoders.guarded_buffer import register_guarded_buffer
from resemb_gnn.nn.layers.unique_ids import unique_ids


class ValueEmbedding(nn.Module):
    r"""What an item embedding over the values of a ``category`` says of rows of the feature, in
    place of a table of its codes.

    Value ``v`` of the vocabulary is item ``v`` of the embedding, as
    :meth:`~resemb_gnn.BehaviorLog.of` numbers them:

    .. math::
        e(\text{code}) = \begin{cases}
            o_{\text{code}} & \text{code} < 2 \quad \text{(missing, unknown)} \\
            \mathrm{embedding}(\text{code} - 2) & \text{otherwise}
        \end{cases}

    with two vectors :math:`o` of the feature's own. As in a table, a value that no row of training
    had is taken for an unknown one, until a later training has it, and some values are dropped in
    training, so that both vectors are trained.

    Args:
        feature: the feature, whose vocabulary it is made for.
        embedding: any module with ``embedding_dim`` that maps numbers of values to vectors
            (:class:`~resemb_gnn.nn.ItemEmbedding`).
        drop: share of the values that is dropped in training.

    Shapes:
        - **input:** codes of rows of the feature, as :meth:`encode` gives them, int64 ``[n]``; a
          key of each, which decides with the step what is dropped, int64 ``[n]``; fold, int or
          ``None``
        - **output:** ``[n, dim]``

    Raises:
        InputError: if the feature is no ``category``, the embedding is of another number of values
            or has no ``embedding_dim``, or, on ``load_state_dict``, the weights belong to other
            values.
    """

    code: Tensor
    has_missing: Tensor
    steps: Tensor

    def __init__(self, feature: Feature, embedding: nn.Module, drop: float = 0.02) -> None:
        super().__init__()
        check_category(feature)
        self.name, self.num_codes, self.drop = feature.name, feature.num_codes, drop
        self.num_fitted_codes = feature.num_fitted_codes
        self.embedding = embedding
        items, size = self.items, feature.num_codes - FIRST
        if items.num_embeddings not in (None, size):
            raise InputError(
                f"the embedding of the feature {feature.name!r} (and its graph) has"
                f" {items.num_embeddings} values, but the feature {size}"
            )
        self.others = nn.Embedding(FIRST, items.embedding_dim)
        nn.init.normal_(self.others.weight, std=0.01)  # as in tables of features
        register_guarded_buffer(
            self,
            "digest",
            features_digest(FeatureTable({feature.name: feature})),
            f"the saved weights belong to other values of the feature {feature.name!r} than these",
        )
        # What each code is taken for.
        self.register_buffer("code", torch.arange(feature.num_codes))
        self.register_buffer("has_missing", torch.tensor(False))
        self.register_buffer("steps", torch.tensor(0))
        self.adapt(feature)

    @property
    def items(self) -> ItemEmbedding:
        """What :attr:`embedding` offers."""
        return as_item_embedding(self.embedding)

    @property
    def dim(self) -> int:
        """Width of the output."""
        return self.items.embedding_dim

    def adapt(self, feature: Feature) -> None:
        """Learns which values occur from the rows of training, as ``fit`` has it done; those that
        one was trained with are joined by those that occur now.
        """
        taken = codes_taken(feature.values, self.num_codes).to(self.code.device)
        if int(self.steps):
            self.code.copy_(torch.where(self.code == UNKNOWN, taken, self.code))
            return
        self.code.copy_(taken)
        self.has_missing.fill_(bool(feature.missing().any()))

    @torch.no_grad()
    def over(self, feature: Feature) -> "ValueEmbedding":
        """The same with further values behind those that it has, which are taken for unknown ones
        until training has them. The embedding holds them already.
        """
        if feature.num_codes == self.num_codes:
            return self
        found = ValueEmbedding(feature, self.embedding, self.drop).to(self.others.weight)
        found.others = self.others
        found.code.fill_(UNKNOWN)
        found.code[: self.num_codes] = self.code
        found.has_missing.copy_(self.has_missing)
        found.steps.copy_(self.steps)
        return found.train(self.training)

    def encode(self, feature: Feature) -> Tensor:
        """What the code of each row is taken for, int64 ``[n]``."""
        return self.code[feature.values]

    def forward(self, code: Tensor, key: Tensor, fold: int | None = None) -> Tensor:
        if self.training:
            self.steps += 1
            code = self._dropped(code, key)
        # Each value once: many items share one.
        codes, place = unique_ids(code, self.num_codes)
        own, known = codes[codes < FIRST], codes[codes >= FIRST] - FIRST
        items = self.items
        vectors = items(known, None if items.user_fold is None else fold)
        return torch.cat([self.others(own), vectors]).index_select(0, place)

    def _dropped(self, code: Tensor, key: Tensor) -> Tensor:
        """The codes, a share of them as if their value were unknown or, where training has no
        missing ones, every other time missing. Key and step alone decide: parts of a batch in
        several processes drop what the whole batch would.
        """
        # Features drop other rows each.
        mixed = mix_bits(mixed_key(key, self.steps) + zlib.crc32(self.name.encode()))
        missing = (mixed & 1).bool() & ~self.has_missing
        instead = torch.where(missing, MISSING, UNKNOWN)
        return torch.where(mixed < self.drop * 2**32, instead, code)


def check_category(feature: Feature) -> None:
    """Refuses a feature that cannot have an embedding of its own.

    Raises:
        InputError: if it is no ``category``.
    """
    if feature.kind != "category":
        raise InputError(
            f"{feature.name!r} is a feature of kind {feature.kind!r}: an embedding of its own is"
            " for a category"
        )
