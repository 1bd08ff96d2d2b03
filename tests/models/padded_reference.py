"""Small jagged batches, and what the padded versions of the models have in common."""

import copy
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from resemb_gnn import Batch, SASRec
from resemb_gnn.data import Features
from resemb_gnn.data.features import read_features
from resemb_gnn.models import CTRModel
from resemb_gnn.nn import TableEmbedding
from tests.dense_features import dense_rows

NUM_ITEMS = 12
CATEGORY = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 2, 2, 2, 1])
NUM_USERS = 8


def make_features(num_rows: int = 20) -> Features:
    """Features of every kind, of items, users and rows, some of them missing."""
    rng = np.random.default_rng(0)

    def some(values: list[object]) -> list[object]:
        return [value if rng.random() < 0.8 else None for value in values]

    items = pl.DataFrame(
        {
            "brand": some(list("xyzxyzxyzxxy")),
            "tags": [["a", "b", "c"][: number % 4] for number in range(NUM_ITEMS)],
            "price": some(rng.random(NUM_ITEMS).tolist()),
        }
    )
    users = pl.DataFrame({"age": some(list("abcdabcd")), "income": rng.random(NUM_USERS)})
    context = pl.DataFrame(
        {
            "tab": some(rng.integers(3, size=num_rows).tolist()),
            "vector": pl.Series(rng.random((num_rows, 2))),
        }
    )
    return Features(*(read_features(table, table.columns) for table in (items, users, context)))


FEATURES = make_features()
ACTIVATIONS = ["dice", "prelu", "relu"]


