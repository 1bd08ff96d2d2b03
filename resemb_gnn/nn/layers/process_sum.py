"""Sums over the processes that share a batch, and what each of them has."""

import os
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

_ROOM = 1 << 20  # bytes that a process adds at a time
_LINE = 8  # int64 in a line of cache: counters that share one slow each other down
_BUSY, _YIELDS = 100, 3000  # looks at the others' counters before a wait yields, and sleeps
_SLEEP, _LOOK = 1e-4, 0.1  # seconds of a sleep, and between looks whether the others live

_memory: "SharedMemory | None" = None


def add_in(memory: "SharedMemory | None") -> None:
    """From now on this process adds up in this memory, as all others of its group must; ``None``
    stands for the group's own way.
    """
    global _memory
    _memory = memory


def add_up(x: Tensor) -> None:
    """Puts the sum over the processes in the place of ``x``: the same bits in each of them."""
    if (memory := _memory_of(x)) is None:
        dist.all_reduce(x)
    else:
        for piece, values in memory.exchange(x):
            torch.sum(values, dim=0, out=piece)


def take_largest(x: Tensor) -> None:
    """Puts the largest values of the processes in the place of ``x``."""
    if (memory := _memory_of(x)) is None:
        dist.all_reduce(x, dist.ReduceOp.MAX)
    else:
        for piece, values in memory.exchange(x):
            torch.amax(values, dim=0, out=piece)


def gather_all(x: Tensor) -> list[Tensor]:
    """The ``x`` of each process, of one shape in all."""
    if (memory := _memory_of(x)) is None:
        parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, x)
        return parts
    pieces = [values.clone() for _, values in memory.exchange(x)]
    return [part.view_as(x) for part in torch.cat(pieces, dim=1)]


def _memory_of(x: Tensor) -> "SharedMemory | None":
    """The memory to add up in, if there is one and ``x`` lies where it does."""
    return _memory if x.device.type == "cpu" else None


class SharedMemory:
    """Memory that the processes of one machine share, to add up in: gloo sends by sockets and
    threads, and a step has many small sums, each of which is a wait.

    Each process has a place and a counter. It writes its numbers, then counts on; who sees that all
    have counted reads them. Places are used in turns of two, so that none is written before all
    have read it: they have, once they have counted once more.

    Args:
        file: file of :meth:`size` zeros or more that each of them maps; it may then be removed.
        rank: number of this process.
        processes: number of all.
        alive: whether the others live, asked in long waits.
    """

    def __init__(self, file: Path, rank: int, processes: int, alive: Callable[[], bool]) -> None:
        memory = np.memmap(file, dtype=np.uint8, mode="r+", shape=(self.size(processes),))
        counters = memory[: processes * 8 * _LINE].view(np.int64)
        self._counters = counters[::_LINE]
        places = torch.from_numpy(memory[processes * 8 * _LINE :])
        self._places = places.view(2, processes, _ROOM)
        self._rank, self._alive, self._turn = rank, alive, 0

    @staticmethod
    def possible() -> bool:
        """Whether this machine's processors let others see what one writes in the order written, as
        x86 does: nothing here tells others to.
        """
        return platform.machine().lower() in ("x86_64", "amd64") and hasattr(os, "sched_yield")

    @staticmethod
    def size(processes: int) -> int:
        """Bytes that so many processes take."""
        return processes * (8 * _LINE + 2 * _ROOM)

    def exchange(self, x: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Piece after piece of ``x``: the piece, ``[n]``, and those of all processes by their
        numbers, ``[processes, n]``, to be read before the next is asked for.
        """
        for piece in x.detach().view(-1).split(_ROOM // x.element_size()):
            places = self._places[self._turn % 2, :, : piece.numel() * x.element_size()]
            values = places.view(x.dtype)
            values[self._rank] = piece
            self._turn += 1
            self._counters[self._rank] = self._turn
            self._wait()
            yield piece, values

    def _wait(self) -> None:
        counters, turn = self._counters, self._turn
        looks, asked = 0, time.monotonic()
        while (counters < turn).any():
            looks += 1
            if looks > _YIELDS:
                time.sleep(_SLEEP)
                if time.monotonic() - asked > _LOOK:
                    asked = time.monotonic()
                    if not self._alive():
                        raise RuntimeError("another process has ended")
            elif looks > _BUSY:
                os.sched_yield()
