"""Jagged DIN attention against a padded and masked version whose first layer is not split."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from resemb_gnn import DINAttention, InputError

pytestmark = pytest.mark.usefixtures("segment_backend")

DIM = 4
ACTIVATIONS = ["dice", "prelu", "relu"]
NORMALIZATIONS = ["none", "softmax"]


class MaskedDice(nn.Module):
    """Dice whose batch statistics are taken over the unmasked rows of a padded batch."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(width))
        self.norm = nn.BatchNorm1d(width, affine=False)  # only to hold the moving averages

    def forward(self, s: Tensor, mask: Tensor) -> Tensor:
        mean, variance = self.norm.running_mean, self.norm.running_var
        number = mask.sum()
        if self.training and number > 1:
            mean = (s * mask).sum(dim=(0, 1)) / number
            variance = ((s - mean).square() * mask).sum(dim=(0, 1)) / number
        p = ((s - mean) / (variance + 1e-8).sqrt()).sigmoid()
        return p * s + (1 - p) * self.alpha * s


class MaskedPReLU(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width))

    def forward(self, s: Tensor, mask: Tensor) -> Tensor:
        return torch.where(s > 0, s, self.weight * s)


class MaskedReLU(nn.Module):
    def forward(self, s: Tensor, mask: Tensor) -> Tensor:
        return s.clamp(min=0)


class PaddedAttention(nn.Module):
    """``sum_t a(q, k_t) k_t`` over padded histories, ``a`` the MLP of ``[q, k, q - k, q * k]``.

    Its parameters have the names of DINAttention's.
    """

    def __init__(self, hidden: tuple[int, ...], activation: str, normalization: str) -> None:
        super().__init__()
        make = {"dice": MaskedDice, "prelu": MaskedPReLU, "relu": lambda width: MaskedReLU()}
        self.normalization = normalization
        self.first = nn.Linear(4 * DIM, hidden[0])
        self.activation = make[activation](hidden[0])
        layers: list[nn.Module] = []
        for width, following in pairwise(hidden):
            layers += [nn.Linear(width, following), make[activation](following)]
        last = nn.Linear(hidden[-1], 1, bias=normalization == "none")
        self.rest = nn.ModuleList([*layers, last])

    def weights(self, query: Tensor, padded: Tensor, mask: Tensor) -> Tensor:
        """Attention ``[batch, longest]``, zero where masked."""
        q = query[:, None].expand_as(padded)
        s = self.first(torch.cat([q, padded, q - padded, q * padded], dim=2))
        s = self.activation(s, mask[..., None])
        for layer in self.rest:
            s = layer(s) if isinstance(layer, nn.Linear) else layer(s, mask[..., None])
        score = s.squeeze(2)
        if self.normalization == "softmax":
            score = (score / DIM**0.5).masked_fill(~mask, -torch.inf)
            score = score.softmax(dim=1).nan_to_num(0.0)  # of an empty history nothing is left
        return score * mask

    def forward(self, query: Tensor, padded: Tensor, mask: Tensor) -> Tensor:
        return (self.weights(query, padded, mask)[..., None] * padded).sum(dim=1)


def make_pair(
    activation: str, normalization: str, hidden: tuple[int, ...], training: bool
) -> tuple[DINAttention, PaddedAttention]:
    attention = DINAttention(DIM, hidden, activation, normalization)
    for name, value in attention.named_parameters():
        if "alpha" in name:
            nn.init.normal_(value)
    for name, buffer in attention.named_buffers():
        if buffer.is_floating_point():
            buffer.uniform_(0.5, 2) if "var" in name else buffer.normal_()
    reference = PaddedAttention(hidden, activation, normalization)
    reference.load_state_dict(attention.state_dict())
    return attention.double().train(training), reference.double().train(training)


def pad(key_index: Tensor, lengths: list[int]) -> tuple[Tensor, Tensor]:
    """Key of each place ``[batch, longest]`` (0 where there is none), and which places are real."""
    longest = max([1, *lengths])
    index = torch.zeros(len(lengths), longest, dtype=torch.long)
    mask = torch.zeros(len(lengths), longest, dtype=torch.bool)
    for example, part in enumerate(key_index.split(lengths)):
        index[example, : len(part)] = part
        mask[example, : len(part)] = True
    return index, mask


def ptr_of(lengths: list[int]) -> Tensor:
    return torch.tensor([0, *lengths]).cumsum(0)


