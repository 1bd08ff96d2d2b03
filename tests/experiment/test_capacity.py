"""How many runs go on at a time."""

from pathlib import Path

import joblib
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resemb_gnn import InputError
from resemb_gnn.experiment.capacity import (
    BEHAVIOR,
    IMPORTS,
    SCORED,
    TABLES,
    jobs_by_cores,
    jobs_by_memory,
    memory_left,
    memory_of_a_run,
)
from resemb_gnn.pipeline.task import read_task
from resemb_gnn.settings import CompareSettings

GIB = 2**30


@given(st.integers(1, 64), st.integers(1, 10**12), st.integers(0, 10**13))
def test_all_jobs_fit_or_one_more_would_not(number: int, need: int, left: int) -> None:
    fit = jobs_by_memory(number, need, left)
    assert 1 <= fit <= number
    assert fit == 1 or fit * need <= left
    assert fit == number or (fit + 1) * need > left


def test_memory_that_is_not_known_bounds_nothing() -> None:
    assert jobs_by_memory(7, GIB, None) == 7


def test_cores_and_runs_bound_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joblib, "cpu_count", lambda: 6)
    assert jobs_by_cores("auto", runs=12) == 6
    assert jobs_by_cores("auto", runs=4) == 4
    assert jobs_by_cores("auto", runs=12, threads=4) == 1
    assert jobs_by_cores("auto", runs=12, threads=8) == 1
    assert jobs_by_cores("auto", runs=12, device="cuda:1") == 1
    assert jobs_by_cores("8", runs=12) == 8  # what is asked for is taken
    assert jobs_by_cores("8", runs=3, device="cuda") == 3


def test_the_setting_is_a_number_or_auto() -> None:
    assert [CompareSettings(jobs=jobs).jobs for jobs in ("auto", "03", 2)] == ["auto", "3", "2"]  # type: ignore[arg-type]
    for jobs in ("0", "-1", "many", "1.5", "²", 0, True):
        with pytest.raises(InputError, match="jobs"):
            CompareSettings(jobs=jobs)  # type: ignore[arg-type]


def test_a_run_needs_what_its_parts_do(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    histories = {"a": 5, "b": 9, "c": 7}
    rows = [(user, item, item) for user, length in histories.items() for item in range(length)]
    rows += [("d", item, item) for item in range(12, 18)]  # what the others have no part in
    pl.DataFrame(rows, schema=["u", "i", "t"], orient="row").write_csv(path)
    settings = CompareSettings(
        data=str(path), user="u", item="i", time="t", quiet=True, embedding_dim=16, max_history=2
    )
    task = read_task(settings, settings.embeddings)
    used = [min(2, end - start) for start, end in zip(*_bounds(task), strict=True)]
    mean = -(-sum(used) // len(used))
    folds = sum(part.edge_index.nbytes + part.edge_weight.nbytes for part in task.graph.fold_graphs)
    expected = IMPORTS + 1000 + TABLES * 4 * 16 * 15 + SCORED * mean * BEHAVIOR
    most = len(task.graph.fold_graphs) * 20 * task.graph.num_edges
    assert 0 < folds <= most
    expected += most
    assert memory_of_a_run(task, shared=1000) == expected


def _bounds(task) -> tuple[list[int], list[int]]:
    return task.split.train.start.tolist(), task.split.train.end.tolist()


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_memory_left_is_the_least_of_machine_and_control_groups(tmp_path: Path) -> None:
    assert memory_left(tmp_path) is None
    write(tmp_path / "proc/meminfo", f"MemTotal: 1 kB\nMemAvailable: {8 * 2**20} kB\n")
    assert memory_left(tmp_path) == 8 * GIB
    group = tmp_path / "sys/fs/cgroup/work/mine"
    write(tmp_path / "proc/self/cgroup", "0::/work/mine\n")
    write(group / "memory.max", "max\n")
    write(group / "memory.current", f"{GIB}\n")
    write(group / "memory.stat", "anon 0\ninactive_file 0\n")
    assert memory_left(tmp_path) == 8 * GIB
    write(group.parent / "memory.max", f"{6 * GIB}\n")  # the group above has the limit
    write(group.parent / "memory.current", f"{5 * GIB}\n")
    write(group.parent / "memory.stat", f"anon 0\ninactive_file {2 * GIB}\n")
    assert memory_left(tmp_path) == 3 * GIB
    write(group / "memory.max", f"{2 * GIB}\n")
    assert memory_left(tmp_path) == 1 * GIB
    write(group / "memory.current", f"{3 * GIB}\n")
    assert memory_left(tmp_path) == 0


def test_memory_left_in_a_container_and_in_groups_of_version_1(tmp_path: Path) -> None:
    top = tmp_path / "sys/fs/cgroup/memory"
    lines = "5:cpu,cpuacct:/a\n4:memory:/docker/of-the-host\n0::/\n"
    write(tmp_path / "proc/self/cgroup", lines)
    write(top / "memory.limit_in_bytes", f"{4 * GIB}\n")  # its own group is the top it sees
    write(top / "memory.usage_in_bytes", f"{3 * GIB}\n")
    write(top / "memory.stat", f"cache 1\ntotal_inactive_file {GIB}\n")
    assert memory_left(tmp_path) == 2 * GIB
