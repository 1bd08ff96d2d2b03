"""Contenders timed in alternation, so that what disturbs the machine disturbs all of them."""

import gc
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).parents[1]
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
WARM_UP = -1  # number of the round that is run and not counted


class Contender(NamedTuple):
    """What is timed: ``prepare(round)`` sets a turn up, and the call it returns is timed.

    ``examples`` and ``flops(round)`` are the work of a turn, ``parameters`` the learnable numbers.
    """

    name: str
    prepare: Callable[[int], Callable[[], object]]
    examples: int | None = None
    parameters: int | None = None
    flops: Callable[[int], float] | None = None


def always(name: str, job: Callable[[], object], examples: int | None = None) -> Contender:
    """A contender whose every turn is the same job."""
    return Contender(name, lambda number: job, examples)


class Turn(NamedTuple):
    """A contender's turn in a round: seconds by the clock, and of the processor's work on it."""

    number: int
    contender: Contender
    wall: float
    cpu: float


def alternate(contenders: list[Contender], rounds: int, warm_up: bool = True) -> Iterator[Turn]:
    """Each round lets every contender have its turn, in an order that moves on by one a round; a
    round to warm up comes first and is left out.
    """
    for number in range(WARM_UP if warm_up else 0, rounds):
        shift = number % len(contenders)
        for contender in contenders[shift:] + contenders[:shift]:
            job = contender.prepare(max(number, 0))
            gc.collect()
            wall, cpu = time.perf_counter(), time.process_time()
            job()
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            if number != WARM_UP:
                yield Turn(number, contender, wall, cpu)


def spread(values: list[float]) -> tuple[float, float, float]:
    """Median, lower and upper quartile."""
    low, middle, high = np.percentile(values, [25, 50, 75])
    return float(middle), float(low), float(high)


def thread_environment(threads: int) -> dict[str, str]:
    """The environment of a process in which every library uses so many threads, and which finds
    this package wherever it is started.
    """
    limits = dict.fromkeys((*THREAD_VARIABLES, "POLARS_MAX_THREADS"), str(threads))
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return os.environ | limits | {"PYTHONPATH": path}


def module(name: object, *words: object) -> list[str]:
    """The command that runs a module of this checkout in a process of its own."""
    return [sys.executable, "-m", *map(str, (name, *words))]


def start(threads: int, name: str, *words: object) -> "subprocess.Popen[str]":
    """Starts a module on so many threads; what it prints can be read."""
    command, environment = module(name, *words), thread_environment(threads)
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def machine() -> dict[str, object]:
    """What the figures were measured on."""
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0].split(":", 1)[1].strip() if names else model
    return {"processor": model, "cores": os.cpu_count(), "system": platform.system()}
