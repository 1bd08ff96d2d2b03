"""The shop's days, at toy size."""

from pathlib import Path

import pytest

from benchmarks.accuracy import daily
from resemb_gnn.io.json_text import read_json


def test_every_day_and_arm_is_scored_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "daily.json"
    words = ["--first", "900", "--rows", "300", "--days", "2", "--seeds", "1", "--epochs", "1"]
    words += ["--no-scorer", "--out", str(path)]
    daily.main(words)
    runs = read_json(path)["runs"]
    assert [(run["day"], run["arm"]) for run in runs] == [
        (day, arm) for day in (1, 2) for arm in daily.ARMS
    ]
    first, second = runs[:4], runs[4:]
    assert len({run["auc"] for run in first}) == 1  # nothing is taken in yet
    assert len({run["auc"] for run in second}) == 4
    assert [run["rows_of_new"] > 0 for run in second] == [False, True, True, True]
    assert {run["epochs"] for run in runs} == {run["best_epoch"] for run in runs} == {0, 1}
    served = [run for run in runs if "export_seconds" in run]
    assert [(run["day"], run["arm"]) for run in served] == [(1, "updated"), (2, "updated")]
    for run in served:
        assert run["recommended"] > 1000
        assert run["export_bytes"] > 10_000
        assert run["recommend_seconds"] > 0
    before = path.read_bytes()
    daily.main(words)  # every run stands there
    assert path.read_bytes() == before
    assert capsys.readouterr().out.count("| updated |") == 2


def test_a_day_has_new_users_and_items() -> None:
    shop = daily.Shop(users=20, items=30, seed=0)
    first = shop.sell(500)
    shop.open(users=40, items=12)
    shop.drift()
    day = shop.sell(500)
    assert day["time"].min() > first["time"].max()
    assert set(day["item"]) <= set(shop.items()["item"])
    new = [f"i{one}" for one in range(30, 42)]
    assert day["item"].is_in(new).any()
    assert not first["item"].is_in(new).any()
