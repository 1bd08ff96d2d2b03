"""What keeps the residual small, against loops over the formulas."""

from typing import Any

import pytest
import torch
from dense_reference import random_graph
from torch import Tensor

from resemb_gnn import InputError, ResEmbedding
from resemb_gnn.nn import ResidualOptions

IDS = torch.tensor([[3, 0, 3], [1, 7, 2]])
ALL = torch.arange(9)


def make_embedding(shrinkage: float | None = 3.0, seed: int = 0, **options: Any) -> ResEmbedding:
    torch.manual_seed(seed)
    return ResEmbedding(
        random_graph(0),
        5,
        3,
        "gcn",  # no item's central part is zero, as three ReLU weights may be
        residual_std=0.5,
        shrinkage=shrinkage,
        residual_options=ResidualOptions(**options),
    )


def loop(emb: ResEmbedding, constant: Tensor | float | None) -> Tensor:
    """The residuals of all items as they are added, one by one."""
    count, options = random_graph(0).count, emb.options
    rows = []
    for i in range(9):
        row = emb.residual[i]
        if constant is not None:
            row = row * (count[i] / (count[i] + constant))
        length = row.square().sum().sqrt()
        for cap in (
            options.max_norm,
            None
            if options.max_ratio is None
            else options.max_ratio * emb.center_part(ALL)[i].square().sum().sqrt(),
        ):
            if cap is not None and length > cap:
                row = row * (cap / length)
                length = row.square().sum().sqrt()
        rows.append(row)
    return torch.stack(rows)


CAPS = [
    {"max_norm": 0.3},
    {"max_ratio": 0.5},
    {"max_norm": 0.1, "max_ratio": 0.5},
    {"max_norm": 0.3, "max_ratio": 0.2},
    {"max_norm": 100.0},
]


