"""Adam on the rows of the batch against dense Adam."""

import pytest
import torch
from torch import nn

from resemb_gnn import DIN, BehaviorLog, ResEmbedding, covisit_graph, fit
from resemb_gnn.nn import PlainEmbedding, ResidualOptions, TableOptions
from resemb_gnn.training import AdamAR, ModelAdam, training_step


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
    optimizer = ModelAdam(model, lr, sparse_rows=1)
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
        optimizer = ModelAdam(model, 0.01, sparse_rows)
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


def with_options(log: BehaviorLog, **options: float) -> ResEmbedding:
    own = ResidualOptions(**options)  # type: ignore[arg-type]
    return ResEmbedding(covisit_graph(log), 4, 6, "gcn", feature_dim=8, residual_options=own)


def test_residual_with_a_learning_rate_of_its_own(log: BehaviorLog) -> None:
    batch = log.split().train.batch(torch.arange(6))
    for sparse_rows in (None, 1):
        torch.manual_seed(0)
        model = DIN(with_options(log, lr_scale=0.25), attention_normalization="none")
        start = {name: value.detach().clone() for name, value in model.named_parameters()}
        training_step(model, batch, ModelAdam(model, 0.01, sparse_rows))
        for name, parameter in model.named_parameters():
            # Adam's first step is as long as the learning rate wherever there is a gradient.
            moved = (parameter - start[name]).abs().max().item()
            expected = 0.0025 if name == "embedding.residual" else 0.01
            assert moved == pytest.approx(expected, rel=0.02), name


def test_residual_with_decay(log: BehaviorLog) -> None:
    batch = log.split().train.batch(torch.arange(6))
    rows = {}
    for decay in (0.0, 0.5, 5.0):
        torch.manual_seed(0)
        model = DIN(with_options(log, decay=decay))
        nn.init.ones_(model.embedding.residual)
        optimizer = ModelAdam(model, 0.01, sparse_rows=1)
        (by_rows,) = (part for part in optimizer.optimizers if isinstance(part, AdamAR))
        assert {group["alpha"] for group in by_rows.param_groups} == {decay}
        training_step(model, batch, optimizer)
        rows[decay] = model.embedding.residual.detach()
    seen = torch.cat([batch.history, batch.target]).unique()
    unseen = torch.ones(log.num_items, dtype=torch.bool).index_fill(0, seen, False)
    assert torch.allclose(rows[0.5][seen], rows[0.0][seen] - 0.5, atol=1e-5)
    assert torch.allclose(rows[5.0][seen], rows[0.0][seen] - 1.0, atol=1e-5)  # no more than all
    assert torch.equal(rows[0.5][unseen], torch.ones(int(unseen.sum()), 4))


def test_decay_asks_for_sparse_gradients_of_small_tables_too(log: BehaviorLog) -> None:
    model = DIN(PlainEmbedding(log.num_items, 4, options=TableOptions(decay=0.1)))
    ModelAdam(model, 0.01, sparse_rows=None)
    assert model.embedding.sparse is True


def test_renewed_tables_start_again_without_their_moments(log: BehaviorLog) -> None:
    batch = log.split().train.batch(torch.arange(6))
    for options, renewed in ((TableOptions(renew=True), True), (TableOptions(), False)):
        torch.manual_seed(0)
        model = DIN(PlainEmbedding(log.num_items, 4, std=0.5, options=options))
        optimizer = ModelAdam(model, 0.01)
        training_step(model, batch, optimizer)
        before = {name: value.detach().clone() for name, value in model.named_parameters()}
        optimizer.renew()
        changed = {
            name for name, value in model.named_parameters() if (value != before[name]).any()
        }
        assert changed == ({"embedding.weight"} if renewed else set())
        (adam,) = optimizer.optimizers
        assert (model.embedding.weight in adam.state) != renewed
        assert model.norm.weight in adam.state
        training_step(model, batch, optimizer)


def test_fit_renews_once_an_epoch(log: BehaviorLog, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(ModelAdam, "renew", lambda self: calls.append(1))
    fit(DIN(plain(log)), log.split(), epochs=3, patience=3, progress=False)
    assert len(calls) == 2


def test_frozen_parts_stay_and_are_not_counted(log: BehaviorLog) -> None:
    torch.manual_seed(0)
    model = DIN(gcn(log))
    size = sum(parameter.numel() for parameter in model.parameters())
    model.embedding.residual.requires_grad_(False)
    before = model.embedding.residual.clone()
    result = fit(model, log.split(), epochs=1, progress=False)
    assert torch.equal(result.model.embedding.residual, before)
    assert result.num_parameters == size - before.numel()
