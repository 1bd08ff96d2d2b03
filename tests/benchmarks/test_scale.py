"""benchmarks/scale at toy size."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks.scale import defaults, engines, growth


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_growth_is_measured_stage_by_stage(tmp_path: Path, in_process: None) -> None:
    out = tmp_path / "out"
    words = ["--items", "200", "400", "--threads", "1", "--steps", "2", "--rounds", "2"]
    words += ["--folder", str(tmp_path / "folder"), "--out", str(out), "--epoch"]
    growth.main(words)
    found = json.loads((out / "growth.json").read_text())
    assert [size["items"] for size in found["sizes"]] == [200, 400]
    for size in found["sizes"]:
        assert size["complete"]
        assert size["behaviors"] == 20 * size["items"]
        stages = {stage["stage"]: stage for stage in size["stages"]}
        assert len(stages["step"]["steps"]) == 2
        assert all(stage["peak_bytes"] > 0 for stage in stages.values())
    assert "training epoch" in stages  # of the largest
    assert [turn["items"] for turn in found["same_batch"]] == [200, 400, 400, 200]
    text = (out / "README.md").read_text()
    assert "| gcn step, same batch, 400 items / 200, processor time | <= 1.3 |" in text
    assert {path.name for path in out.glob("*.png")} == {"seconds.png", "memory.png"}
    before = (out / "growth.json").read_text()
    growth.main(words)
    assert json.loads((out / "growth.json").read_text()) == json.loads(before)  # not run again


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_the_defaults_take(
    tmp_path: Path, in_process: None, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out" / "defaults.json"
    words = ["--rows", "6000", "4000", "--steps", "2", "--folder", str(tmp_path / "folder")]
    defaults.main([*words, "--out", str(out)])
    found = json.loads(out.read_text())
    assert [size["rows"] for size in found["sizes"]] == [4000, 6000]
    for size in found["sizes"]:
        assert size["complete"]
        names = ["start", *defaults.PREPARATION, *defaults.MODELS, "done"]
        assert [stage["stage"] for stage in size["stages"]] == names
        stages = {stage["stage"]: stage for stage in size["stages"]}
        assert stages["gcn"]["steps"] == stages["plain"]["steps"] == 2
        assert all(stage["peak_bytes"] > 0 for stage in size["stages"])
    assert capsys.readouterr().out.splitlines()[-1].startswith("| 6,000 | ")
    before = out.read_text()
    defaults.main([*words, "--out", str(out)])
    assert json.loads(out.read_text()) == json.loads(before)  # not run again


def test_the_page_on_scale_has_the_table_of_the_raw_file() -> None:
    root = Path(__file__).parents[2]
    raw = json.loads((root / "benchmarks/scale/results/defaults.json").read_text())
    page = (root / "docs/scale.md").read_text()
    for line in defaults.markdown(raw).splitlines():
        assert line in page


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_engines_count_the_same(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    pytest.importorskip("duckdb", reason="needs the extra engines")
    words = ["--behaviors", "5000", "--threads", "1", "--memory-limit", "0.5"]
    words += ["--out", str(tmp_path / "out"), "--folder", str(tmp_path / "folder")]
    engines.main(["large", *words])  # in a process of its own, whose memory is limited
    found = json.loads((tmp_path / "out" / "large.json").read_text())
    check = found["check"]
    assert check["edges"] > 1000
    assert check["total_weight_equal"]
    assert check["checksum_equal"]
    assert check["sampled_edges_equal"]
    text = (tmp_path / "out" / "README.md").read_text()
    assert "| checksum equal | yes |" in text
    assert "4 GiB for the process, by the kernel" in text
    request.getfixturevalue("in_process")
    engines.main(["same", "--engines", "in memory", "DuckDB", *words])
    found = json.loads((tmp_path / "out" / "same.json").read_text())
    assert [run["engine"] for run in found["runs"]] == ["in memory", "DuckDB"]
    assert found["check"]["DuckDB_equal"]
    assert found["check"]["edges"] == check["edges"]
    assert "| DuckDB equal | yes |" in (tmp_path / "out" / "README.md").read_text()


def test_an_index_is_built_and_asked(tmp_path: Path) -> None:
    pytest.importorskip("usearch", reason="needs the extra serve")
    from benchmarks.scale import index

    index.main(["--items", "2000", "--threads", "1", "--out", str(tmp_path)])
    found = json.loads((tmp_path / "index.json").read_text())
    assert [turn["items"] for turn in found["turns"]] == list(range(200, 2001, 200))
    assert found["recall_at_10"] > 0.9
    assert found["bytes_per_item"] > 4 * index.DIM
