"""How many runs the machine has room for at a time: cores, and memory."""

import math
import multiprocessing
from collections.abc import Callable, Iterator
from pathlib import Path

import joblib
import torch.distributed as dist

from resemb_gnn.experiment.workers import Workers
from resemb_gnn.graph.fold_graphs import edge_bytes
from resemb_gnn.pipeline.task import Task
from resemb_gnn.settings import CompareSettings

IMPORTS = 200 * 2**20  # bytes of a worker that has done little: what it wrote to of its libraries
SCORED = 8192  # examples that are scored at a time, which takes more than a step of training
BEHAVIOR = 2048  # bytes that the layers hold of a behaviour at a time
TABLES = 8  # copies of the table of items: weights, gradient, moments, best, checkpoint and slack


def jobs_by_cores(jobs: str, runs: int, threads: int = 1, device: str = "cpu") -> int:
    """So many runs are to be made at a time, as far as cores go.

    Args:
        jobs: a number, which is taken as it is, or ``"auto"``: as many as the cores that this
            process may use (its affinity and its control group's share of time are looked at)
            have room for; on a GPU, which one run fills, one.
        runs: how many there are.
        threads: of a run.
        device: where they are made.
    """
    if jobs != "auto":
        return min(int(jobs), runs)
    may_start = not multiprocessing.current_process().daemon
    if dist.is_available() and dist.is_torchelastic_launched():  # it has started several itself
        may_start = False
    if device != "cpu" or not may_start:
        return 1
    return max(1, min(joblib.cpu_count() // threads, runs))


def jobs_by_memory(number: int, need: int, left: int | None) -> int:
    """As many of the jobs as memory suffices for, one at least.

    Args:
        number: how many are wanted.
        need: bytes of a job.
        left: bytes that are left; ``None`` if it is not known.
    """
    return number if left is None else max(1, min(number, left // need))


def bound_by_memory(workers: Workers, task: Task, jobs: str, log: Callable[[str], None]) -> None:
    """Does without workers that memory does not suffice for; of a number that was asked for it is
    only said.

    Args:
        workers: they have been given ``task`` to share.
        task: what their runs are of.
        jobs: what was asked for.
        log: called with a line on it.
    """
    if workers.number == 1:
        return
    need = memory_of_a_run(task, workers.shared_bytes)
    room = jobs_by_memory(workers.number, need, memory_left())
    if room < workers.number:
        log(
            f"memory suffices for {room} of {workers.number} runs at a time, of about"
            f" {need / 2**30:.1f} GiB each"
        )
        if jobs == "auto":
            workers.number = room


def memory_of_a_run(task: Task, shared: int) -> int:
    """Bytes that a run takes for itself at its peak, on a CPU: an estimate from above.

    Args:
        task: what the run is of.
        shared: bytes of what all runs share: the graph that a model makes for itself of the shared
            one is no larger, but for edges of the folds that are shared as what they lack.
    """
    settings = task.settings
    assert isinstance(settings, CompareSettings)
    train = task.split.train
    lengths = (train.end - train.start).clamp(max=settings.max_history)
    behaviors = SCORED * math.ceil(lengths.float().mean().item())
    table = 4 * settings.embedding_dim * task.source.log.num_items
    graphs = [task.graph, *task.feature_graphs.values()]
    folds = sum(edge_bytes(graph.get("fold_graphs") or []) for graph in graphs)
    return IMPORTS + shared + folds + TABLES * table + behaviors * BEHAVIOR


def memory_left(root: Path = Path("/")) -> int | None:
    """Bytes that processes may take yet: of the machine, and of the control groups that this
    process is in (a container has one); ``None`` where the system does not tell (Linux does).

    Args:
        root: where ``proc`` and ``sys`` are.
    """
    found = [*_left_of_machine(root), *_left_of_groups(root)]
    return min(found, default=None)


def _left_of_machine(root: Path) -> Iterator[int]:
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        if line.startswith("MemAvailable:"):
            yield int(line.split()[1]) * 1024


def _left_of_groups(root: Path) -> Iterator[int]:
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if not controllers:  # version 2
            top, names = root / "sys/fs/cgroup", ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            top = root / "sys/fs/cgroup/memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        own = top / name.lstrip("/")
        for place in (own, *own.parents):  # a group above may have the tighter limit
            if place.is_relative_to(top):  # in a container the group may be the top itself
                yield from _left_of_group(place, *names)


def _left_of_group(place: Path, limit: str, used: str, cached: str) -> Iterator[int]:
    try:
        most = int((place / limit).read_text())
        now = int((place / used).read_text())
        figures = (line.split() for line in (place / "memory.stat").read_text().splitlines())
        files = {name: int(value) for name, value in figures}
    except (OSError, ValueError):  # no such file, or "max"
        return
    yield max(0, most - now + files.get(cached, 0))  # files leave memory when it is asked for
