"""What a class of one's own gets by naming it, and what is made of a stranger's module."""

import pytest
import torch
from torch import Tensor, nn

from resemb_gnn import DIN, BehaviorLog, InputError, covisit_graph, fit
from resemb_gnn.nn import ItemEmbedding, PlainEmbedding, TableOptions, as_item_embedding
from resemb_gnn.training import ModelAdam, training_step


class Doubled(ItemEmbedding):
    """A contributor's table: two rows an item, added; it notes the folds that it is asked for."""

    def __init__(self, log: BehaviorLog, dim: int) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim = log.num_items, dim
        self.first = nn.Parameter(torch.full((log.num_items, dim), 0.1))
        self.second = nn.Parameter(torch.full((log.num_items, dim), 0.2))
        self.user_fold = covisit_graph(log.split().history, folds=3).user_fold
        self.folds: set[int | None] = set()

    @property
    def tables(self) -> dict[str, TableOptions]:
        return {"first": TableOptions(), "second": TableOptions(lr_scale=0.5)}

    def forward(self, ids: Tensor, fold: int | None = None) -> Tensor:
        self.folds.add(fold)
        rows = [nn.functional.embedding(ids, t, sparse=self.sparse) for t in self.parameters()]
        return rows[0] + rows[1]

    def penalty(self, ids: Tensor) -> Tensor | None:
        return 3.0 * self(ids).square().mean()


def test_a_table_of_ones_own_gets_sparse_rows_folds_and_a_penalty(log: BehaviorLog) -> None:
    split = log.split()
    model = DIN(Doubled(log, 4))
    own = model.embedding
    assert isinstance(own, Doubled)
    assert as_item_embedding(own) is own
    batch = split.train.batch(torch.arange(5))
    assert torch.allclose(model.penalty(batch), torch.tensor(3 * 0.3**2))  # type: ignore[arg-type]

    optimizer = ModelAdam(model, 0.01, sparse_rows=1)
    training_step(model, batch, optimizer)
    assert own.first.grad is not None
    assert own.first.grad.is_sparse
    moved = [(table.detach() - start).abs().max() for table, start in zip(
        own.parameters(), (0.1, 0.2), strict=True)]  # fmt: skip
    assert torch.allclose(moved[0], torch.tensor(0.01), atol=1e-4)
    assert torch.allclose(moved[1], torch.tensor(0.005), atol=1e-4)
    rows = (own.first != own.first.mode(dim=0).values).any(dim=1).nonzero().flatten()
    assert set(rows.tolist()) <= {*batch.history.tolist(), *batch.target.tolist()}

    own.folds.clear()
    fit(model, split, epochs=1, batch_size=64, progress=False)
    assert own.folds == {None, 0, 1, 2}
    assert torch.equal(own.materialize().weight, own(torch.arange(log.num_items)))


def test_defaults_ask_for_nothing(log: BehaviorLog) -> None:
    class Least(ItemEmbedding):
        embedding_dim, num_embeddings = 2, 3

        def forward(self, ids: Tensor, fold: int | None = None) -> Tensor:
            return ids.unsqueeze(-1).expand(*ids.shape, 2).float()

    least = Least()
    ids = torch.arange(3)
    assert least.penalty(ids) is None
    assert (least.tables, least.user_fold, least.item_groups) == ({}, None, None)
    assert not least.release_residual()
    assert torch.equal(least.materialize().weight, least(ids))
    assert not list(least.state_dict())


class Strange(nn.Module):
    """Somebody's module: an embedding by its width alone."""

    embedding_dim = 2

    def forward(self, ids: Tensor) -> Tensor:
        return torch.stack([ids, -ids], dim=-1).float()


def test_strangers_modules_are_adapted(log: BehaviorLog) -> None:
    ids = torch.tensor([[0, 2], [1, 1]])
    strange = as_item_embedding(Strange())
    assert torch.equal(strange(ids), Strange()(ids))
    assert (strange.num_embeddings, strange.embedding_dim, strange.tables) == (None, 2, {})
    assert strange.penalty(ids) is None
    with pytest.raises(InputError, match="Strange does not tell its number of items"):
        strange.materialize()

    table = nn.Embedding(5, 3)
    seen = as_item_embedding(table)
    assert (seen.num_embeddings, seen.embedding_dim) == (5, 3)
    assert seen.tables == {"weight": TableOptions()}
    assert torch.equal(seen(ids), table(ids))
    assert torch.equal(seen.materialize().weight, table.weight)
    assert next(iter(DIN(table).state_dict())) == "embedding.weight"  # it stays what it is
    with pytest.raises(InputError, match="Linear has no embedding_dim"):
        DIN(nn.Linear(2, 2))


def test_a_plain_table_is_both(log: BehaviorLog) -> None:
    table = PlainEmbedding(5, 3, std=1.0)
    assert isinstance(table, nn.Embedding)
    assert as_item_embedding(table) is table
    ids = torch.tensor([4, 0])
    assert torch.equal(table(ids), table.weight[ids])
    assert torch.equal(table(ids, fold=0), table.weight[ids])
