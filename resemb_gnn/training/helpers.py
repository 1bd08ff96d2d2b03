"""Processes that share the work of a run: started by it, and ended with it."""

import os
import pickle
import signal
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.multiprocessing.spawn import (
    ProcessExitedException,
    ProcessRaisedException,
    start_processes,
)
from tqdm import tqdm

from resemb_gnn.data import Split
from resemb_gnn.errors import InputError, TrainingError, brief
from resemb_gnn.io.atomic import temporary_folder
from resemb_gnn.nn.layers.process_sum import SharedMemory, add_in
from resemb_gnn.training.run import Run
from resemb_gnn.training.threads import limited_threads

ONE_COMPILES = "compile goes with one process: it cannot trace what several share"
_JOB, _SUMS, _STORE = "job.pt", "sums", "store"
_SECONDS = 5  # until a process that has died is known to have


def check_processes(processes: int, device: torch.device, compile: bool) -> None:
    """Refuses more processes than can be started.

    Raises:
        InputError: if there are not as many GPUs, or the model is to be compiled.
    """
    if processes < 1:
        raise InputError(f"processes must be at least 1, not {processes}")
    if processes == 1:
        return
    if not dist.is_available():
        raise InputError(f"processes={processes}: this PyTorch was built without torch.distributed")
    if compile:
        raise InputError(ONE_COMPILES)
    if device.type == "cuda":
        if str(device) != "cuda":
            raise InputError(
                f"processes={processes} with device='{device}': each process takes a GPU of its"
                " own; name cuda alone"
            )
        if processes > torch.cuda.device_count():
            raise InputError(
                f"processes={processes}, but PyTorch sees {torch.cuda.device_count()} GPUs, and"
                " each process takes one"
            )


@contextmanager
def helpers(number: int, run: Run, model: nn.Module, split: Split) -> Iterator[None]:
    """Starts ``number`` processes that do the same run as this one, and joins them in one group
    while it is open. Each computes on one thread. They say nothing and write nothing.

    The model and the examples are put into a file beside the checkpoints, which every process maps
    into its memory.

    Raises:
        InputError: if the model cannot be sent to another process.
        TrainingError: if one of the processes ends before the run does.
    """
    import joblib  # makes a semaphore, which the processes would leave behind where they are ended

    processes = number + 1
    cuda = run.device == "cuda"
    if not cuda and processes > joblib.cpu_count():
        warnings.warn(
            f"processes={processes}, but there are {joblib.cpu_count()} cores: processes that wait"
            " for each other's turn are slower than few",
            stacklevel=4,
        )
    beside = tempfile.gettempdir() if run.checkpoints is None else run.checkpoints.parent
    with temporary_folder(Path(beside), "processes") as folder, limited_threads(1):
        _write_job(folder, run, model, split, processes)
        options = (processes, folder, os.getpid(), torch.get_default_dtype())
        context = start_processes(_help, options, number, join=False, daemon=True)
        try:
            _add_in_memory(folder, 0, processes, lambda: _all_live(context))
            _wait_until_ready(context, folder, number)
            for file in (_JOB, _SUMS):
                (folder / file).unlink(missing_ok=True)  # they hold it open
            _join(folder, 0, processes, cuda)
            yield
            while not context.join():
                pass
        except Exception as error:
            raise (_death_in(context, run) or error) from error
        finally:
            _stop(context)


def _all_live(context: Any) -> bool:
    return all(process.is_alive() for process in context.processes)


def _stop(context: Any) -> None:
    """Ends what is left of the group, and what the processes have left."""
    add_in(None)
    if dist.is_initialized():
        dist.destroy_process_group()  # who waits for this process waits no more
    for process in context.processes:
        process.terminate()
    for process in context.processes:
        process.join(_SECONDS)
        process.kill()
        process.join()
    for file in context.error_files:
        Path(file).unlink(missing_ok=True)


def _write_job(folder: Path, run: Run, model: nn.Module, split: Split, processes: int) -> None:
    try:
        torch.save((run, model, split), folder / _JOB)
        if run.device != "cuda" and SharedMemory.possible():
            (folder / _SUMS).write_bytes(bytes(SharedMemory.size(processes)))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise InputError(
            f"{type(model).__name__} cannot be sent to another process ({brief(error)}):"
            " train it in one (processes=1)"
        ) from error
    except (OSError, RuntimeError) as error:  # the latter of PyTorch's writer of zip files
        raise TrainingError(
            f"{folder.parent} has no room for the data that processes share ({brief(error)});"
            " one process (processes=1) needs none"
        ) from error


def _wait_until_ready(context: Any, folder: Path, number: int) -> None:
    """Waits until all have read their job: to one that has died, others would wait for long."""
    while len(list(folder.glob("ready.*"))) < number:
        if context.join(timeout=0.05):
            raise TrainingError("the processes ended before they began")


def _death_in(context: Any, run: Run) -> TrainingError | None:
    """The death of another process, if that is what this one has failed of."""
    try:
        context.join(timeout=_SECONDS, grace_period=0)
    except ProcessRaisedException as death:
        text = str(death).strip()
        return TrainingError(f"one of {len(context.processes) + 1} processes failed: {text}")
    except ProcessExitedException as death:
        how = death.signal_name or f"exit code {death.exit_code}"
        hint = ""
        if death.exit_code == 1:
            hint = "; a script must call fit under if __name__ == '__main__':"
        elif death.signal_name == "SIGKILL":
            hint = " (memory may have run out: fewer processes need less)"
        kept = "" if run.checkpoints is None else ". Resume (--resume) goes on"
        number = len(context.processes) + 1
        return TrainingError(f"one of {number} processes was ended by {how}{hint}{kept}")
    return None


def _add_in_memory(folder: Path, rank: int, processes: int, alive: Callable[[], bool]) -> None:
    if (folder / _SUMS).exists():
        add_in(SharedMemory(folder / _SUMS, rank, processes, alive))


def _join(folder: Path, rank: int, processes: int, cuda: bool) -> None:
    store = dist.FileStore(str(folder / _STORE), processes)  # type: ignore[attr-defined]
    backend = "nccl" if cuda else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=processes)


def _help(
    number: int, processes: int, folder: Path, parent: int, dtype: torch.dtype
) -> None:  # pragma: no cover - in processes of their own
    """What a process does that was started to help."""

    def interrupted(*_: Any) -> None:
        # Ctrl-C reaches every process, and is the parent's to answer; PyTorch sends this signal,
        # too, where there is no parent any more.
        if os.getppid() != parent:
            os._exit(1)

    signal.signal(signal.SIGINT, interrupted)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(128 + signal.SIGTERM))
    warnings.simplefilter("ignore")  # the first process warns
    tqdm.set_lock(threading.RLock())  # its own is a semaphore, left behind where this is ended
    torch.set_num_threads(1)
    torch.set_default_dtype(dtype)
    os.environ["LOCAL_RANK"] = str(number + 1)
    run, model, split = torch.load(folder / _JOB, mmap=True, weights_only=False)
    _add_in_memory(folder, number + 1, processes, lambda: os.getppid() == parent)
    (folder / f"ready.{number}").touch()
    _join(folder, number + 1, processes, run.device == "cuda")
    run.fit(model, split, _unheard, progress=False)
    dist.destroy_process_group()


class _Unheard:
    """In the place of ``on_epoch``: what that gathers, the first process does."""

    def __call__(self, *_: Any) -> None:
        pass

    def state_dict(self) -> None:
        pass

    def load_state_dict(self, _: Any) -> None:
        pass


_unheard = _Unheard()
