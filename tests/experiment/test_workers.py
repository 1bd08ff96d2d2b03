"""Runs side by side: results of one process to the bit, and nothing lost when one of them stops.

Each test that starts processes waits for their imports, so there are few, and each asks for much.
"""

import contextlib
import io
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

import resemb_gnn.experiment.comparison as module
from resemb_gnn import BehaviorLog, InputError
from resemb_gnn.errors import NotFiniteError, TrainingError
from resemb_gnn.experiment import compare
from resemb_gnn.experiment.board import Board
from resemb_gnn.experiment.results import read_results
from resemb_gnn.experiment.run import Run, make_run
from resemb_gnn.experiment.workers import Workers
from resemb_gnn.pipeline.task import Task
from resemb_gnn.settings import CompareSettings
from resemb_gnn.theory import GapCurve

VICTIM = Run("gcn", 0)


NAMES = {"user": "u", "item": "i", "time": "t", "embeddings": ("plain", "gcn")}
SETTINGS = {"data": "log.parquet", **NAMES, "seeds": 2, "epochs": 3, "patience": 3}
"""Those of a comparison of four runs, from a table that is named from the current folder."""


def write_table(log: BehaviorLog) -> None:
    users, items = log.user_ids.gather(log.users.numpy()), log.item_ids.gather(log.items.numpy())
    frame = pl.DataFrame({"u": users, "i": items, "t": log.times.numpy()})
    frame.write_parquet("log.parquet")


