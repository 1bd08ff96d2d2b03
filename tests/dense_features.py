"""Embedded features, a value after the other, from the parameters and their formulas."""

from typing import Any

import torch
from torch import Tensor

from resemb_gnn.data.features import MISSING, Feature, FeatureTable
from resemb_gnn.nn import TableEmbedding
from resemb_gnn.nn.embeddings.feature_codes import CodePart
from resemb_gnn.nn.embeddings.feature_numbers import NumberEmbeddings


def part_of(embedding: TableEmbedding, name: str) -> tuple[Any, int]:
    """The part that embeds a feature, and the feature's place in it."""
    parts: list[Any] = list(embedding.parts)
    return next((part, part.names.index(name)) for part in parts if name in part.names)


def vector_of(embedding: TableEmbedding, name: str, code: int) -> Tensor:
    """The embedding of a code, ``[width]``."""
    part, at = part_of(embedding, name)
    found: Tensor = part.table.weight[part.code[sum(part.num_codes[:at]) + code]]
    return found


def dense_row(embedding: TableEmbedding, feature: Feature, row: int) -> Tensor:
    """A row of a feature, ``[width]``."""
    part, at = part_of(embedding, feature.name)
    if isinstance(part, CodePart):
        codes = feature.values[row : row + 1]
        if feature.ptr is not None:
            codes = feature.values[feature.ptr[row] : feature.ptr[row + 1]]
        found = [vector_of(embedding, feature.name, int(code)) for code in codes]
        return torch.stack(found or [vector_of(embedding, feature.name, MISSING)]).mean(dim=0)
    x = feature.values[row].to(next(part.parameters()))
    if isinstance(part, NumberEmbeddings):
        start, matrix = part.bias[at, 0], part.weight[at]
        if bool(x.isnan()):
            return start
        start = start + matrix[0]
        for left, right, own in zip(part.edges[at], part.edges[at, 1:], matrix[1:], strict=False):
            span = max(float(right - left), 1e-30)
            start = start + min(max(float(x - left) / span, 0.0), 1.0) * own
        return start
    if bool(x.isnan().any()):
        return part.missing
    return part.linear(((x - part.mean) / part.scale).clamp(-5, 5))


def dense_rows(embedding: TableEmbedding, table: FeatureTable) -> Tensor:
    """All rows of a table in evaluation, ``[n, dim]``."""
    columns = embedding.columns
    names = sorted(columns, key=lambda name: columns[name].start)
    rows = [
        torch.cat([dense_row(embedding, table.features[name], row) for name in names])
        for row in range(len(table))
    ]
    return torch.stack(rows)
