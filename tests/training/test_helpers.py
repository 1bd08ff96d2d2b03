"""Processes that fit starts: what it refuses, and one that dies. Their outcome: the command line's
tests/cli/test_fit_processes.py.
"""

import os
import signal
import threading
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from resemb_gnn import DIN, Batch, BehaviorLog, InputError, fit
from resemb_gnn.errors import TrainingError
from resemb_gnn.settings import FitSettings
from resemb_gnn.training.helpers import check_processes
from resemb_gnn.training.threads import limited_threads


class Mortal(DIN):
    """In a process that was started to help, dies in the second epoch (892 examples of 91)."""

    _steps = 0

    def forward(self, batch: Batch) -> Tensor:
        self._steps += self.training
        if self._steps == 13 and os.environ.get("LOCAL_RANK") == "1":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(batch)


def make_model(log: BehaviorLog) -> Mortal:
    torch.manual_seed(0)
    return Mortal(nn.Embedding(log.num_items, 4))


def test_a_process_dies_and_the_run_goes_on(log: BehaviorLog, tmp_path: Path) -> None:
    split = log.split()
    options = {"epochs": 3, "patience": 3, "batch_size": 91, "lr": 1e-3, "progress": False}
    saved = tmp_path / "checkpoints"
    with limited_threads(1):  # as the processes have it
        with pytest.raises(TrainingError, match=r"one of 2 processes was ended by SIGKILL.*Resume"):
            fit(make_model(log), split, **options, checkpoints=saved, processes=2)
        assert [path.name for path in tmp_path.iterdir()] == ["checkpoints"]
        seen: list[int] = []
        resumed = fit(
            make_model(log),
            split,
            **options,
            checkpoints=saved,
            resume=True,
            on_epoch=lambda number, _: seen.append(number),
        )
        whole = fit(make_model(log), split, **options)
    assert seen == [2, 3]  # the first epoch was trained by two
    for name, value in whole.model.state_dict().items():
        torch.testing.assert_close(
            resumed.model.state_dict()[name], value, atol=1e-4, rtol=1e-4, msg=name
        )


def test_a_model_that_cannot_be_sent(log: BehaviorLog, tmp_path: Path) -> None:
    model = make_model(log)
    model._lock = threading.Lock()
    with pytest.raises(InputError, match=r"Mortal cannot be sent to another process .*lock"):
        fit(model, log.split(), progress=False, processes=2, checkpoints=tmp_path / "saved")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("processes", "device", "compile", "message"),
    [
        (0, "cpu", False, "processes must be at least 1, not 0"),
        (2, "cpu", True, "compile goes with one process"),
        (2, "cuda:1", False, "name cuda alone"),
        (9999, "cuda", False, r"PyTorch sees \d+ GPUs, and each process takes one"),
    ],
)
def test_what_is_refused(processes: int, device: str, compile: bool, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_processes(processes, torch.device(device), compile)


def test_threads_go_with_one_process() -> None:
    with pytest.raises(InputError, match="threads=4 goes with one process: of processes=2 each"):
        FitSettings(threads=4, processes=2)


def test_threads_are_put_back() -> None:
    before = torch.get_num_threads()
    with limited_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    with limited_threads(None):
        assert torch.get_num_threads() == before
    assert torch.get_num_threads() == before
