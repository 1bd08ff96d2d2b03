"""Jobs done side by side in worker processes, over data that they share."""

import contextlib
import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import ModuleType
from typing import Any, Self
from unittest.mock import patch

import torch

from resemb_gnn.errors import TrainingError, brief
from resemb_gnn.experiment.board import Board, RunDisplay
from resemb_gnn.io.atomic import temporary_folder
from resemb_gnn.io.streams import shown_on
from resemb_gnn.training.guards import Interrupts
from resemb_gnn.training.threads import limited_threads

_LINUX = sys.platform == "linux"
# A fork of this process, which has threads, might hang; the server that is forked has none at work.
_CONTEXT: Any = multiprocessing.get_context("forkserver" if _LINUX else "spawn")

Work = Callable[[Any, Any], Any]
"""Does a job on what all jobs share; a function of a module, since workers find it by its name."""


class Workers:
    """Processes that are started once and do one job after the other, or, if one is enough, this
    process.

    What the jobs share is written to a file, which every process maps into its memory: it is there
    once, however many there are. So are, on Linux, the imported libraries: a process imports them
    beside what is done before the jobs, and the workers are forks of it. Each job runs on
    ``threads`` threads, in this process too, so that its outcome does not depend on where it is
    done.

    Ctrl-C and SIGTERM, and an error of a job, stop the others where training may be interrupted.
    A worker that is killed takes its own job along, and no other one; if the parent is killed,
    the workers stop by themselves.

    Args:
        number: how many.
        folder: where to put the file; it is removed at the end.
        threads: threads of a job.
    """

    def __init__(self, number: int, folder: Path, threads: int = 1) -> None:
        self.number = number
        self.folder = folder
        self.threads = threads
        self._path: Path | None = None
        self._workers: list[_Worker] = []
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        if self.number > 1:
            self._path = self._open.enter_context(_file_for_all(self.folder))
            if _LINUX:
                multiprocessing.set_forkserver_preload(["resemb_gnn.experiment.run"])
                forkserver.ensure_running()
        return self

    def __exit__(self, *raised: Any) -> None:
        with self._open:
            _stop(self._workers)

    @property
    def shared_bytes(self) -> int:
        """Size of what is shared; 0 if nothing is put aside for it."""
        return 0 if self._path is None else self._path.stat().st_size

    def share(self, shared: Any) -> Any:
        """Puts what the jobs share where the workers find it, and returns it from there: the copy
        that was handed over may go.

        Raises:
            TrainingError: if there is no room for it.
        """
        if self._path is None:
            return shared
        try:
            torch.save(shared, self._path)
        except (OSError, RuntimeError) as error:  # the latter of PyTorch's writer of zip files
            raise TrainingError(
                f"{self.folder} has no room for the data that processes share ({brief(error)}); one"
                " job at a time (--jobs 1) needs none"
            ) from error
        return _mapped(self._path)

    def run(
        self, work: Work, shared: Any, jobs: list[Any], board: Board
    ) -> Iterator[tuple[Any, Any]]:
        """Does the jobs, and yields each with what came of it as it ends.

        Args:
            work: does one.
            shared: what :meth:`share` returned.
            jobs: they are taken from the front of this list, which may be sorted anew meanwhile;
                their ``str`` is what they are called.
            board: shows their progress.

        Raises:
            TrainingError: at the end, if a worker died.
            BaseException: what a job raised.
        """
        if self._path is None:
            while jobs:
                job = jobs.pop(0)
                told = RunDisplay(str(job), board.show, board.bars)
                with limited_threads(self.threads), shown_on(told):
                    found = work(shared, job)
                board.over(str(job))
                yield job, found
            return
        dead: list[str] = []
        number = min(self.number, len(jobs))
        with Interrupts(active=True):  # SIGTERM, too, stops the workers first
            while jobs or any(worker.job is not None for worker in self._workers):
                while jobs and len(self._workers) < max(1, number - len(dead)):
                    self._workers.append(_Worker(self._path, self.threads))
                yield from self._turn(work, jobs, board, dead)
        if dead:
            raise TrainingError(
                f"{'; '.join(dead)} (memory may have run out: fewer --jobs at a time need less)."
                " What has ended is kept, and so are checkpoints; resume (--resume) goes on"
            )

    def _turn(
        self, work: Work, jobs: list[Any], board: Board, dead: list[str]
    ) -> Iterator[tuple[Any, Any]]:
        """Hands jobs out to who is free, waits until something happens, and sees to it."""
        for worker in self._workers:
            if worker.job is None and jobs:
                worker.begin(work, jobs.pop(0), board.bars)
        ends = {worker.connection: worker for worker in self._workers if worker.job is not None}
        board.refresh()
        for end in wait(list(ends), timeout=1):
            worker = ends[end]
            name = str(worker.job)
            try:
                kind, *rest = pickle.loads(worker.connection.recv_bytes())
            except (EOFError, OSError):
                dead.append(f"{name}: its process {worker.cause_of_death()}")
                board.over(name)
                self._workers.remove(worker)
                continue
            if kind == "failed":
                raise rest[0]
            if kind == "done":
                job, worker.job = worker.job, None
                board.over(name)
                yield job, rest[0]
            else:
                board.show(name, kind, *rest)