def assert_close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@settings(max_examples=15, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 5), min_size=1, max_size=6),
    hidden=st.sampled_from([(6,), (6, 3), (5, 4, 3)]),
    seed=st.integers(0, 1000),
)
def test_equals_the_padded_version(
    activation: str,
    normalization: str,
    training: bool,
    lengths: list[int],
    hidden: tuple[int, ...],
    seed: int,
) -> None:
    torch.manual_seed(seed)
    attention, reference = make_pair(activation, normalization, hidden, training)
    query = torch.randn(len(lengths), DIM, dtype=torch.double, requires_grad=True)
    keys = torch.randn(7, DIM, dtype=torch.double, requires_grad=True)
    key_index = torch.randint(7, (sum(lengths),))  # some keys twice, some never
    index, mask = pad(key_index, lengths)

    weights = attention.weights(query, keys, key_index, ptr_of(lengths))
    assert weights.shape == (sum(lengths),)
    assert_close(weights, reference.weights(query, keys[index], mask)[mask])

    out = attention(query, keys, key_index, ptr_of(lengths))
    expected = reference(query, keys[index], mask)
    assert out.shape == (len(lengths), DIM)
    assert_close(out, expected)
    assert bool((out[torch.tensor(lengths) == 0] == 0).all())

    probe = torch.randn_like(out)
    actual = torch.autograd.grad((out * probe).sum(), [query, keys, *attention.parameters()])
    wanted = torch.autograd.grad((expected * probe).sum(), [query, keys, *reference.parameters()])
    names = ["query", "keys", *(name for name, _ in attention.named_parameters())]
    for name, one, other in zip(names, actual, wanted, strict=True):
        torch.testing.assert_close(one, other, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_gradients_against_finite_differences(
    activation: str, normalization: str, training: bool
) -> None:
    torch.manual_seed(0)
    attention, _ = make_pair(activation, normalization, (3,), training)
    lengths = [2, 0, 4, 1]
    query = torch.randn(4, DIM, dtype=torch.double, requires_grad=True)
    keys = torch.randn(5, DIM, dtype=torch.double, requires_grad=True)
    key_index = torch.tensor([0, 1, 4, 4, 2, 0, 1])

    def apply(query: Tensor, keys: Tensor, first: Tensor) -> Tensor:
        parameters = {"first.weight": first}
        arguments = (query, keys, key_index, ptr_of(lengths))
        return torch.func.functional_call(attention, parameters, arguments)

    assert torch.autograd.gradcheck(apply, (query, keys, attention.first.weight))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_all_histories_empty(activation: str, normalization: str, training: bool) -> None:
    torch.manual_seed(0)
    attention, _ = make_pair(activation, normalization, (5, 3), training)
    before = {name: value.clone() for name, value in attention.state_dict().items()}
    query = torch.randn(3, DIM, dtype=torch.double, requires_grad=True)
    keys = torch.randn(3, DIM, dtype=torch.double, requires_grad=True)
    out = attention(query, keys, torch.empty(0, dtype=torch.long), torch.zeros(4, dtype=torch.long))
    assert torch.equal(out, torch.zeros_like(query))
    out.sum().backward()
    for value in (query, keys, *attention.parameters()):
        assert value.grad is None or torch.equal(value.grad, torch.zeros_like(value))
    for name, value in attention.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_softmax_weights_sum_to_one() -> None:
    torch.manual_seed(0)
    attention = DINAttention(DIM, normalization="softmax")
    with torch.no_grad():
        attention.rest[0].weight.mul_(1e4)  # exp of such scores would overflow
    lengths = [3, 0, 1, 6]
    key_index = torch.randint(7, (10,))
    query, keys = torch.randn(4, DIM), torch.randn(7, DIM)
    weights = attention.weights(query, keys, key_index, ptr_of(lengths))
    sums = torch.stack([part.sum() for part in weights.split(lengths)])
    assert_close(sums, torch.tensor([1.0, 0.0, 1.0, 1.0]))
    assert bool((weights >= 0).all())


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_order_within_a_history_does_not_matter(normalization: str) -> None:
    torch.manual_seed(0)
    attention = DINAttention(DIM, normalization=normalization)
    query, keys = torch.randn(2, DIM), torch.randn(6, DIM)
    key_index, ptr = torch.tensor([0, 3, 5, 5, 1, 2]), torch.tensor([0, 4, 6])
    turned = torch.tensor([5, 0, 5, 3, 2, 1])
    assert_close(attention(query, keys, turned, ptr), attention(query, keys, key_index, ptr))


def test_settings() -> None:
    with pytest.raises(
        InputError, match="normalization='sum' is unknown; choose from none, softmax"
    ):
        DINAttention(DIM, normalization="sum")
    with pytest.raises(InputError, match="activation='tanh' is unknown"):
        DINAttention(DIM, activation="tanh")
    with pytest.raises(InputError, match="at least one hidden layer"):
        DINAttention(DIM, hidden=())


def test_defaults() -> None:
    shapes = {name: tuple(p.shape) for name, p in DINAttention(DIM).named_parameters()}
    assert shapes == {
        "first.weight": (36, 16),
        "first.bias": (36,),
        "activation.alpha": (36,),
        "rest.0.weight": (1, 36),
        "rest.0.bias": (1,),
    }
