"""Weights of crossed features against Python's integers."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from resemb_gnn import InputError
from resemb_gnn.nn import HashedCrosses

ITEM = st.integers(0, 2**40)


@settings(max_examples=50, deadline=None)
@given(first=ITEM, second=ITEM, bits=st.integers(1, 12))
def test_hash_is_multiply_shift(first: int, second: int, bits: int) -> None:
    total = (first * 0x5851F42D4C957F2D + second * 0x14057B7EF767814F) % 2**64
    bucket = HashedCrosses(bits).bucket(torch.tensor([first]), torch.tensor([second]))
    assert bucket.tolist() == [total >> (64 - bits)]


def test_pairs_spread_over_the_table() -> None:
    crosses = HashedCrosses(12)
    first, second = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    load = crosses.bucket(first.flatten(), second.flatten()).bincount(minlength=4096)
    assert int((load > 0).sum()) > 4096 * 0.55  # 1 - 1/e = .63 if drawn at random
    assert int(load.max()) < 12


def test_sum_over_the_behaviours_of_each_example() -> None:
    crosses = HashedCrosses(10)
    torch.nn.init.normal_(crosses.weight.weight)
    candidate = torch.tensor([5, 7, 5])
    behavior, ptr = torch.tensor([1, 2, 2, 1]), torch.tensor([0, 3, 3, 4])
    out = crosses(candidate, behavior, ptr)

    def weight(first: int, second: int) -> torch.Tensor:
        bucket = crosses.bucket(torch.tensor([first]), torch.tensor([second]))
        return crosses.weight.weight[bucket, 0]

    expected = [weight(5, 1) + 2 * weight(5, 2), torch.zeros(1), weight(5, 1)]
    torch.testing.assert_close(out, torch.cat(expected))
    assert not torch.allclose(weight(5, 1), weight(1, 5))  # the candidate is told from the history


@pytest.mark.parametrize("bits", [0, 31, -4])
def test_bits_out_of_range(bits: int) -> None:
    with pytest.raises(InputError, match=f"bits must lie between 1 and 30, not {bits}"):
        HashedCrosses(bits)