@pytest.fixture(scope="module")
def whole(log: BehaviorLog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the comparison by one process, which shows nothing."""
    folder = tmp_path_factory.mktemp("one")
    with contextlib.chdir(folder), contextlib.redirect_stderr(io.StringIO()) as shown:
        write_table(log)
        compare(CompareSettings(**SETTINGS, out="whole", jobs="1", quiet=True))
    assert not shown.getvalue()
    return folder / "whole"


@pytest.fixture
def settings(
    tmp_path: Path, log: BehaviorLog, monkeypatch: pytest.MonkeyPatch, no_pictures: None
) -> dict[str, Any]:
    monkeypatch.chdir(tmp_path)
    write_table(log)
    return SETTINGS


def without_times(results: dict[str, Any]) -> list[dict[str, Any]]:
    runs = []
    for run in results["runs"]:
        curve = [{k: v for k, v in epoch.items() if k != "seconds"} for epoch in run["curve"]]
        times = ("seconds_per_epoch", "examples_per_second")
        runs.append({k: v for k, v in run.items() if k not in times} | {"curve": curve})
    return runs


def killed_after_two_epochs(task: Task, run: Run) -> dict[str, Any]:
    """A run; of :data:`VICTIM` the process is killed at the end of its third epoch."""
    measure = GapCurve.__call__

    def measure_or_die(self: GapCurve, number: int, epoch: Any) -> None:
        if number == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        measure(self, number, epoch)

    if run == VICTIM:
        GapCurve.__call__ = measure_or_die  # type: ignore[method-assign] # in the worker alone
    return make_run(task, run)


def test_a_killed_worker_takes_its_own_run_along_and_loses_nothing(
    whole: Path,
    settings: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = without_times(read_results(whole / "results.json"))
    monkeypatch.setattr(module, "make_run", killed_after_two_epochs)
    with pytest.raises(TrainingError, match=r"gcn, seed 0: its process was ended by SIGKILL"):
        compare(CompareSettings(**settings, out="out", jobs="2"))
    shown = capsys.readouterr().err
    assert "\r" not in shown  # no terminal: no bar
    for run in ("plain, seed 0", "plain, seed 1", "gcn, seed 1"):
        assert f"{run}, epoch 3: loss " in shown
    assert "gcn, seed 0, epoch 3" not in shown
    kept = read_results(Path("out/results.json"))
    named = [(Run(run["embedding"], run["seed"]), run) for run in expected]
    assert without_times(kept) == [record for run, record in named if run != VICTIM]
    assert [path.name for path in Path("out/checkpoints").iterdir()] == [VICTIM.file_name]
    assert not list(Path("out").glob(".*"))
    monkeypatch.setattr(module, "make_run", make_run)
    epochs = []
    measure = GapCurve.__call__

    def count(self: GapCurve, number: int, epoch: Any) -> None:
        epochs.append(number)
        measure(self, number, epoch)

    monkeypatch.setattr(GapCurve, "__call__", count)
    resumed = compare(CompareSettings(**settings, out="out", jobs="2", resume=True, quiet=True))
    assert epochs == [3]  # one run is left, for which no process is started
    assert without_times(resumed) == expected
    assert not Path("out/checkpoints").exists()
    geometry = [(out / "geometry/gcn.npz").read_bytes() for out in (whole, Path("out"))]
    assert geometry[0] == geometry[1]


def stopped_after_an_epoch(task: Task, run: Run) -> dict[str, Any]:
    """A run that stays at the end of its first epoch, but for one that ends when this is so."""
    measure = GapCurve.__call__

    def measure_and_stay(self: GapCurve, number: int, epoch: Any) -> None:
        measure(self, number, epoch)
        if run == VICTIM:
            Path("begun").touch()
            time.sleep(600)
        while not Path("begun").exists():
            time.sleep(0.1)

    GapCurve.__call__ = measure_and_stay  # type: ignore[method-assign] # in the worker alone
    return make_run(task, run)


def test_an_interruption_stops_the_workers_where_they_can_go_on(
    whole: Path, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "make_run", stopped_after_an_epoch)

    def interrupt(line: str) -> None:
        if line.startswith("plain, seed 0: "):
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        compare(CompareSettings(**settings, out="out", jobs="2", quiet=True), log=interrupt)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert not multiprocessing.active_children()
    assert list(VICTIM.checkpoints(Path("out")).glob("checkpoint-*.pt"))
    monkeypatch.setattr(module, "make_run", make_run)
    resumed = compare(CompareSettings(**settings, out="out", jobs="1", resume=True, quiet=True))
    assert without_times(resumed) == without_times(read_results(whole / "results.json"))


def answer(shared: dict[str, Any], job: str) -> Any:
    """Work of several kinds."""
    if job == "threads":
        return torch.get_num_threads(), os.getpid(), os.getcwd()
    if job == "not finite":
        raise NotFiniteError("loss is nan", {"batch": torch.ones(2)})
    if job == "odd error":
        raise OddError(1, 2)
    return float(shared["numbers"].sum())


class OddError(InputError):
    """One that is not put together again from what it was made of."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def test_workers_share_data_and_errors_come_back(tmp_path: Path) -> None:
    numbers = torch.rand(1000, generator=torch.Generator().manual_seed(0))
    board = Board(3, 0, quiet=True)
    with Workers(2, tmp_path) as workers, board:
        shared = workers.share({"numbers": numbers})
        assert shared["numbers"].equal(numbers)
        assert workers.shared_bytes > 4000
        found = dict(workers.run(answer, shared, ["sum", "threads"], board))
        assert found["sum"] == float(numbers.sum())
        threads, process, place = found["threads"]
        assert threads == 1
        assert process != os.getpid()
        assert place == os.getcwd()
        with pytest.raises(NotFiniteError) as raised:
            list(workers.run(answer, shared, ["not finite"], board))
        assert str(raised.value) == "loss is nan"
        assert raised.value.batch["batch"].equal(torch.ones(2))
    assert not list(tmp_path.iterdir())


def test_one_job_at_a_time_is_done_in_this_process(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        with Workers(1, tmp_path) as workers, Board(2, 0, quiet=True) as board:
            jobs = ["threads", "odd error"]
            runs = workers.run(answer, workers.share({}), jobs, board)
            assert next(runs) == ("threads", (1, os.getpid(), os.getcwd()))
            assert torch.get_num_threads() == before + 1
            with pytest.raises(OddError, match="1 and 2"):
                next(runs)
    finally:
        torch.set_num_threads(before)
    assert not list(tmp_path.iterdir())


PARENT = """
import sys, time
from pathlib import Path
from resemb_gnn.experiment.board import Board
from resemb_gnn.experiment.workers import Workers
from test_workers import stay

with Workers(2, Path.cwd()) as workers, Board(2, 0, quiet=True) as board:
    list(workers.run(stay, workers.share({}), ["one", "other"], board))
"""


def stay(shared: dict[str, Any], job: str) -> None:
    """Tells that it is there, and goes on until it is stopped."""
    Path(job).touch()
    time.sleep(600)


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    """Started by a script without a guard, which they must not run again."""
    places = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(places)}
    (tmp_path / "script.py").write_text(PARENT)
    command = [sys.executable, "script.py"]
    parent = subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    try:
        names = [tmp_path / "one", tmp_path / "other"]
        while not all(name.exists() for name in names):
            assert parent.poll() is None
            time.sleep(0.1)
    finally:
        parent.kill()
        parent.wait()
    assert parent.stdout.read() == b""  # comes when the last of those that could write has ended
    assert {path.name for path in tmp_path.iterdir()} == {"one", "other", "script.py"}
