"""AUGRU against PyTorch's GRU, and against its formula a sequence at a time."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from resemb_gnn.nn import AUGRU
from resemb_gnn.nn.layers.packing import Packing, pack

LENGTHS = st.lists(st.integers(0, 6), min_size=1, max_size=7).filter(any)


def make_layer(seed: int) -> AUGRU:
    torch.manual_seed(seed)
    return AUGRU(4, 3).double()


def make_input(lengths: list[int]) -> tuple[Tensor, Tensor, Packing]:
    x = torch.randn(sum(lengths), 4, dtype=torch.double, requires_grad=True)
    attention = torch.rand(sum(lengths), dtype=torch.double, requires_grad=True)
    ptr = torch.tensor([0, *torch.tensor(lengths).cumsum(0).tolist()])
    return x, attention, pack(ptr, len(x))


def states(layer: AUGRU, x: Tensor, packing: Packing, attention: Tensor | None = None) -> Tensor:
    """State after each row, in the order of the rows."""
    if attention is not None:
        attention = attention[packing.order]
    return layer(x[packing.order], packing.sizes, attention)[packing.place]


def states_by_formula(layer: AUGRU, x: Tensor, lengths: list[int], attention: Tensor) -> Tensor:
    w_r, w_u, w_h = layer.weight_input.split(3)
    u_r, u_u, u_h = layer.weight_hidden.split(3)
    b_r, b_u, b_h = layer.bias.split(3)
    out = []
    for part, weights in zip(x.split(lengths), attention.split(lengths), strict=True):
        h = torch.zeros(3, dtype=torch.double)
        for x_t, a in zip(part, weights, strict=True):
            r = (w_r @ x_t + u_r @ h + b_r).sigmoid()
            u = (w_u @ x_t + u_u @ h + b_u).sigmoid()
            new = (w_h @ x_t + r * (u_h @ h) + b_h).tanh()
            h = (1 - a * u) * h + a * u * new
            out.append(h)
    return torch.stack(out)


@settings(max_examples=25, deadline=None)
@given(lengths=LENGTHS, seed=st.integers(0, 1000))
def test_equals_the_formula(lengths: list[int], seed: int) -> None:
    layer = make_layer(seed)
    x, attention, packing = make_input(lengths)
    out = states(layer, x, packing, attention)
    expected = states_by_formula(layer, x, lengths, attention)
    torch.testing.assert_close(out, expected)
    probe = torch.randn_like(out)
    inputs = [x, attention, *layer.parameters()]
    got = torch.autograd.grad((out * probe).sum(), inputs)
    torch.testing.assert_close(got, torch.autograd.grad((expected * probe).sum(), inputs))


@settings(max_examples=15, deadline=None)
@given(lengths=LENGTHS, seed=st.integers(0, 1000))
def test_without_attention_it_is_pytorch_s_gru(lengths: list[int], seed: int) -> None:
    layer = make_layer(seed)
    x, _, packing = make_input(lengths)
    gru = nn.GRU(4, 3).double()
    # PyTorch's update gate is the share that stays: one minus ours.
    sign = torch.tensor([1.0, -1.0, 1.0]).double().repeat_interleave(3)
    with torch.no_grad():
        gru.weight_ih_l0.copy_(sign[:, None] * layer.weight_input)
        gru.weight_hh_l0.copy_(sign[:, None] * layer.weight_hidden)
        gru.bias_ih_l0.copy_(sign * layer.bias)
        gru.bias_hh_l0.zero_()
    expected = gru(PackedSequence(x[packing.order], packing.sizes))[0].data[packing.place]
    out = states(layer, x, packing)
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(out, states(layer, x, packing, torch.ones_like(x[:, 0])))
    (got,) = torch.autograd.grad(out.square().sum(), x)
    torch.testing.assert_close(got, torch.autograd.grad(expected.square().sum(), x)[0])


def test_a_behaviour_without_attention_is_passed_over() -> None:
    layer = make_layer(0)
    x, attention, packing = make_input([4, 6])
    kept = torch.tensor([1, 0, 1, 1, 0, 1, 1, 0, 1, 0], dtype=torch.bool)
    full = states(layer, x, packing, attention * kept)
    part = states(layer, x[kept], pack(torch.tensor([0, 3, 6]), 6), attention[kept])
    torch.testing.assert_close(full[kept], part)
    assert torch.equal(full[1], full[0])


def test_start_is_that_of_gru() -> None:
    torch.manual_seed(0)
    layer = AUGRU(8, 100)
    values = torch.cat([parameter.detach().flatten() for parameter in layer.parameters()])
    assert 0.099 < float(values.abs().max()) <= 0.1
    assert str(layer) == "AUGRU(8, 100)"


def test_no_sequence_at_all() -> None:
    layer = AUGRU(4, 3)
    out = layer(torch.zeros(0, 4), torch.zeros(0).long(), torch.zeros(0))
    assert out.shape == (0, 3)
