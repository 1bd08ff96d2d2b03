"""What faults.py runs its jobs on: they are started, stopped, resumed, and damaged in between."""

import multiprocessing
import os
import random
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from tests.tools.faults_jobs import Job, run, same

CONTEXT = multiprocessing.get_context("forkserver")  # imports once, then forks each run


class Bench:
    """Runs jobs below a folder, and knows what the uninterrupted run of each kind ends with."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder = folder
        self.rng = rng
        self.count = 0
        self.wholes: dict[str, tuple[dict[str, Any], float]] = {}

    def job(self, **options: Any) -> Job:
        self.count += 1
        return Job(self.folder / str(self.count), **options)

    def start(self, job: Job) -> Any:
        child = CONTEXT.Process(target=run, args=(job,))
        child.start()
        return child

    def finish(self, job: Job) -> int:
        child = self.start(job)
        child.join()
        return int(child.exitcode)

    def whole(self, kind: str) -> tuple[dict[str, Any], float]:
        """What the uninterrupted run ends with, and the seconds that it takes."""
        if kind not in self.wholes:
            job = self.job(kind=kind, seconds=1e9)
            for _ in range(2):  # the first run pays for imports
                shutil.rmtree(job.folder, ignore_errors=True)
                started = time.perf_counter()
                assert self.finish(job) == 0
                seconds = time.perf_counter() - started
            self.wholes[kind] = torch.load(job.folder / "weights.pt"), seconds
        return self.wholes[kind]

    def resumed(self, job: Job) -> tuple[bool, int]:
        """Whether the job, resumed, ends as the uninterrupted run, and the steps it made."""
        if self.finish(replace(job, fault=None)) != 0:
            return False, 0
        found = torch.load(job.folder / "weights.pt")
        shutil.rmtree(job.folder)
        return same(found, self.whole(job.kind)[0]), found["steps"]

    def stopped(self, job: Job, number: int, share: float) -> Any:
        """Sends the signal when that share of the uninterrupted run's time is over, which is
        measured again where a run comes to its end: other work on the machine changes it.
        """
        weights, seconds = self.whole(job.kind)
        child, started = self.start(job), time.perf_counter()
        child.join(timeout=seconds * share)
        if child.is_alive():
            os.kill(child.pid, number)
        child.join()
        if child.exitcode == 0:
            self.wholes[job.kind] = weights, time.perf_counter() - started
        elif not files(job):  # it had not begun to save
            self.wholes[job.kind] = weights, seconds * 1.1
        return child


def files(job: Job) -> dict[str, bytes]:
    folder = job.checkpoints
    found = folder.iterdir() if folder.is_dir() else []
    return {path.name: path.read_bytes() for path in found}


def message(job: Job) -> str:
    path = job.folder / "message.txt"
    text = path.read_text() if path.exists() else ""
    return text.replace(str(job.folder), "FOLDER")


def killed_with_two(bench: Bench) -> Job:
    """A run that was killed when it had two checkpoints."""
    job = bench.job(seconds=0.0)
    while bench.stopped(job, signal.SIGKILL, 0.8).exitcode == 0 or len(saved(job)) < 2:
        shutil.rmtree(job.folder, ignore_errors=True)
    return job


def saved(job: Job) -> list[Path]:
    return sorted(job.checkpoints.glob("checkpoint-*"), reverse=True)


def damage(path: Path, kind: str, rng: random.Random) -> None:
    data = bytearray(path.read_bytes())
    if kind == "truncated":
        del data[len(data) // 2 :]
    else:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
