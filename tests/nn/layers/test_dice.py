"""Dice against its formula."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from resemb_gnn.nn import Dice


def formula(s: Tensor, mean: Tensor, variance: Tensor, alpha: Tensor, eps: float) -> Tensor:
    p = 1 / (1 + torch.exp(-(s - mean) / (variance + eps).sqrt()))
    return p * s + (1 - p) * alpha * s


def make_dice(num_features: int, eps: float = 1e-8) -> Dice:
    """With an alpha and moving averages that are not those of the start."""
    dice = Dice(num_features, eps)
    nn.init.normal_(dice.alpha)
    dice.norm.running_mean.normal_()
    dice.norm.running_var.uniform_(0.5, 2)
    return dice


def assert_close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5)


@settings(max_examples=30, deadline=None)
@given(
    rows=st.integers(2, 40),
    width=st.integers(1, 6),
    eps=st.sampled_from([1e-8, 1e-3, 0.5]),
    seed=st.integers(0, 1000),
)
def test_training_mode_takes_the_batch_statistics(
    rows: int, width: int, eps: float, seed: int
) -> None:
    torch.manual_seed(seed)
    dice = make_dice(width, eps).double()  # two nearly equal rows want the digits
    s = torch.randn(rows, width, dtype=torch.double, requires_grad=True)
    # The gradient passes through mean and variance too.
    mean = s.mean(dim=0)
    variance = (s - mean).square().mean(dim=0)
    out, expected = dice(s), formula(s, mean, variance, dice.alpha, eps)
    assert_close(out, expected)

    probe = torch.randn_like(out)
    actual = torch.autograd.grad((out * probe).sum(), [s, dice.alpha])
    wanted = torch.autograd.grad((expected * probe).sum(), [s, dice.alpha])
    assert_close(actual[0], wanted[0])
    assert_close(actual[1], wanted[1])


@settings(max_examples=20, deadline=None)
@given(rows=st.integers(0, 20), width=st.integers(1, 6), seed=st.integers(0, 1000))
def test_evaluation_mode_takes_the_moving_averages(rows: int, width: int, seed: int) -> None:
    torch.manual_seed(seed)
    dice = make_dice(width).eval()
    mean, variance = dice.norm.running_mean.clone(), dice.norm.running_var.clone()
    s = torch.randn(rows, width, requires_grad=True)
    out, expected = dice(s), formula(s, mean, variance, dice.alpha, 1e-8)
    assert_close(out, expected)
    probe = torch.randn(rows, width)
    actual = torch.autograd.grad((out * probe).sum(), [s, dice.alpha])
    wanted = torch.autograd.grad((expected * probe).sum(), [s, dice.alpha])
    assert_close(actual[0], wanted[0])
    assert_close(actual[1], wanted[1])
    assert torch.equal(dice.norm.running_mean, mean)
    assert torch.equal(dice.norm.running_var, variance)


def test_gradients_against_finite_differences() -> None:
    torch.manual_seed(0)
    dice = make_dice(3).double()
    s = torch.randn(5, 3, dtype=torch.double, requires_grad=True)

    def apply(s: Tensor, alpha: Tensor) -> Tensor:
        return torch.func.functional_call(dice, {"alpha": alpha}, (s,))

    assert torch.autograd.gradcheck(apply, (s, dice.alpha))
    dice.eval()
    assert torch.autograd.gradcheck(apply, (s, dice.alpha))


def test_moving_averages() -> None:
    torch.manual_seed(0)
    dice = Dice(4)
    mean, variance = torch.zeros(4), torch.ones(4)
    for rows in (8, 2, 30):
        s = 3 + 2 * torch.randn(rows, 4)
        dice(s)
        mean = 0.9 * mean + 0.1 * s.mean(dim=0)
        variance = 0.9 * variance + 0.1 * s.var(dim=0)  # unbiased, as PyTorch keeps it
    s = torch.randn(6, 4)
    assert_close(dice.eval()(s), formula(s, mean, variance, dice.alpha, 1e-8))


def test_a_mean_far_from_zero() -> None:
    torch.manual_seed(0)
    dice = make_dice(3)
    s = 1000 + torch.randn(50, 3)
    exact = s.double()
    variance = exact.var(dim=0, correction=0)
    expected = formula(exact, exact.mean(dim=0), variance, dice.alpha.double(), 1e-8)
    torch.testing.assert_close(dice(s), expected.float(), atol=0.3, rtol=0)  # of about 1000


@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_rows_for_a_variance(rows: int) -> None:
    torch.manual_seed(0)
    dice = make_dice(3)
    mean, variance = dice.norm.running_mean.clone(), dice.norm.running_var.clone()
    s = torch.randn(rows, 3, requires_grad=True)
    out = dice(s)
    assert dice.training
    assert_close(out, formula(s, mean, variance, dice.alpha, 1e-8))
    out.sum().backward()
    assert bool(s.grad.isfinite().all())
    assert bool(dice.alpha.grad.isfinite().all())
    assert torch.equal(dice.norm.running_mean, mean)
    assert torch.equal(dice.norm.running_var, variance)


def test_constant_column() -> None:
    # (s - E[s]) / sqrt(eps) = 0: the gate is half open. In float32 E[s] may be 1e-7 off.
    dice = make_dice(2).double()
    s = torch.full((5, 2), 0.7, dtype=torch.double)
    assert_close(dice(s), 0.5 * s + 0.5 * dice.alpha * s)


def test_alpha_of_one_is_the_identity() -> None:
    dice = make_dice(4)
    nn.init.ones_(dice.alpha)
    s = torch.randn(7, 4)
    assert_close(dice(s), s)


def test_start_and_reset_parameters() -> None:
    dice = Dice(5)
    assert [name for name, _ in dice.named_parameters()] == ["alpha"]
    assert torch.equal(dice.alpha, torch.zeros(5))
    other = make_dice(5)
    other.reset_parameters()
    for name, value in dice.state_dict().items():
        assert torch.equal(other.state_dict()[name], value), name


def test_state_dict_round_trip() -> None:
    dice, other = make_dice(5).eval(), Dice(5).eval()
    s = torch.randn(4, 5)
    other.load_state_dict(dice.state_dict())
    assert torch.equal(other(s), dice(s))


def test_repr() -> None:
    assert str(Dice(5)).startswith("Dice(\n  5\n")
