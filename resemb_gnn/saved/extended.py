"""A model over items and users that it was not trained on, known by their features."""

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor, nn

from resemb_gnn.data import Features, FeatureTable
from resemb_gnn.models import CTRModel
from resemb_gnn.nn import ResEmbedding, as_item_embedding

if TYPE_CHECKING:
    from resemb_gnn.saved.trained_model import TrainedModel

Module = TypeVar("Module", bound=nn.Module)


def knowing(trained: "TrainedModel", features: Features | None) -> "TrainedModel":
    """The model with other values of the features of items and users, embedded as before."""
    if features is None:
        return trained
    model = shallow(trained.model)
    for name, table in (("known_items", features.items), ("known_users", features.users)):
        before = getattr(model, name)
        if table is not None:
            setattr(model, name, before.over(table).to(trained.device))
    return replace(trained, model=model, features=features)


@torch.no_grad()
def with_new_items(trained: "TrainedModel", table: FeatureTable) -> CTRModel:
    """The model with further items behind its own, of which only features are known; what is
    known of their features beside the embedding is left as it is (:func:`knowing`).

    Where the co-visit graph holds features of items, the embedding of a new one is what its
    features alone make of the centres (:meth:`~resemb_gnn.ResEmbedding.embed_new`); elsewhere it
    is the mean of all items', and so is that of its category.

    Args:
        trained: the model.
        table: a row a new item, with the features that the graph holds if it holds some.
    """
    model = shallow(trained.model)
    known = as_item_embedding(trained.embedding).materialize().weight
    if trained.graph_features is not None and isinstance(trained.embedding, ResEmbedding):
        new = trained.embedding.embed_new(features=table)
    else:
        new = known.mean(0, keepdim=True).expand(len(table), -1)
    model.embedding = nn.Embedding.from_pretrained(torch.cat([known, new.to(known)]))
    if model.category is not None:
        category = model.category = shallow(model.category)
        weight = category.embedding.weight
        mean = weight.mean(0, keepdim=True)
        category.embedding = nn.Embedding.from_pretrained(torch.cat([weight, mean]))
        number = category.item_category.new_full((len(table),), len(weight))
        category.item_category = torch.cat([category.item_category, number])
    bias = getattr(model, "item_bias", None)
    if bias is not None:
        model.item_bias = nn.Embedding.from_pretrained(_padded(bias.weight, len(table)))
    return model


def _padded(weight: Tensor, rows: int) -> Tensor:
    return torch.cat([weight, weight.new_zeros(rows, weight.size(1))])


def shallow(module: Module) -> Module:
    """The module with the same parts, which may be replaced without a change of the other."""
    found = copy.copy(module)
    for name in ("_modules", "_parameters", "_buffers"):
        setattr(found, name, dict(getattr(module, name)))
    return found
