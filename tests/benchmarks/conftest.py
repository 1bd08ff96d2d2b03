"""Logs of toy size for the scripts."""

import contextlib
import gc
import importlib
import io
import os
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from benchmarks import timing
from benchmarks.synthetic_log import synthetic_log
from resemb_gnn import BehaviorLog


def write_sequences(log: BehaviorLog, path: Path) -> Path:
    rows = [log.items[a:b].tolist() for a, b in pairwise(log.ptr.tolist())]
    path.write_text("".join(f"{user} {' '.join(map(str, row))}\n" for user, row in enumerate(rows)))
    return path


@pytest.fixture
def sequences(log: BehaviorLog, tmp_path: Path) -> Path:
    """The small log as a sequence file."""
    return write_sequences(log, tmp_path / "log.txt")


@pytest.fixture(scope="session")
def batches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sequence file whose training examples fill some batches of the speed benchmarks."""
    frame = synthetic_log(300, 200, 3_000)
    log = BehaviorLog.from_frame(frame, "user", "item", "time")
    return write_sequences(log, tmp_path_factory.mktemp("log") / "log.txt")


@pytest.fixture(autouse=True)
def _garbage_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Collecting it before each timed turn takes longer than a turn of toy size."""
    monkeypatch.setattr(gc, "collect", lambda *_: 0)


@pytest.fixture
def not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """``torch.compile`` takes minutes: it is left out here, and in processes that are started."""
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    monkeypatch.setenv("TORCHDYNAMO_DISABLE", "1")


_real_run = subprocess.run


def _run(command: list[str], **options: Any) -> "subprocess.CompletedProcess[str]":
    """Runs ``python -m NAME WORDS`` here, and any other command as ever."""
    if command[1] != "-m":
        return _real_run(command, **options)
    name, *words = command[2:]
    name = {"resemb_gnn": "resemb_gnn.cli"}.get(name, name)
    module = importlib.import_module(name)
    module = module if hasattr(module, "main") else importlib.import_module(f"{name}.__main__")
    return subprocess.CompletedProcess(command, module.main(words) or 0)


@contextlib.contextmanager
def _start(threads: int, name: str, *words: object) -> Iterator[SimpleNamespace]:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        code = _run(timing.module(name, *words)).returncode
    printed.seek(0)
    yield SimpleNamespace(stdout=printed, returncode=code, pid=os.getpid(), wait=lambda: code)


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules that a script starts in processes of their own, where each takes seconds to import
    its libraries, run in this one.
    """
    monkeypatch.setattr(subprocess, "run", _run)
    monkeypatch.setattr(timing, "start", _start)
