"""AUGRU against PyTorch's GRU, and against its formula a sequence at a time."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from resemb_gnn.nn import AUGRU
from resemb_gnn.nn.packing import Packing, pack

LENGTHS = st.lists(st.integers(0, 6), min_size=1, max_size=7).filter(any)


def make_layer(seed: int) -> AUGRU:
    torch.manual_seed(seed)
    return AUGRU(4, 3).double()


def make_input(lengths: list[int]) -> tuple[Tensor, Tensor, Packing]:
    x = torch.randn(sum(lengths), 4, dtype=torch.double, requires_grad=True)
    attention = torch.rand(sum(lengths), dtype=torch.double, requires_grad=True)
    return x, attention, pack(torch.tensor([0, *torch.tensor(lengths).cumsum(0).tolist()]))


def last_states(layer: AUGRU, x: Tensor, attention: Tensor, packing: Packing) -> Tensor:
    return layer(x[packing.order], attention[packing.order], packing.sizes)


@settings(max_examples=25, deadline=None)
@given(lengths=LENGTHS, seed=st.integers(0, 1000))
def test_equals_the_formula(lengths: list[int], seed: int) -> None:
    layer = make_layer(seed)
    x, attention, packing = make_input(lengths)
    w_r, w_u, w_h = layer.weight_input.split(3)
    u_r, u_u, u_h = layer.weight_hidden.split(3)
    b_r, b_u, b_h = layer.bias.split(3)
    expected = []
    for sequence in packing.longest_first.tolist():
        start = sum(lengths[:sequence])
        h = torch.zeros(3, dtype=torch.double)
        for t in range(start, start + lengths[sequence]):
            r = (w_r @ x[t] + u_r @ h + b_r).sigmoid()
            u = (w_u @ x[t] + u_u @ h + b_u).sigmoid()
            new = (w_h @ x[t] + r * (u_h @ h) + b_h).tanh()
            h = (1 - attention[t] * u) * h + attention[t] * u * new
        expected.append(h)
    out, wanted = last_states(layer, x, attention, packing), torch.stack(expected)
    torch.testing.assert_close(out, wanted)
    probe = torch.randn_like(out)
    inputs = [x, attention, *layer.parameters()]
    got = torch.autograd.grad((out * probe).sum(), inputs)
    torch.testing.assert_close(got, torch.autograd.grad((wanted * probe).sum(), inputs))


@settings(max_examples=10, deadline=None)
@given(lengths=LENGTHS, seed=st.integers(0, 1000))
def test_full_attention_makes_the_gru(lengths: list[int], seed: int) -> None:
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
    _, expected = gru(PackedSequence(x[packing.order], packing.sizes))
    ones = torch.ones(len(x), dtype=torch.double)
    torch.testing.assert_close(last_states(layer, x, ones, packing), expected[0])


def test_a_behaviour_without_attention_is_passed_over() -> None:
    layer = make_layer(0)
    x, attention, packing = make_input([4, 6])
    kept = torch.tensor([1, 0, 1, 1, 0, 1, 1, 0, 1, 0], dtype=torch.bool)
    full = last_states(layer, x, attention * kept, packing)
    shorter = pack(torch.tensor([0, 3, 6]))
    # Of equal length now, the sequences stand the other way round.
    part = last_states(layer, x[kept], attention[kept], shorter).flip(0)
    torch.testing.assert_close(full, part)


def test_start_is_that_of_gru() -> None:
    torch.manual_seed(0)
    layer = AUGRU(8, 100)
    values = torch.cat([parameter.detach().flatten() for parameter in layer.parameters()])
    assert 0.099 < float(values.abs().max()) <= 0.1
    assert str(layer) == "AUGRU(8, 100)"


def test_no_sequence_at_all() -> None:
    layer = AUGRU(4, 3)
    out = layer(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0).long())
    assert out.shape == (0, 3)
