"""AdamAR against its formula row by row, and against SparseAdam without decay."""

import pytest
import torch
from torch import Tensor

from resemb_gnn import InputError
from resemb_gnn.training import AdamAR

SIZE, DIM, STEPS = 7, 3, 12


def gradients() -> list[tuple[list[int], Tensor]]:
    """Rows that get a gradient at each step, and their gradients; row 6 never does."""
    generator = torch.Generator().manual_seed(0)
    steps = []
    for _ in range(STEPS):
        rows = (torch.rand(SIZE - 1, generator=generator) < 0.4).nonzero().flatten().tolist()
        steps.append((rows, torch.randn(len(rows), DIM, generator=generator)))
    return steps


def run(optimizer_of, sparse: bool) -> Tensor:  # type: ignore[no-untyped-def]
    torch.manual_seed(1)
    table = torch.nn.Parameter(torch.randn(SIZE, DIM))
    optimizer = optimizer_of(table)
    for rows, values in gradients():
        index = torch.tensor(rows, dtype=torch.long)
        if sparse:  # a row that stands twice, as in the gradient of an embedding
            index, parts = torch.cat([index, index]), torch.cat([0.25 * values, 0.75 * values])
            table.grad = torch.sparse_coo_tensor(index[None], parts, table.shape)
        else:
            table.grad = torch.zeros_like(table).index_copy(0, index, values)
        optimizer.step()
    return table.detach()


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("alpha", [0.0, 0.03, 0.4])
def test_equals_the_formula_row_by_row(sparse: bool, alpha: float) -> None:
    lr, (beta1, beta2), eps = 0.05, (0.8, 0.95), 1e-6
    found = run(lambda p: AdamAR([p], lr, alpha, (beta1, beta2), eps), sparse)

    torch.manual_seed(1)
    table = torch.randn(SIZE, DIM)
    first, second, last = torch.zeros(SIZE, DIM), torch.zeros(SIZE, DIM), [0] * SIZE
    for step, (rows, values) in enumerate(gradients(), start=1):
        for row, grad in zip(rows, values, strict=True):
            table[row] *= 1 - min(1.0, alpha * (step - last[row]))
            last[row] = step
            first[row] = beta1 * first[row] + (1 - beta1) * grad
            second[row] = beta2 * second[row] + (1 - beta2) * grad**2
            corrected = lr * (1 - beta2**step) ** 0.5 / (1 - beta1**step)
            table[row] -= corrected * first[row] / (second[row].sqrt() + eps)
    torch.testing.assert_close(found, table)


def test_equals_sparse_adam_without_decay() -> None:
    ours = run(lambda p: AdamAR([p], lr=0.05, alpha=0.0), sparse=True)
    theirs = run(lambda p: torch.optim.SparseAdam([p], lr=0.05), sparse=True)
    torch.testing.assert_close(ours, theirs)
    assert not torch.allclose(run(lambda p: AdamAR([p], lr=0.05, alpha=0.1), True), theirs)


def test_groups_and_state_round_trip() -> None:
    tables = [torch.nn.Parameter(torch.ones(4, 2)) for _ in range(3)]
    groups = [{"params": tables[:1], "alpha": 0.5}, {"params": tables[1:2], "lr": 0.2}]
    optimizer = AdamAR(groups, lr=0.1, alpha=0.0)
    for table in tables:
        table.grad = torch.ones(4, 2)
    optimizer.step()
    assert torch.allclose(tables[0], torch.full((4, 2), 0.5 - 0.1))
    assert torch.allclose(tables[1], torch.full((4, 2), 1 - 0.2))
    assert torch.equal(tables[2], torch.ones(4, 2))
    other = AdamAR(groups, lr=0.1, alpha=0.0)
    other.load_state_dict(optimizer.state_dict())
    assert other.state[tables[0]]["last_step"].tolist() == [1] * 4


@pytest.mark.parametrize(("name", "value"), [("lr", 0.0), ("alpha", -1.0), ("alpha", float("nan"))])
def test_refusals(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"{name} must be .*{value}"):
        AdamAR([torch.nn.Parameter(torch.ones(2, 2))], **{name: value})
