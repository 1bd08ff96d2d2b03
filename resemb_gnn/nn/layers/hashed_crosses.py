"""Weights of crossed features."""

from torch import Tensor, nn

from resemb_gnn.errors import InputError
from resemb_gnn.nn.layers.segment import segment_index, segment_sum

# Random odd 64-bit numbers.
_FIRST, _SECOND = 0x5851F42D4C957F2D, 0x14057B7EF767814F


class HashedCrosses(nn.Module):
    r"""Linear weights of the pairs of an example's candidate and each of its behaviours (the
    cross-product features of Cheng et al., "Wide & Deep Learning for Recommender Systems", 2016).

    .. math::
        z_b = \sum_t w_{\mathrm{hash}(q_b, k_t)}

    A pair that comes twice counts twice. Pairs share a table of :math:`2^{bits}` weights by
    multiply-shift hashing (Dietzfelbinger, "Universal hashing and k-wise independent random
    variables via integer arithmetic without primes", 1996), so some of them collide. Weights start
    at zero: a pair that was never trained on says nothing.

    Args:
        bits: the table has :math:`2^{bits}` weights; 1 to 30.

    Shapes:
        - **input:** candidate int64 ``[batch_size]``, behaviours int64 ``[num_behaviors]``, ptr
          int64 ``[batch_size + 1]``; any numbers have a hash, those of no item too
        - **output:** ``[batch_size]``

    Raises:
        InputError: if ``bits`` is out of range.
    """

    def __init__(self, bits: int) -> None:
        super().__init__()
        if not 1 <= bits <= 30:
            raise InputError(f"bits must lie between 1 and 30, not {bits}")
        self.bits = bits
        self.weight = nn.Embedding(2**bits, 1)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.weight.weight)

    def forward(self, candidate: Tensor, behavior: Tensor, ptr: Tensor) -> Tensor:
        example = segment_index(ptr, behavior.numel())
        weight = self.weight(self.bucket(candidate[example], behavior))
        return segment_sum(weight, ptr, example).squeeze(1)

    def bucket(self, first: Tensor, second: Tensor) -> Tensor:
        """Which weight each pair has, int64 ``[n]``."""
        return hash_pairs(first, second, self.bits)


def hash_pairs(first: Tensor, second: Tensor, bits: int) -> Tensor:
    """A number below :math:`2^{bits}` for each pair of numbers, int64 ``[n]``."""
    # Products wrap around at 64 bits; the highest bits of their sum are the hash.
    mixed = first.long() * _FIRST + second.long() * _SECOND
    return mixed >> (64 - bits) & (2**bits - 1)
