"""Statistics over a batch of several processes, all played by this one, as if another held the
same rows. Real ones: tests/training/test_distributed.py.
"""

import contextlib
import copy

import pytest
import torch
from torch import Tensor, nn

from resemb_gnn.nn import BatchNorm, Dice
from resemb_gnn.nn.layers.shared_batch import is_shared, normalize_across, shared_batch


def gather(parts: list[Tensor], value: Tensor) -> None:
    for part in parts:
        part.copy_(value)


@pytest.fixture
def twin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two rows, one a process, the other process has them the other way round."""

    def add(value: Tensor) -> None:  # unseen by autograd, as the real one is
        value = value.detach()
        value += value.flip(0) if value.dim() == 2 else value

    monkeypatch.setattr("torch.distributed.all_reduce", add)
    monkeypatch.setattr("torch.distributed.all_gather", gather)
    monkeypatch.setattr("torch.distributed.get_rank", lambda: 0)
    monkeypatch.setattr("torch.distributed.get_world_size", lambda: 2)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.distributed.all_reduce", lambda value: value)
    monkeypatch.setattr("torch.distributed.all_gather", gather)
    monkeypatch.setattr("torch.distributed.get_rank", lambda: 0)
    monkeypatch.setattr("torch.distributed.get_world_size", lambda: 1)


def make_norm() -> nn.BatchNorm1d:
    norm = nn.BatchNorm1d(3, eps=0.1, momentum=0.3, affine=False).double()
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    return norm


def both(x: Tensor) -> Tensor:
    return torch.cat([x, x]).detach().requires_grad_()


def assert_same_averages(one: nn.Module, other: nn.Module) -> None:
    buffers = dict(other.named_buffers())
    for name in ("running_mean", "running_var"):
        torch.testing.assert_close(dict(one.named_buffers())[name], buffers[name])


@pytest.mark.usefixtures("twin")
@pytest.mark.parametrize("rows", [1, 4])
def test_rows_of_both_processes_count(rows: int) -> None:
    x = (torch.randn(rows, 3).double() * 5 + 2).requires_grad_()
    whole, probe = both(x), torch.randn(rows, 3)
    ours = make_norm()
    theirs = copy.deepcopy(ours)
    out, expected = normalize_across(x, ours), theirs(whole)
    torch.testing.assert_close(out, expected[:rows])
    (out * probe).sum().backward()
    (expected * probe.repeat(2, 1)).sum().backward()
    torch.testing.assert_close(x.grad, whole.grad[:rows])
    assert_same_averages(ours, theirs)


@pytest.mark.usefixtures("twin")
@pytest.mark.parametrize("layer", [BatchNorm(3, affine=False), Dice(3)])
def test_gradients_of_gradients_are_those_of_the_whole_batch(layer: nn.Module) -> None:
    layer = layer.double()
    x = torch.randn(4, 3).double().requires_grad_()
    whole, whole_layer, probe = both(x), copy.deepcopy(layer), torch.randn(4, 3).double()
    with shared_batch():
        (slope,) = torch.autograd.grad((layer(x) * probe).sum(), x, create_graph=True)
        slope.square().sum().backward()
    expected = (whole_layer(whole) * probe.repeat(2, 1)).sum()
    (whole_slope,) = torch.autograd.grad(expected, whole, create_graph=True)
    torch.testing.assert_close(slope, whole_slope[:4])
    whole_slope.square().sum().backward()
    torch.testing.assert_close(x.grad, whole.grad[:4])


@pytest.mark.usefixtures("alone")
def test_a_single_row_in_all_is_normalised_by_the_moving_averages() -> None:
    norm = make_norm()
    before = copy.deepcopy(norm).eval()
    x = torch.randn(1, 3).double()
    torch.testing.assert_close(normalize_across(x, norm), before(x))
    assert_same_averages(norm, before)


@pytest.mark.usefixtures("twin")
def test_rows_of_autocast_come_out_in_the_norm_s_type() -> None:
    out = normalize_across(torch.randn(4, 3, dtype=torch.bfloat16), nn.BatchNorm1d(3))
    assert out.dtype == torch.float32


@pytest.mark.usefixtures("twin")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_many_rows_in_a_narrow_type(dtype: torch.dtype) -> None:
    x = 100 + torch.randn(40_001, 3)  # a sum, and in bfloat16 a count, that the type cannot hold
    out = normalize_across(x.to(dtype), nn.BatchNorm1d(3).to(dtype))
    assert out.dtype == dtype
    whole = both(x.to(dtype)).float()
    expected = nn.functional.batch_norm(whole, None, None, training=True)[:40_001]
    torch.testing.assert_close(out.float(), expected, atol=0.03, rtol=0.03)


@pytest.mark.usefixtures("twin")
@pytest.mark.parametrize("layer", [BatchNorm(3), BatchNorm(3, affine=False), Dice(3)])
def test_layers_share_their_batch_within_the_block(layer: nn.Module) -> None:
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    whole_layer = copy.deepcopy(layer)
    x, probe = (torch.randn(4, 3) + 20).requires_grad_(), torch.randn(4, 3)
    with shared_batch():
        out = layer(x)
    whole = both(x)
    expected = whole_layer(whole)
    torch.testing.assert_close(out, expected[:4], atol=1e-4, rtol=1e-4)
    (out * probe).sum().backward()
    (expected * probe.repeat(2, 1)).sum().backward()
    torch.testing.assert_close(x.grad, whole.grad[:4], atol=1e-4, rtol=1e-4)
    for one, other in zip(layer.parameters(), whole_layer.parameters(), strict=True):
        # Processes add up their gradients.
        torch.testing.assert_close(2 * one.grad, other.grad, atol=1e-4, rtol=1e-4)
    if isinstance(layer, BatchNorm):
        assert_same_averages(layer, whole_layer)
        assert layer.num_batches_tracked == whole_layer.num_batches_tracked == 1
    else:
        assert_same_averages(layer.norm, whole_layer.norm)


def test_a_batch_is_shared_until_the_block_ends() -> None:
    assert not is_shared()
    with contextlib.suppress(KeyError), shared_batch():
        assert is_shared()
        with shared_batch(False):
            assert not is_shared()
        assert is_shared()
        raise KeyError
    assert not is_shared()
