"""The exported scorer's other form: one history, and many candidates that share it."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from resemb_gnn.data import Batch
from resemb_gnn.data.features import Feature, FeatureTable
from resemb_gnn.models.ctr_model import per_candidate
from resemb_gnn.serving.known_rows import unchecked_table
from resemb_gnn.serving.scorer import Scorer, feature_example


class CandidateScorer(nn.Module):
    """A :class:`~resemb_gnn.serving.Scorer` of candidates for one user at one moment.

    What the candidates share is computed once where the model can (DIN and the others of this
    package do), and nothing is handed over more than once.

    Args:
        scorer: the scorer, whose tables and model are shared.

    Shapes:
        - **input:** history int64 ``[num_behaviors]``, target int64 ``[num_candidates]``; of a
          model that knows users, user int64 ``[1]``; of one that knows a context, the values of the
          one row, as :class:`~resemb_gnn.serving.Scorer` takes them of many
        - **output:** logits of the click probability, ``[num_candidates]``
    """

    def __init__(self, scorer: Scorer) -> None:
        super().__init__()
        self.scorer = scorer

    def forward(
        self,
        history: Tensor,
        target: Tensor,
        user: Tensor | None = None,
        context: dict[str, Tensor] | None = None,
    ) -> Tensor:
        scorer = self.scorer
        size, num = target.numel(), history.numel()
        row = scorer.context_table(context or {}, 1)
        side = scorer.side(target.new_zeros(1), user, row)
        # The number of behaviours as a tensor: as a number, the export would be bound to it.
        ptr = nn.functional.pad(torch.ones_like(history).sum().reshape(1), (1, 0))
        batch = Batch(
            history,
            ptr,
            target,
            target,
            target if user is None else user.expand(size),
            context=None if row is None else _repeated(row, size),
            candidates=size,
        )
        if not scorer.model.shares_history:
            batch = batch.expanded()
            num = num * size
        items = scorer.table(torch.cat([batch.history, target]))
        past, candidate = torch.arange(num + size, device=target.device).split([num, size])
        logits: Tensor = scorer.model.score(
            items, past, candidate, batch, None if side is None else per_candidate(side, size)
        )
        return logits


def candidate_program(scorer: Scorer) -> torch.export.ExportedProgram:
    """The scorer for one history, exported for any number of behaviours and candidates."""
    behaviors, candidates = torch.export.Dim("num_behaviors"), torch.export.Dim("num_candidates")
    example = torch.zeros(7, dtype=torch.long), torch.zeros(3, dtype=torch.long)
    sizes: dict[str, Any] = {"history": {0: behaviors}, "target": {0: candidates}}
    further: dict[str, Any] = {}
    if scorer.users is not None:
        further["user"], sizes["user"] = torch.zeros(1, dtype=torch.long), {}
    if scorer.features:
        further["context"], sizes["context"] = {}, {}
    for number, feature in enumerate(scorer.features):
        name, values = feature.name, feature_example(feature, 1)
        further["context"][name], sizes["context"][name] = values, {}
        if feature.ptr is not None:
            sizes["context"][name] = {0: torch.export.Dim(f"num_values_{number}")}
            further["context"][f"{name}.ptr"] = torch.tensor([0, values.numel()])
            sizes["context"][f"{name}.ptr"] = {}
    module = CandidateScorer(scorer)
    return torch.export.export(module, example, further, dynamic_shapes=sizes, strict=False)


def _repeated(row: FeatureTable, size: int) -> FeatureTable:
    """The one row of a table, so many times."""
    return unchecked_table({one.name: _repeated_feature(one, size) for one in row})


def _repeated_feature(one: Feature, size: int) -> Feature:
    values = one.values
    if one.ptr is None:
        return replace(one, values=values.expand(size, *values.shape[1:]))
    ptr = torch.arange(size + 1, device=values.device) * values.numel()
    return replace(one, values=values.repeat(size), ptr=ptr)