@contextlib.contextmanager
def _file_for_all(folder: Path) -> Iterator[Path]:
    """A file that this process's workers can open; on Linux it has no name in its folder, so that
    it goes with the last process that has it, even if all are killed.
    """
    if _LINUX:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            yield Path(f"/proc/{os.getpid()}/fd/{file.fileno()}")
    else:
        with temporary_folder(folder, "shared") as place:
            yield place / "shared.pt"


class _Worker:
    """A process, as its parent sees it, with the job that it is at, if any."""

    def __init__(self, path: Path, threads: int) -> None:
        self.job: Any = None
        self.connection, its_own = _CONTEXT.Pipe()
        options = (its_own, path.absolute(), threads, Path.cwd())
        self.process = _CONTEXT.Process(target=_serve, args=options, daemon=True)
        # A new process runs the caller's main module again, which a script without a guard would
        # take for a call to compare once more; workers need nothing of it.
        with patch.dict(sys.modules, {"__main__": ModuleType("__main__")}):
            self.process.start()
        its_own.close()

    def begin(self, work: Work, job: Any, bars: bool) -> None:
        """Hands it a job."""
        self.job = job
        with contextlib.suppress(OSError):  # it is dead already: seen when it is waited for
            self.connection.send_bytes(pickle.dumps((work, job, bars)))

    def cause_of_death(self) -> str:
        self.process.join()
        code = self.process.exitcode or 0
        if code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"


def _stop(workers: list[_Worker]) -> None:
    """Ends the workers: at once who is free, and where it may be interrupted who is at a job."""
    try:
        for worker in workers:
            if worker.job is not None:
                worker.process.terminate()
            worker.connection.close()
        for worker in workers:
            worker.process.join()
    finally:  # Ctrl-C once more
        for worker in workers:
            worker.process.kill()


def _serve(connection: Connection, path: Path, threads: int, place: Path) -> None:
    """What a worker does until its parent has no more for it."""
    os.chdir(place)  # where its parent is, not where that was started
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which tells by SIGTERM
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    shared = None
    with contextlib.suppress(EOFError, OSError):
        while True:
            work, job, bars = pickle.loads(connection.recv_bytes())

            def tell(name: str, *what: Any) -> None:
                with contextlib.suppress(OSError):  # the parent is gone: SIGTERM comes next
                    connection.send_bytes(pickle.dumps(what))

            try:
                if shared is None:
                    shared = _mapped(path)
                with limited_threads(threads), shown_on(RunDisplay(str(job), tell, bars)):
                    answer = ("done", work(shared, job))
            except KeyboardInterrupt:  # a checkpoint is written
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                os.kill(os.getpid(), signal.SIGTERM)
            except Exception as error:
                answer = ("failed", _portable(error))
            connection.send_bytes(pickle.dumps(answer))


def _stop_with_parent() -> None:
    """Stops this process as SIGTERM does once its parent is gone."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)


def _mapped(path: Path) -> Any:
    """What was saved in a file, with tensors that lie in it and are read as they are needed."""
    return torch.load(path, mmap=True, weights_only=False)  # a file of our own


def _portable(error: Exception) -> Exception:
    """The error as it can be sent, with a note where it was raised."""
    error.add_note("".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # as many as there are ways to write an exception
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
