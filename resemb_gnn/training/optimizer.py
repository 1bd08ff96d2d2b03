"""Adam for the network, and for embedding tables what they ask for."""

from collections import defaultdict
from typing import Any, cast

import torch
from torch import nn

from resemb_gnn.nn import ResEmbedding, TableOptions
from resemb_gnn.training.adam_ar import AdamAR


class TableAdam:
    """Adam, with :class:`~resemb_gnn.training.AdamAR` for the tables of at least ``sparse_rows``
    rows.

    Dense Adam moves every row of a table at each step, which for a million rows is most of the
    step. The sparse form updates the rows of the batch only: the others keep their moments and
    stay where they are. On Amazon's Beauty this changed DIN's test AUC by -.003 [-.016, +.011] with
    a plain table and by .0000 with ``gcn`` (3 seeds; ``benchmarks/optimizer.py``). The tables'
    modules (``torch.nn.Embedding`` and :class:`~resemb_gnn.ResEmbedding`) are switched to sparse
    gradients.

    A module may ask for more in its ``table_options`` (:class:`~resemb_gnn.nn.TableOptions`, by the
    name of the parameter): a learning rate of its own, decay by
    :class:`~resemb_gnn.training.AdamAR`, or a new start every epoch.

    Args:
        model: the model to train.
        lr: learning rate.
        sparse_rows: smallest table that is trained so; ``None`` for dense Adam throughout.
    """

    def __init__(self, model: nn.Module, lr: float, sparse_rows: int | None = None) -> None:
        tables: set[nn.Parameter] = set()
        options: dict[nn.Parameter, TableOptions] = {}
        self.renewed: list[nn.Module] = []
        for module in model.modules():
            own: dict[str, TableOptions] = getattr(module, "table_options", {})
            options |= {getattr(module, name): value for name, value in own.items()}
            if any(value.renew for value in own.values()):
                self.renewed.append(module)
            if not isinstance(module, nn.Embedding | ResEmbedding):
                continue
            decays = any(value.decay > 0 for value in own.values())
            large = sparse_rows is not None and module.num_embeddings >= sparse_rows
            module.sparse = decays or large
            if module.sparse:
                own_tables = module.tables if isinstance(module, ResEmbedding) else [module.weight]
                tables.update(cast("list[nn.Parameter]", own_tables))
        groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for parameter in model.parameters():
            if not parameter.requires_grad:
                continue
            asked = options.get(parameter, TableOptions())
            group = {"params": [parameter], "lr": lr * asked.lr_scale}
            if parameter in tables or asked.decay > 0:
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