def make_batch(lengths: list[int], seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    size = (len(lengths),)
    row = torch.randint(20, size, generator=torch.Generator().manual_seed(seed))
    return Batch(
        history=torch.randint(NUM_ITEMS, (sum(lengths),), generator=generator),
        ptr=torch.tensor([0, *lengths]).cumsum(0),
        target=torch.randint(NUM_ITEMS, size, generator=generator),
        label=torch.randint(2, size, generator=generator).float(),
        user=torch.arange(len(lengths)) % NUM_USERS,
        row=row,
        context=FEATURES.context[row],
    )


def reordered(batch: Batch, order: Tensor) -> Batch:
    parts = batch.history.split(batch.ptr.diff().tolist())
    lengths = batch.ptr.diff()[order]
    return Batch(
        history=torch.cat([parts[i] for i in order.tolist()]),
        ptr=nn.functional.pad(lengths.cumsum(0), (1, 0)),
        target=batch.target[order],
        label=batch.label[order],
        user=batch.user[order],
        row=batch.row[order],
        context=batch.context[order],
    )


def make_model(
    kind: Callable[..., CTRModel],
    seed: int = 0,
    embedding: nn.Module | None = None,
    **options: Any,
) -> CTRModel:
    """In double precision, with batch norm, slopes and linear weights unlike those of the start."""
    torch.manual_seed(seed)
    embedding = nn.Embedding(NUM_ITEMS, 3) if embedding is None else embedding
    model = kind(embedding, hidden=(7, 6), **options).double()
    for name, value in model.named_parameters():
        wide = any(part in name for part in ("item_bias", "crosses", "value_weights"))
        if ("embedding" not in name and value.dim() == 1) or wide or name == "position":
            nn.init.normal_(value)
    for module in model.modules():
        if isinstance(module, TableEmbedding):
            module.drop = 0.0  # what is dropped has tests of its own
    for name, buffer in model.named_buffers():
        if "running" in name:
            buffer.uniform_(0.5, 2)
    return model


class SteadySASRec(SASRec):
    """A small one, without dropout, whose draws two passes do not share; it has no MLP with widths
    of its own.
    """

    def __init__(self, embedding: nn.Module, hidden: tuple[int, ...] = (), **options: Any) -> None:
        small: dict[str, Any] = {"num_blocks": 1, "max_length": 8, "dropout": 0.0}
        super().__init__(embedding, **small | options)


def pad(batch: Batch) -> tuple[Tensor, Tensor]:
    """Padded histories, int64 ``[batch_size, longest]``, and where they are real."""
    histories = batch.history.split(batch.ptr.diff().tolist())
    padded = nn.utils.rnn.pad_sequence([*histories, torch.zeros(1).long()], batch_first=True)[:-1]
    return padded, torch.arange(padded.size(1)) < batch.ptr.diff()[:, None]


def embed(model: CTRModel, ids: Tensor) -> Tensor:
    """Features of items, each embedded where it stands."""
    parts = [model.embedding(ids)]
    if model.category is not None:
        parts.append(model.category.embedding.weight[CATEGORY[ids]])
    if model.known_items is not None:
        parts.append(dense_rows(model.known_items.embedding, FEATURES.items)[ids])
    return torch.cat(parts, dim=-1)


def side(model: CTRModel, batch: Batch) -> list[Tensor]:
    """What stands beside the interest, an example after the other."""
    found = []
    if model.known_users is not None:
        found.append(dense_rows(model.known_users.embedding, FEATURES.users)[batch.user])
    if model.context is not None:
        found.append(dense_rows(model.context, FEATURES.context)[batch.row])
    return found


def mean_history(model: CTRModel, batch: Batch) -> Tensor:
    padded, mask = pad(batch)
    total = (embed(model, padded) * mask[..., None]).sum(dim=1)
    return total / mask.sum(dim=1).clamp(min=1)[:, None]


def batch_norm(x: Tensor, norm: nn.BatchNorm1d, training: bool) -> Tensor:
    mean, variance = norm.running_mean, norm.running_var
    if training and len(x) > 1:
        mean, variance = x.mean(dim=0), x.var(dim=0, correction=0)
    normalized = (x - mean) / (variance + norm.eps).sqrt()
    return normalized * norm.weight + norm.bias


def head(model: CTRModel, batch: Batch, *parts: Tensor) -> Tensor:
    """The normalised MLP that the models end with, whose layers have tests of their own, and the
    linear part of features.
    """
    features = torch.cat([*parts, *side(model, batch)], dim=1)
    logit = model.mlp(batch_norm(features, model.norm, model.training)).squeeze(1)
    return logit + value_logits(model, batch)


def value_logits(model: CTRModel, batch: Batch) -> Tensor:
    """Ten times the weights of the values of brand, age and tab, and of their pairs."""
    if model.value_weights is None:
        return torch.zeros(len(batch)).double()
    linear, crosses = model.value_weights.values.weight, model.value_weights.crosses
    tables = [(FEATURES.items, batch.target), (FEATURES.users, batch.user)]
    every = [
        (feature.num_codes, feature.values[index])
        for table, index in [*tables, (FEATURES.context, batch.row)]
        for feature in table
        if feature.kind == "category"
    ]
    sizes = [size for size, _ in every]
    assert len(sizes) == 3
    rows = []
    for at in range(len(batch)):
        numbers = [sum(sizes[:i]) + int(codes[at]) for i, (_, codes) in enumerate(every)]
        total: Tensor = linear[torch.tensor(numbers), 0].sum()
        for one, other in itertools.combinations(torch.tensor(numbers), 2):
            total = total + crosses.weight.weight[crosses.bucket(one, other), 0]
        rows.append(10 * total)
    return torch.stack(rows)


def assert_same_as_padded(
    model: CTRModel, padded_logits: Callable[[CTRModel, Batch], Tensor], batch: Batch
) -> None:
    """Logits, and gradients of every parameter by a random combination of them."""
    reference = copy.deepcopy(model)
    logit, expected = model(batch), padded_logits(reference, batch)
    assert logit.shape == (len(batch),)
    torch.testing.assert_close(logit, expected)
    probe = torch.randn_like(logit)
    assert_same_gradients(model, (logit * probe).sum(), reference, (expected * probe).sum())


def assert_same_gradients(
    model: nn.Module, value: Tensor, reference: nn.Module, expected: Tensor
) -> None:
    value.backward()
    expected.backward()
    for (name, one), other in zip(model.named_parameters(), reference.parameters(), strict=True):
        wanted = torch.zeros_like(other) if other.grad is None else other.grad
        got = torch.zeros_like(one) if one.grad is None else one.grad
        torch.testing.assert_close(got, wanted, msg=lambda m, name=name: f"{name}: {m}")
