"""Adam for the network, and for embedding tables what they ask for."""

from collections import defaultdict
from typing import Any, cast

import torch
from torch import nn

from resemb_gnn.nn import ItemEmbedding, TableOptions, as_item_embedding
from resemb_gnn.training.adam_ar import AdamAR


class ModelAdam:
    """Adam, with :class:`~resemb_gnn.training.AdamAR` for the tables of at least ``sparse_rows``
    rows.

    Dense Adam moves every row of a table at each step, which for a million rows is most of the
    step. The sparse form updates the rows of the batch only: the others keep their moments and
    stay where they are. The modules of the tables (``torch.nn.Embedding`` and what an
    :class:`~resemb_gnn.nn.ItemEmbedding` names in ``tables``) are switched to sparse gradients.

    An embedding may ask for more (:class:`~resemb_gnn.nn.TableOptions`): a learning rate of its
    own, decay by :class:`~resemb_gnn.training.AdamAR`, or a new start every epoch.

    Args:
        model: the model to train.
        lr: learning rate.
        sparse_rows: smallest table that is trained so; ``None`` for dense Adam throughout.
    """

    def __init__(self, model: nn.Module, lr: float, sparse_rows: int | None = None) -> None:
        rows: set[nn.Parameter] = set()  # tables of which the batch's rows alone are updated
        options: dict[nn.Parameter, TableOptions] = {}
        self.renewed: list[nn.Module] = []
        for module in model.modules():
            if not isinstance(module, nn.Embedding | ItemEmbedding):
                continue
            tables = as_item_embedding(module).tables
            own = {getattr(module, name): asked for name, asked in tables.items()}
            options |= own
            if any(asked.renew for asked in own.values()):
                self.renewed.append(module)
            size = max((table.size(0) for table in own), default=0)
            large = sparse_rows is not None and size >= sparse_rows
            module.sparse = large or any(asked.decay > 0 for asked in own.values())
            if module.sparse:
                rows.update(own)
        groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for parameter in model.parameters():
            if not parameter.requires_grad:
                continue
            asked = options.get(parameter, TableOptions())
            group = {"params": [parameter], "lr": lr * asked.lr_scale}
            if parameter in rows:
                groups["rows"].append(group | {"alpha": asked.decay})
            else:
                groups["dense"].append(group)
        self.optimizers: list[torch.optim.Optimizer] = []
        if "dense" in groups:
            self.optimizers.append(torch.optim.Adam(_merged(groups["dense"]), fused=True))
        if "rows" in groups:
            self.optimizers.append(AdamAR(groups["rows"]))

    def zero_grad(self) -> None:
        for optimizer in self.optimizers:
            optimizer.zero_grad()

    def step(self) -> None:
        for optimizer in self.optimizers:
            optimizer.step()

    def state_dict(self) -> list[dict[str, Any]]:
        """The state of each of the optimisers."""
        return [optimizer.state_dict() for optimizer in self.optimizers]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """Puts them back where they were."""
        for optimizer, state in zip(self.optimizers, states, strict=True):
            optimizer.load_state_dict(state)

    def renew(self) -> None:
        """Draws the tables anew that ask for it, and forgets their moments (MEDA; Liu et al.,
        "Multi-Epoch Learning for Deep Click-Through Rate Prediction Models", arXiv 2305.19531).
        """
        for module in self.renewed:
            cast(Any, module).reset_parameters()
            for parameter in module.parameters():
                for optimizer in self.optimizers:
                    optimizer.state.pop(parameter, None)


def _merged(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One group a learning rate: a fused step is one call a group."""
    merged: dict[float, list[nn.Parameter]] = defaultdict(list)
    for group in groups:
        merged[group["lr"]] += group["params"]
    return [{"params": params, "lr": lr} for lr, params in merged.items()]
