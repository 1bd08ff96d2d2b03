"""benchmarks/speed at toy size, what is measured side by side included."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch

from benchmarks import timing
from benchmarks.speed import __main__ as speed
from benchmarks.speed import cores, ours, recommend, serving, startup
from benchmarks.speed.tables import REFERENCE, markdown
from resemb_gnn import InputError

GROUPS = [group for group in speed.GROUPS if not group.startswith("peers")]
FEW = ["--threads", "1", "--rounds", "1", "--steps", "1", "--slow-steps", "1", "--epoch-steps", "1"]


def test_all_groups_of_our_own(
    sequences: Path,
    tmp_path: Path,
    not_compiled: None,
    in_process: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in (("BATCH_SIZE", 64), ("SGEMM_SIZES", (256,)), ("PREDICTIONS", 20_000)):
        monkeypatch.setattr(ours, name, value)
    out = tmp_path / "speed.json"
    speed.main(["--data", str(sequences), "--out", str(out), "--only", *GROUPS, *FEW])
    results = json.loads(out.read_text())
    assert results["command"].startswith("python -m benchmarks.speed --data log.txt ")
    turns = results["turns"]
    assert list(dict.fromkeys(turn["group"] for turn in turns)) == GROUPS
    by_group = {group: [t for t in turns if t["group"] == group] for group in GROUPS}
    for group, some in by_group.items():
        names = [turn["name"] for turn in some]
        assert len(set(names)) == len(names)
        assert REFERENCE[group] in names
        assert all(turn["wall"] > 0 for turn in some)
    assert {turn["name"] for turn in by_group["models"]} == {
        "DIN", "pooled MLP", "Wide & Deep", "PNN", "DIEN", "DIEN, padded",
    }  # fmt: skip
    text = out.with_suffix(".md").read_text()
    assert text == markdown(results)
    (row,) = [line for line in text.splitlines() if "| full-graph | Res, GCNConv |" in line]
    one, gcn = (
        next(turn["wall"] for turn in by_group["full-graph"] if turn["name"] == name)
        for name in ("Res, GCNConv", "Res, gcn")
    )
    assert row.rsplit("|", 2)[1].split()[0] == f"{one / gcn:.3g}"


def test_without_a_gpu_none_is_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    out = tmp_path / "speed.json"
    with pytest.raises(InputError, match="cuda"):
        speed.main(["--device", "cuda", "--out", str(out)])
    assert not out.exists()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu(
    sequences: Path,
    tmp_path: Path,
    not_compiled: None,
    in_process: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ours, "BATCH_SIZE", 64)
    out = tmp_path / "speed.json"
    speed.main(["--data", str(sequences), "--out", str(out), "--device", "cuda", *FEW])
    results = json.loads(out.read_text())
    groups = list(dict.fromkeys(turn["group"] for turn in results["turns"]))
    assert groups == [group for group in speed.GROUPS if group not in speed.CPU_GROUPS]
    assert results["machine"]["gpu"] in out.with_suffix(".md").read_text()


@pytest.mark.skipif(
    any(importlib.util.find_spec(package) is None for package in speed.PEERS.values()),
    reason="needs benchmarks/speed/requirements.txt",
)
@pytest.mark.parametrize("group", ["peers-model", "peers-end-to-end"])
def test_peers(
    group: str, batches: Path, tmp_path: Path, not_compiled: None, in_process: None
) -> None:
    out = tmp_path / "speed.json"
    speed.main(["--data", str(batches), "--out", str(out), "--only", group, *FEW])
    names = {turn["name"] for turn in json.loads(out.read_text())["turns"]}
    assert len(names) == 6


def test_forms_of_a_scorer(batches: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra serve")
    words = ["--data", str(batches), "--batch-sizes", "1", "64", "--examples", "64"]
    serving.main([*words, "--rounds", "1", "--batches", "2", "--out", str(tmp_path)])
    found = json.loads((tmp_path / "serving.json").read_text())
    assert list(found["batch_sizes"]) == ["1", "64"]
    for size in found["batch_sizes"].values():
        assert size["difference"] < 1e-5
        assert len(size["rates"]) == 4
    rows = (tmp_path / "serving.md").read_text().splitlines()[4:]
    assert [row.split(" | ")[0] for row in rows] == ["| 1"] * 4 + ["| 64"] * 4


def test_startup_of_two_checkouts(tmp_path: Path) -> None:
    words = ["--only", *startup.WITHOUT_A_MODEL, "--before", str(timing.ROOT), "--rounds", "1"]
    startup.main([*words, "--out", str(tmp_path)])
    found = json.loads((tmp_path / "startup.json").read_text())
    assert list(found["seconds"]) == ["help", "version", "typo"]
    for by_checkout in found["seconds"].values():
        assert list(by_checkout) == ["before", "this"]
        for clocks in by_checkout.values():
            assert all(len(clocks[clock]) == 1 and min(clocks[clock]) > 0 for clock in clocks)
    assert len((tmp_path / "startup.md").read_text().splitlines()) == 2 + 2 + 6


def test_startup_with_a_model(tmp_path: Path, in_process: None) -> None:
    words = ["--only", "similar", "predict", "--rounds", "1", "--out", str(tmp_path)]
    startup.main(words)
    found = json.loads((tmp_path / "startup.json").read_text())["seconds"]
    assert {name: list(by_checkout) for name, by_checkout in found.items()} == {
        "similar": ["this"],
        "predict": ["this"],
    }


def test_a_command_that_ends_otherwise_is_not_timed(tmp_path: Path) -> None:
    process = startup.Process(timing.ROOT, ["similar"], 0, tmp_path)
    with pytest.raises(RuntimeError, match="ended with 2, not 0"):
        process()


def test_cores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "cores.json"
    few = ["--items", "60", "--epochs", "1", "--rounds", "1", "--examples", "500"]
    cores.main([*few, "--embeddings", "plain", "gcn", "--processes", "1", "--out", str(out)])
    turns = json.loads(out.read_text())["turns"]
    assert [(turn["embedding"], turn["processes"]) for turn in turns] == [("plain", 1), ("gcn", 1)]
    assert all(len(turn["wall"]) == len(turn["cpu"]) == 1 for turn in turns)
    assert "gcn, 1 processes, wall" in capsys.readouterr().out


def test_recommending_both_ways(
    sequences: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of few items all are anchors, so what is retrieved holds the exact best."""
    out = tmp_path / "recommend.json"
    words = ["--data", str(sequences), "--k", "3", "--retrieve", "10", "--embedding", "plain"]
    recommend.main([*words, "--users", "10", "--block", "5", "--out", str(out)])
    found = json.loads(out.read_text())
    names = [turn["name"] for turn in found["turns"]]
    assert names == ["retrieve 10", "exact", "exact"]
    assert found["agreement"]["users"] == 10
    assert found["agreement"]["recall"] > 0.9
    assert capsys.readouterr().out == recommend.summary(found) + "\n"