@pytest.mark.parametrize("shrinkage", [None, 3.0])
@pytest.mark.parametrize("options", CAPS, ids=str)
def test_caps(options: dict[str, float], shrinkage: float | None) -> None:
    emb = make_embedding(shrinkage, **options)
    residual = loop(emb, shrinkage)
    torch.testing.assert_close(emb.residual_part(IDS), residual[IDS])
    expected = emb.center_part(ALL) + residual
    torch.testing.assert_close(emb(IDS), expected[IDS])

    probe = torch.randn(9, 5)
    parameters = list(emb.parameters())
    actual = torch.autograd.grad((emb(ALL) * probe).sum(), parameters)
    wanted = torch.autograd.grad((expected * probe).sum(), parameters)
    for one, other in zip(actual, wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
    lengths, free = emb.residual_part(ALL).norm(dim=1), make_embedding(shrinkage).residual_part(ALL)
    if options == {"max_norm": 100.0}:
        torch.testing.assert_close(emb.residual_part(ALL), free)
    else:
        assert lengths.sum() < free.norm(dim=1).sum()


def test_a_zero_residual_is_not_divided_by() -> None:
    emb = make_embedding(max_ratio=0.5)
    torch.nn.init.zeros_(emb.residual)
    emb(ALL).sum().backward()
    assert torch.equal(emb.residual_part(ALL), torch.zeros(9, 5))
    assert all(bool(p.grad.isfinite().all()) for p in emb.parameters())


@pytest.mark.parametrize("learnt", [True, False])
def test_counts_beyond_float16(learnt: bool) -> None:
    graph = random_graph(0)
    graph.count = torch.tensor([0, 1, 1000, 2000, 70_000, 10**6, 10**9, 5, 0])
    options = ResidualOptions(learn_shrinkage=learnt)
    emb = ResEmbedding(graph, 5, 3, shrinkage=1000.0, residual_options=options)
    scale = emb.residual_scale
    torch.testing.assert_close(scale[:, 0], graph.count / (graph.count + 1000))
    narrow = emb.half()
    torch.testing.assert_close(narrow.residual_scale.float(), scale, atol=0.005, rtol=0.01)
    narrow(ALL).sum().backward()
    assert all(bool(p.grad.isfinite().all()) for p in narrow.parameters())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_zero_residuals_and_centres_in_a_narrow_type(dtype: torch.dtype) -> None:
    emb = make_embedding(max_ratio=0.5).to(dtype)
    torch.nn.init.zeros_(emb.residual)
    torch.nn.init.zeros_(emb.centers)
    assert not emb(ALL).any()


@pytest.mark.parametrize("options", [{}, {"max_norm": 0.2}], ids=str)
def test_learnt_shrinkage(options: dict[str, float]) -> None:
    emb = make_embedding(learn_shrinkage=True, **options)
    assert emb.shrinkage.log_constant.exp().item() == pytest.approx(3)
    torch.testing.assert_close(emb(IDS), make_embedding(**options)(IDS))  # as the fixed one starts
    with torch.no_grad():
        emb.shrinkage.log_constant.fill_(1.7)
    expected = emb.center_part(ALL) + loop(emb, emb.shrinkage.log_constant.exp())
    torch.testing.assert_close(emb(IDS), expected[IDS])
    scale = random_graph(0).count / (random_graph(0).count + emb.shrinkage.log_constant.exp())
    torch.testing.assert_close(emb.residual_scale, scale[:, None])

    probe = torch.randn(9, 5)
    actual = torch.autograd.grad((emb(ALL) * probe).sum(), emb.shrinkage.log_constant)
    wanted = torch.autograd.grad((expected * probe).sum(), emb.shrinkage.log_constant)
    torch.testing.assert_close(actual, wanted)
    emb.reset_parameters()
    assert emb.shrinkage.log_constant.exp().item() == pytest.approx(3)


def test_materialized_rows_hold_caps_and_learnt_shrinkage() -> None:
    emb = make_embedding(learn_shrinkage=True, max_norm=0.2, max_ratio=0.4)
    torch.testing.assert_close(emb.materialize().weight, emb(ALL))
    other = make_embedding(learn_shrinkage=True, max_norm=0.2, max_ratio=0.4, seed=1)
    other.load_state_dict(emb.state_dict())
    assert torch.equal(other(ALL), emb(ALL))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_norm": 0.0}, r"max_norm must be above 0, not 0\.0"),
        ({"max_ratio": -1.0}, r"max_ratio must be above 0, not -1\.0"),
        ({"lr_scale": 0.0}, r"lr_scale must be above 0, not 0\.0"),
        ({"decay": -0.1}, r"decay must be at least 0, not -0\.1"),
        ({"shrinkage": None, "learn_shrinkage": True}, "learn_shrinkage needs a shrinkage"),
        ({"shrinkage": 0.0, "learn_shrinkage": True}, "must start above 0, not at 0"),
    ],
)
def test_refusals(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_embedding(**options)


def test_staged_residuals_wait_for_their_release() -> None:
    emb = make_embedding(staged=True)
    assert torch.equal(emb(ALL), emb.center_part(ALL))
    emb(IDS).sum().backward()
    assert emb.residual.grad is None
    assert emb.penalty(IDS) is None
    assert emb.release_residual()
    assert emb.residual.std() > 0.3  # residual_std is 0.5
    emb(IDS).sum().backward()
    assert emb.residual.grad is not None
    assert emb.penalty(IDS) is not None
    before = emb.residual.clone()
    assert not emb.release_residual()  # once only
    assert torch.equal(emb.residual, before)


def test_reset_puts_staged_residuals_back_to_their_first_stage() -> None:
    emb = make_embedding(staged=True)
    emb.release_residual()
    emb.reset_parameters()
    assert not emb.residual.any()
    assert emb.release_residual()


def test_a_residual_that_is_not_staged_has_nothing_to_release() -> None:
    emb = make_embedding()
    before = emb.residual.clone()
    assert not emb.release_residual()
    assert torch.equal(emb.residual, before)
    frozen = make_embedding()
    frozen.residual.requires_grad_(False)  # as the arm gcn:none has it
    assert not frozen.release_residual()
    assert not frozen.residual.requires_grad
