"""A trained click model over tables, as it is exported."""

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from resemb_gnn.data import Batch
from resemb_gnn.data.feature_rows import missing_rows
from resemb_gnn.data.features import Feature, FeatureTable
from resemb_gnn.errors import InputError
from resemb_gnn.models import DIEN, CTRModel
from resemb_gnn.models.known_features import KnownFeatures
from resemb_gnn.nn.evaluating import evaluating
from resemb_gnn.serving.known_rows import KnownCodes, known_vectors, unchecked_table


class Scorer(nn.Module):
    """A click model in evaluation mode over a table of its items' features.

    The embedding, the category and all features of items are computed once, for all items, and so
    are those of users; the rest is the model's own ``score``, so its outputs are the model's. Takes
    the parts of a jagged batch, of any sizes; the batch may be a single example and histories may
    be empty.

    Args:
        model: a trained model; it stays as it is.
        context: a table, also without rows, of the context features that the model knows; ``None``
            if it knows none.

    Shapes:
        - **input:** history int64 ``[num_behaviors]``, its offsets ptr int64 ``[batch_size + 1]``,
          target int64 ``[batch_size]``; of a model that knows users, user int64 ``[batch_size]``,
          where :attr:`num_users` stands for one that is unknown; of one that knows a context, the
          values of :class:`~resemb_gnn.data.Feature` by the feature's name, and the offsets of a
          list by its name and ``.ptr``
        - **output:** logits of the click probability, ``[batch_size]``

    Raises:
        InputError: if the model is not one of this package, its embedding does not tell its
            number of items, it is a DIEN, or it knows a context that is not given.
    """

    def __init__(self, model: CTRModel, context: FeatureTable | None = None) -> None:
        super().__init__()
        if not isinstance(model, CTRModel):
            raise InputError(f"{type(model).__name__} is not a click model of resemb_gnn")
        if isinstance(model, DIEN):
            raise InputError("DIEN takes as many steps as a batch's longest history: no export")
        size = model.items.num_embeddings
        if size is None:
            raise InputError(f"{type(model.embedding).__name__} has no num_embeddings")
        with evaluating(model):  # in training, some values of features are dropped
            self.table = nn.Embedding.from_pretrained(_features(model, size))
        self.users: nn.Embedding | None = None
        if model.known_users is not None:
            self.users = known_vectors(copy.deepcopy(model.known_users).cpu().eval())
        self.model = copy.deepcopy(_without_tables(model)).cpu().float()  # as the table is
        names = () if model.context is None else model.context.names
        if names != (() if context is None else tuple(context.features)):
            raise InputError(f"the model knows the context {list(names)}: give a table with these")
        self.features = () if context is None else tuple(context)
        self.eval().requires_grad_(False)

    @property
    def num_users(self) -> int:
        """Number of users whose features are known; also the number of one that is unknown."""
        return 0 if self.users is None else self.users.num_embeddings - 1

    def forward(
        self,
        history: Tensor,
        ptr: Tensor,
        target: Tensor,
        user: Tensor | None = None,
        context: dict[str, Tensor] | None = None,
    ) -> Tensor:
        num_behaviors, batch_size = history.numel(), target.numel()
        ptr = _sized(ptr, batch_size)
        items = self.table(torch.cat([history, target]))
        place = torch.arange(num_behaviors + batch_size, device=target.device)
        table = self.context_table(context or {}, batch_size)
        side = self.side(target, user, table)
        # A score needs no label, and no user if it knows none.
        who = target if user is None else user
        batch = Batch(history, ptr, target, target, who, context=table)
        past, candidate = place.split([num_behaviors, batch_size])
        logits: Tensor = self.model.score(items, past, candidate, batch, side)
        return logits

    def side(self, row: Tensor, user: Tensor | None, table: FeatureTable | None) -> Tensor | None:
        """Features of users and of the rows of a context, ``[n, side_dim]``; ``None`` if the model
        knows neither. Rows are told apart by ``row``, int64 ``[n]``.
        """
        parts = [] if self.users is None else [self.users(user)]
        if self.model.context is not None:
            parts.append(self.model.context(table, row))
        return torch.cat(parts, dim=1) if parts else None

    def context_table(self, context: dict[str, Tensor], batch_size: int) -> FeatureTable | None:
        """The context's features from the inputs."""
        found = {}
        for one in self.features:
            ptr = None if one.ptr is None else _sized(context[f"{one.name}.ptr"], batch_size)
            found[one.name] = replace(one, values=context[one.name], ptr=ptr)
        return unchecked_table(found) if found else None


def scorer_program(scorer: Scorer) -> torch.export.ExportedProgram:
    """The scorer exported for any number of examples and behaviours."""
    num_behaviors, batch_size = torch.export.Dim("num_behaviors"), torch.export.Dim("batch_size")
    example = (
        torch.zeros(7, dtype=torch.long),
        torch.tensor([0, 3, 3, 7]),
        torch.zeros(3, dtype=torch.long),
    )
    sizes: dict[str, Any] = {
        "history": {0: num_behaviors},
        "ptr": {0: batch_size + 1},
        "target": {0: batch_size},
    }
    further: dict[str, Any] = {}
    if scorer.users is not None:
        further["user"], sizes["user"] = example[2].clone(), {0: batch_size}
    if scorer.features:
        further["context"], sizes["context"] = {}, {}
    for number, feature in enumerate(scorer.features):
        name, values, length = feature.name, feature_example(feature, 3), batch_size
        if feature.ptr is not None:
            length = torch.export.Dim(f"num_values_{number}")
        further["context"][name], sizes["context"][name] = values, {0: length}
        if feature.ptr is not None:
            further["context"][f"{name}.ptr"] = example[1].clone()
            sizes["context"][f"{name}.ptr"] = {0: batch_size + 1}
    return torch.export.export(scorer, example, further, dynamic_shapes=sizes, strict=False)


def feature_example(feature: Feature, rows: int) -> Tensor:
    """Values of a feature of so many examples, seven of a list."""
    if feature.ptr is not None:
        return torch.ones(7, dtype=torch.long)
    return missing_rows(FeatureTable({feature.name: feature}), rows).features[feature.name].values


def _sized(ptr: Tensor, batch_size: int) -> Tensor:
    """Offsets whose number is told by the batch: otherwise the export is bound to two examples."""
    return nn.functional.pad(ptr.narrow(0, 1, batch_size), (1, 0))


def _without_tables(model: CTRModel) -> CTRModel:
    """The model without what the tables stand for; modules and parameters are shared. A score may
    ask for the items' categories and for codes of features: these stay.
    """
    rest = copy.copy(model)
    rest._modules = model._modules | {"embedding": None}
    for name in ("known_items", "known_users"):
        known = rest._modules.get(name)
        if isinstance(known, KnownFeatures):
            rest._modules[name] = KnownCodes(known)
    return rest


@torch.no_grad()
def _features(model: CTRModel, size: int) -> Tensor:
    ids = torch.arange(size, device=next(model.parameters()).device)
    return torch.cat([model.item_features(part) for part in ids.split(8192)]).float().cpu()
