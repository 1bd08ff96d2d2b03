"""The plain table and its penalty."""

import pytest
import torch
from torch import nn

from resemb_gnn import DIN, BehaviorLog, InputError
from resemb_gnn.nn import PlainEmbedding


def test_is_a_table_with_a_start() -> None:
    torch.manual_seed(0)
    table = PlainEmbedding(2000, 8)
    assert isinstance(table, nn.Embedding)
    assert table.weight.std().item() == pytest.approx(0.003, rel=0.05)
    start = torch.randn(2000, 8)
    started = PlainEmbedding(2000, 8, std=0.01, start=start)
    assert (started.weight - start).std().item() == pytest.approx(0.01, rel=0.05)
    before = started.weight.clone()
    nn.init.zeros_(started.weight)
    started.reset_parameters()
    assert (started.weight - start).std().item() == pytest.approx(0.01, rel=0.05)
    assert not torch.equal(started.weight, before)
    assert list(started.state_dict()) == ["weight"]


def test_penalty_over_the_distinct_items_of_a_batch(log: BehaviorLog) -> None:
    torch.manual_seed(0)
    table = PlainEmbedding(log.num_items, 4, std=0.5, l2=0.7)
    model = DIN(table)
    batch = log.split().train.batch(torch.arange(6))
    penalty = model.penalty(batch)
    items = sorted(set(batch.history.tolist()) | set(batch.target.tolist()))
    expected = 0.7 * sum(sum(v**2 for v in table.weight[i].tolist()) for i in items) / len(items)
    assert penalty.item() == pytest.approx(expected, rel=1e-5)
    (grad,) = torch.autograd.grad(penalty, table.weight)
    assert grad.any(dim=1).nonzero().flatten().tolist() == items
    assert DIN(PlainEmbedding(log.num_items, 4)).penalty(batch) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"std": -1.0}, r"std must be at least 0, not -1\.0"),
        ({"l2": float("nan")}, "l2 must be at least 0, not nan"),
        ({"start": torch.zeros(4, 3)}, r"start has shape \[4, 3\], not \[5, 3\]"),
        ({"start": torch.full((5, 3), torch.inf)}, "not finite"),
    ],
)
def test_refusals(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        PlainEmbedding(5, 3, **options)  # type: ignore[arg-type]
