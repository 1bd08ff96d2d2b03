"""Graphs kept in a folder: those that were made, and never another's or a damaged one."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch_geometric.data import Data

from resemb_gnn import BehaviorLog, InputError, covisit_graph
from resemb_gnn.graph import NodeFeatures
from resemb_gnn.pipeline.graph_cache import graph_fingerprint, kept_graph
from resemb_gnn.pipeline.task import Task, read_task
from resemb_gnn.settings import CompareSettings, FitSettings
from tests.shop import shop_settings, write_shop


def never() -> Data:
    raise AssertionError("the graph is there")


def same(one: Data, other: Data) -> bool:
    """Whether they hold the same tensors, their folds' included."""
    names = [name for name in one.keys() if name != "fold_graphs"]  # noqa: SIM118
    if {*names, "fold_graphs"} != {*other.keys(), "fold_graphs"}:
        return False
    equal = [
        torch.equal(one[name], other[name]) and one[name].dtype == other[name].dtype
        for name in names
        if name != "num_nodes"
    ]
    folds = [graph.get("fold_graphs") or [] for graph in (one, other)]
    parts = [same(*pair) for pair in zip(*folds, strict=True)]
    return one.num_nodes == other.num_nodes and all(equal) and all(parts)


@pytest.mark.parametrize(
    "options", [{}, {"folds": 3}, {"folds": 3, "top_k": 2}, {"folds": 2, "min_count": 2}]
)
def test_what_is_kept_is_what_was_made(
    log: BehaviorLog, tmp_path: Path, options: dict[str, Any]
) -> None:
    graph = NodeFeatures(6)(covisit_graph(log, **options))
    folder = tmp_path / "not" / "there"
    assert kept_graph(folder, "a1", lambda: graph) is graph
    found = kept_graph(folder, "a1", never)
    assert same(found, graph)
    assert type(found.get("fold_graphs")) is type(graph.get("fold_graphs"))
    assert [path.name for path in folder.iterdir()] == ["graph-a1.safetensors"]


@pytest.mark.parametrize("at", [0.0, 0.5, 1.0])
def test_damaged_files_are_made_anew(log: BehaviorLog, tmp_path: Path, at: float) -> None:
    """At the start, in the numbers, or cut off at the end."""
    graph = NodeFeatures(6)(covisit_graph(log, folds=2))
    kept_graph(tmp_path, "a1", lambda: graph)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    place = int(at * (len(whole) - 8))
    damaged = (
        whole[:-1] if at == 1 else whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
    )
    path.write_bytes(damaged)
    with pytest.warns(UserWarning, match=r"graph-a1\.safetensors is damaged, or no graph"):
        assert kept_graph(tmp_path, "a1", lambda: graph) is graph
    assert path.read_bytes() == whole
    assert same(kept_graph(tmp_path, "a1", never), graph)


def test_a_graph_under_another_name_is_no_answer(log: BehaviorLog, tmp_path: Path) -> None:
    graph = NodeFeatures(6)(covisit_graph(log))
    kept_graph(tmp_path, "a1", lambda: graph)
    (tmp_path / "graph-a1.safetensors").rename(tmp_path / "graph-b2.safetensors")
    with pytest.warns(UserWarning, match="no graph of this version"):
        kept_graph(tmp_path, "b2", lambda: graph)


def test_nothing_is_left_of_a_write_that_fails(
    log: BehaviorLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*arguments: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr("resemb_gnn.pipeline.graph_cache.publish", failing)
    with pytest.raises(OSError, match="no room"):
        kept_graph(tmp_path, "a1", lambda: NodeFeatures(6)(covisit_graph(log)))
    assert not [*tmp_path.iterdir()]


def test_fingerprints_tell_logs_and_settings_apart(make_log) -> None:
    log = make_log([[0, 1, 2], [2, 1]], 3)
    same_log = make_log([[0, 1, 2], [2, 1]], 3, times=[[5, 6, 7], [1, 2]])
    found = graph_fingerprint(log, window=5)
    assert found == graph_fingerprint(same_log, window=5)
    others = [
        graph_fingerprint(log, window=4),
        graph_fingerprint(make_log([[0, 1, 2], [1, 2]], 3), window=5),
        graph_fingerprint(make_log([[0, 1], [2, 2, 1]], 3), window=5),
        graph_fingerprint(make_log([[0, 1, 2], [2, 1]], 4), window=5),
    ]
    assert len({found, *others}) == 5
    labels = make_log([[0, 1, 2], [2, 0, 1]], 3, labels=[[1, 1, 1], [1, 0, 1]])
    assert graph_fingerprint(labels, window=5) == found  # the positive ones


def test_fit_and_compare_share_what_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_shop(tmp_path)
    cache = tmp_path / "cache"
    options = shop_settings(tmp_path) | {"folds": 3, "quiet": True, "cache": str(cache)}

    def task(kind: type, **changes: Any) -> Task:
        return read_task(kind(**options | changes), ["gcn"])

    made = task(FitSettings, embedding="gcn").graph
    assert len([*cache.iterdir()]) == 1
    without = task(FitSettings, embedding="gcn", cache=None).graph
    assert same(made, without)
    monkeypatch.setattr("resemb_gnn.pipeline.task.covisit_graph", never)
    assert same(task(CompareSettings, embeddings=["gcn"]).graph, made)
    for change in ({"window": 2}, {"folds": 2}, {"top_k": 3}, {"graph": "permuted"}):
        with pytest.raises(TypeError):  # it is asked for
            _ = task(FitSettings, embedding="gcn", **change).graph


def test_a_folder_that_cannot_be_written_is_refused_before_the_data_are_read(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("")
    settings = FitSettings(data="nowhere.csv", cache=str(tmp_path / "file"), quiet=True)
    with pytest.raises(InputError, match="file"):
        read_task(settings, ["gcn"])


def test_the_cache_is_no_part_of_what_a_run_is() -> None:
    one, other = FitSettings(), FitSettings(cache="folder")
    assert one.identity() == other.identity()
    assert CompareSettings().identity() == CompareSettings(cache="folder").identity()
