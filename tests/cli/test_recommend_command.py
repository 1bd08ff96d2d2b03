"""``resemb-gnn recommend``: what the model gives in Python, in a file."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import resemb_gnn as rg
from resemb_gnn import InputError, cli
from resemb_gnn.cli.command_settings import RecommendSettings
from resemb_gnn.io import frame
from resemb_gnn.io.tables import read_table
from tests.shop import COLUMNS, CONTEXT, shop_settings, write_shop

VALUES = ["position=top", "coupons=c1|c2", "delay=0.5"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a shop's tables and the ``model`` that was trained on them."""
    folder = tmp_path_factory.mktemp("recommend")
    write_shop(folder)
    small = {"epochs": 1, "quiet": True, "embedding_dim": 4, "embedding": "plain"}
    rg.train(**small | shop_settings(folder)).save(folder / "model")
    pl.DataFrame({"shopper": ["s03", "s01", "s03"]}).write_csv(folder / "users.csv")
    pl.DataFrame({"code": [f"A-{one}" for one in range(20)]}).write_csv(folder / "candidates.csv")
    return folder


def run(place: Path, *words: str) -> int:
    return cli.main(["recommend", "--model", str(place / "model"), "--quiet", *words])


def test_the_file_holds_what_the_model_recommends(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = rg.load(place / "model")
    context = {"position": "top", "coupons": ["c1", "c2"], "delay": 0.5}
    words = ["--users", str(place / "users.csv"), "--context-values", *VALUES]
    out = tmp_path / "top.parquet"
    assert run(place, *words, "--k", "4", "--out", str(out)) == 0
    found = pl.read_parquet(out)
    assert_frame_equal(found, trained.recommend(["s03", "s01"], 4, context=context))
    assert "holds 8 items for 2 users." in capsys.readouterr().out
    words += ["--candidates", str(place / "candidates.csv"), "--item", "code", "--include-seen"]
    out = tmp_path / "top.csv"
    assert run(place, *words, "--retrieve", "30", "--k", "21", "--out", str(out)) == 0
    assert "holds 40 items for 2 users, fewer than 21 for 2 of them." in capsys.readouterr().out
    expected = trained.recommend(
        ["s03", "s01"],
        21,
        candidates=[f"A-{one}" for one in range(20)],
        include_seen=True,
        context=context,
    )
    assert_frame_equal(pl.read_csv(out, schema=expected.schema), expected)


def test_a_history_is_read_once(
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    trained = rg.load(place / "model")
    since = pl.read_csv(place / "log.csv")[:60].with_columns(
        pl.col("shopper").replace("s03", "new"), pl.col("ts") + 5000
    )
    path, out = tmp_path / "since.csv", tmp_path / "top.csv"
    since.write_csv(path)
    users = tmp_path / "users.csv"
    pl.DataFrame({"shopper": ["new", "s01", "nobody"]}).write_csv(users)
    read: list[str] = []

    def reading(paths: Any, columns: Any) -> pl.DataFrame:
        read.append(str(paths))
        return read_table(paths, columns)

    monkeypatch.setattr(frame, "read_table", reading)
    words = ["--history", str(path), "--out", str(out), "--replace"]
    assert run(place, *words, "--users", str(users), "--context-values", *VALUES) == 0
    assert "for 3 users" in capsys.readouterr().out
    context = {"position": "top", "coupons": ["c1", "c2"], "delay": 0.5}
    log = rg.BehaviorLog.from_frame(since, **COLUMNS)
    expected = trained.recommend(["new", "s01", "nobody"], context=context, history=log)
    assert_frame_equal(pl.read_csv(out, schema=expected.schema), expected)
    pairs = ["--model", str(place / "model"), "--data", str(place / "log.csv"), "--quiet"]
    assert cli.main(["predict", *pairs, *words]) == 0
    assert read.count(str(path)) == 2
    assert run(place, *words, "--context-values", *VALUES) == 0
    assert f"for {len(trained.histories.user_ids) + 1} users" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], f"trained with the context {CONTEXT}"),
        (["--context-values", "position=a", "position=b"], "'position' comes twice"),
        (["--context-values", "positoin=a"], "resemb-gnn: 'positoin' is no context feature"),
        (
            ["--context-values", *VALUES, "--k", "5", "--retrieve", "4"],
            "gnn: retrieve=4: of",
        ),
        (
            ["--context-values", "coupons=c1", "delay=soon", "position=a"],
            "gnn: the context, col",
        ),
        (["--context-values", "coupons=", "delay=1=2", "position=a"], "'1=2' is"),
        (["--users", "candidates.csv", "--context-values", *VALUES], "has no column 'shopper'"),
        (["--users", "top.csv"], "top.csv"),
    ],
)
def test_what_is_refused(
    words: list[str],
    message: str,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(place)
    assert run(place, *words, "--out", "top.csv") == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not Path("top.csv").exists()


def test_a_context_value_has_a_name() -> None:
    with pytest.raises(InputError, match="'position' is not of the form NAME=VALUE"):
        RecommendSettings(model="model", out="top.csv", context_values=["position"])


@pytest.mark.parametrize(("flag", "file"), [("--users", "users"), ("--candidates", "candidates")])
def test_it_does_not_write_over_what_it_reads(
    flag: str, file: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(place / f"{file}.csv")
    before = Path(path).read_bytes()
    assert run(place, flag, path, "--out", path, "--replace") == 2
    assert path in capsys.readouterr().err
    assert Path(path).read_bytes() == before
