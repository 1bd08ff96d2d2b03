"""Sums in shared memory, by threads in the place of processes. Those of processes, by what a run of
several comes to: tests/training/test_helpers.py, tests/cli/test_fit_processes.py.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from resemb_gnn.nn.layers import process_sum
from resemb_gnn.nn.layers.process_sum import SharedMemory, add_in, add_up, gather_all, take_largest

pytestmark = pytest.mark.skipif(
    not SharedMemory.possible(), reason="this processor's writes are not seen in their order"
)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_sum, "_ROOM", 64)  # 16 float32: the rest goes in further turns


def make_file(tmp_path: Path, processes: int) -> Path:
    file = tmp_path / "sums"
    file.write_bytes(bytes(SharedMemory.size(processes)))
    return file


def together(tmp_path: Path, processes: int, run: Callable[[SharedMemory, int], Any]) -> list[Any]:
    """What each of the threads finds."""
    file = make_file(tmp_path, processes)

    def one(rank: int) -> Any:
        return run(SharedMemory(file, rank, processes, lambda: True), rank)

    with ThreadPoolExecutor(processes) as pool:
        return list(pool.map(one, range(processes)))


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("processes", [2, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64])
def test_every_process_reads_what_all_have_written(
    dtype: torch.dtype, processes: int, tmp_path: Path
) -> None:
    turns = torch.randint(-9, 9, (20, processes, 37)).to(dtype)  # 37: no whole number of pieces

    def run(memory: SharedMemory, rank: int) -> list[Tensor]:
        return [
            torch.cat([values.clone() for _, values in memory.exchange(turn[rank])], dim=1)
            for turn in turns
        ]

    for found in together(tmp_path, processes, run):
        torch.testing.assert_close(torch.stack(found), turns)


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[None]:
    """A group of this process, whose memory holds another's numbers, 1, 2, 3."""
    memory = SharedMemory(make_file(tmp_path, 2), 0, 2, lambda: True)
    memory._counters[1] = 1
    memory._places.view(torch.int64)[:, 1, :3] = torch.tensor([1, 2, 3])
    add_in(memory)
    yield
    add_in(None)


@pytest.mark.usefixtures("alone")
def test_sums_are_put_in_place() -> None:
    x = torch.tensor([[5, 0, 7]])
    add_up(x)
    assert x.tolist() == [[6, 2, 10]]


@pytest.mark.usefixtures("alone")
def test_largest_values_are_put_in_place() -> None:
    x = torch.tensor([5, 0, 7])
    take_largest(x)
    assert x.tolist() == [5, 2, 7]


@pytest.mark.usefixtures("alone")
def test_parts_keep_their_shape() -> None:
    own = torch.tensor([[5], [0], [7]])
    first, second = gather_all(own)
    assert first.tolist() == own.tolist()
    assert second.tolist() == [[1], [2], [3]]


def test_another_process_that_has_ended_is_not_waited_for(tmp_path: Path) -> None:
    asked = iter([True, False])
    memory = SharedMemory(make_file(tmp_path, 2), 0, 2, lambda: next(asked))
    with pytest.raises(RuntimeError, match="another process has ended"):
        list(memory.exchange(torch.ones(3)))
