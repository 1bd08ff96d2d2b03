"""How many threads PyTorch and the libraries beneath it compute on."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits


@contextmanager
def limited_threads(number: int | None) -> Iterator[None]:
    """Every library computes on so many threads while it is open; on as many as before if ``None``.

    Sums may be rounded in another order on more.
    """
    if number is None:
        yield
        return
    before = torch.get_num_threads()
    with threadpool_limits(number):
        torch.set_num_threads(number)
        try:
            yield
        finally:
            torch.set_num_threads(before)
