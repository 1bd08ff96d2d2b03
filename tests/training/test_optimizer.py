"""Adam on the rows of the batch against dense Adam."""

import pytest
import torch
from torch import nn

from resemb_gnn import DIN, BehaviorLog, ResEmbedding, covisit_graph, fit
from resemb_gnn.training import TableAdam, training_step
from resemb_gnn.training.optimizer import RowAdam


def plain(log: BehaviorLog) -> nn.Module:
    table = nn.Embedding(log.num_items, 4)
    nn.init.normal_(table.weight, std=0.1)
    return table


def average(log: BehaviorLog) -> nn.Module:
    return ResEmbedding(covisit_graph(log), 4, None, "average")


def gcn(log: BehaviorLog) -> nn.Module:
    return ResEmbedding(covisit_graph(log), 4, 6, "gcn", feature_dim=8)


@pytest.mark.parametrize("make", [plain, average, gcn])
def test_first_step_follows_the_formula_on_the_batch_rows(make, log: BehaviorLog) -> None:  # type: ignore[no-untyped-def]
    split = log.split()
    batch = split.train.batch(torch.arange(6))
    lr, eps, root = 0.01, 1e-8, 0.001**0.5  # of 1 - beta2
    torch.manual_seed(0)
    model = DIN(make(log))
    start = {name: value.detach().clone() for name, value in model.named_parameters()}
    optimizer = TableAdam(model, lr, sparse_rows=1)
    training_step(model, batch, optimizer)
    tables = ["embedding.weight"] if make is plain else ["embedding.residual"]
    tables += ["embedding.centers"] if make is average else []
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        assert parameter.grad.is_sparse == (name in tables)
        grad = parameter.grad.to_dense()
        # Adam's first step; the sparse form leaves eps out of the bias correction, Adam does not.
        small = eps if name in tables else eps * root
        expected = start[name] - lr * root * grad / (root * grad.abs() + small)
        assert torch.allclose(parameter, expected, atol=1e-6), name
    for name in tables[:1]:
        moved = (dict(model.named_parameters())[name] != start[name]).any(dim=1)
        seen = torch.cat([batch.history, batch.target]).unique()
        assert set(moved.nonzero().flatten().tolist()) <= set(seen.tolist())


def test_rows_outside_the_batch_stay_where_they_are(log: BehaviorLog) -> None:
    split = log.split()
    first, second = (split.train.batch(torch.arange(4) + 4 * at) for at in (0, 40))
    left = set(first.history.tolist() + first.target.tolist()) - set(
        second.history.tolist() + second.target.tolist()
    )
    rows = torch.tensor(sorted(left))
    for sparse_rows, stays in ((1, True), (None, False)):
        model = DIN(plain(log))
        optimizer = TableAdam(model, 0.01, sparse_rows)
        training_step(model, first, optimizer)
        before = model.embedding.weight[rows].clone()  # type: ignore[union-attr,index]
        training_step(model, second, optimizer)
        after = model.embedding.weight[rows]  # type: ignore[union-attr,index]
        assert torch.equal(before, after) == stays  # dense Adam's moments carry them on


@pytest.mark.parametrize("make", [plain, average, gcn])
def test_fit_chooses_by_size(make, log: BehaviorLog) -> None:  # type: ignore[no-untyped-def]
    split = log.split()
    for sparse_rows, sparse in ((log.num_items, True), (log.num_items + 1, False), (None, False)):
        model = DIN(make(log))
        fit(model, split, epochs=1, sparse_rows=sparse_rows, progress=False)
        assert model.embedding.sparse is sparse


def test_row_adam_moves_as_sparse_adam_does() -> None:
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(30, 5, generator=generator)
    tables = [nn.Parameter(start.clone()) for _ in range(2)]
    optimizers = [RowAdam(tables[:1], lr=0.1), torch.optim.SparseAdam(tables[1:], lr=0.1)]
    for size in (8, 1, 20, 0, 8):
        ids = torch.randint(30, (size,), generator=generator)  # repeated ids add up
        scale = torch.randn(size, 5, generator=generator)
        for table, optimizer in zip(tables, optimizers, strict=True):
            optimizer.zero_grad()
            rows = nn.functional.embedding(ids, table, sparse=True)
            (rows * scale).sum().backward()
            optimizer.step()
        torch.testing.assert_close(tables[0], tables[1])
    assert not torch.equal(tables[0], start)
