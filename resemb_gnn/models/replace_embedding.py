"""Another item embedding in the place of a click model's."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from resemb_gnn.data import Features, FeatureTable
from resemb_gnn.errors import InputError
from resemb_gnn.nn import as_item_embedding

if TYPE_CHECKING:
    from resemb_gnn.models.ctr_model import CTRModel


@torch.no_grad()
def replace_embedding(
    model: "CTRModel",
    embedding: nn.Module,
    item_category: Tensor | None = None,
    features: FeatureTable | None = None,
) -> None:
    """Puts another item embedding in the place of a model's, with all that goes by the
    number of items; what is learnt of categories, features and known items stays.

    Nothing is changed if something does not fit. An optimiser made before does not know the new
    parameters.

    Args:
        model: the model, whose method this is.
        embedding: as wide as the one before. If it is of more items, the first of them are
            those that the model has.
        item_category: category of each item, int64 ``[num_items]``: needed if the model knows
            categories and the number of items changes. Categories that are new start at the
            mean of the others.
        features: features of each item, likewise, numbered as those that the model has, and new
            values behind them.

    Raises:
        InputError: if it is of another width, categories or features are lacking or of another
            number of items, or the model does not know such.
    """
    before, items = model.items, as_item_embedding(embedding)
    size = items.num_embeddings
    if items.embedding_dim != before.embedding_dim:
        raise InputError(
            f"the embedding is {items.embedding_dim} wide, but that of the model"
            f" {before.embedding_dim}"
        )
    same = size is not None and size == before.num_embeddings
    for what, own, given in (
        ("categories", model.category, item_category),
        ("features", model.known_items, features),
    ):
        if own is None and given is not None:
            raise InputError(f"the model knows no {what} of items")
        if own is not None and given is None and not same:
            raise InputError(f"the model knows {what} of the items: give those of all {size}")
    category, known = model.category, model.known_items
    if category is not None and item_category is not None:
        category = category.over(item_category, size)
    if known is not None and features is not None:
        if size not in (None, len(features)):
            raise InputError(f"the features are of {len(features)} items, but there are {size}")
        known = known.over(features)
    bias = getattr(model, "item_bias", None)
    if bias is not None and not same:
        model.register_module("item_bias", _with_rows(bias, size))
    model.embedding, model.category, model.known_items = embedding, category, known
    _grow_value_weights(model)


def replace_features(model: "CTRModel", features: Features) -> None:
    """Puts other features in the place of a model's: of other items or users, or of values behind
    those that it knows. What it has learnt stays, and a new value is an unknown one to it until
    training has it.

    Args:
        model: the model.
        features: the same features, whose vocabularies begin with those that it has. What is not
            there stays as it is, and what the model does not know is left out.
    """
    tables = {
        "known_items": features.items,
        "known_users": features.users,
        "context": features.context,
    }
    for name, table in tables.items():
        before = getattr(model, name)
        if before is not None and table is not None:
            setattr(model, name, before.over(table))
    _grow_value_weights(model)


def _grow_value_weights(model: "CTRModel") -> None:
    if model.value_weights is not None:
        model.value_weights = model.value_weights.over(model.value_sizes)


def _with_rows(bias: nn.Embedding, size: int | None) -> nn.Embedding:
    """The biases of so many items: zero of those that are new."""
    if size is None:
        raise InputError("the model has a bias an item, and the embedding no num_embeddings")
    weight = bias.weight
    rows = weight.new_zeros(size, 1)
    shared = min(size, len(weight))
    rows[:shared] = weight[:shared]
    return nn.Embedding.from_pretrained(rows, freeze=not weight.requires_grad)
