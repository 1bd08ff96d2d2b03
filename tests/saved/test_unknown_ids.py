"""Whom and what a model knows: the same ids, however they are stored, and no others."""

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import resemb_gnn as rg
from resemb_gnn import cli

DAY = datetime.date(1970, 1, 1)


@pytest.fixture(scope="module")
def numbered(
    csv: Path, train_on: Callable[..., rg.TrainedModel], tmp_path_factory: pytest.TempPathFactory
) -> rg.TrainedModel:
    """A model of users 0 to 59 and items 100 to 139."""
    path = tmp_path_factory.mktemp("numbered") / "log.csv"
    number = pl.col("user_id", "item_id").str.extract(r"(\d+)").cast(pl.Int64)
    pl.read_csv(csv).with_columns(number).write_csv(path)
    trained = train_on(data=str(path))
    assert trained.item_ids.dtype == trained.histories.user_ids.dtype == pl.Int64
    trained.save(path.parent / "model")
    return trained


@pytest.fixture(scope="module")
def place(numbered: rg.TrainedModel) -> Path:
    """The folder of that model's ``log.csv`` and ``model``."""
    assert numbered.settings.data is not None
    return Path(numbered.settings.data).parent


ALIEN = [  # ids that a lenient cast makes 107, or 1, of
    pl.Series([107.9, 100.5]),
    pl.Series([float("inf"), 2.0**60]),
    pl.Series(["0107", "+107"]),
    pl.Series([" 107", "107.0"]),
    pl.Series(["107.9", "1e2"]),
    pl.Series(["107", "107.5"])[1:],
    pl.Series(["0107"], dtype=pl.Categorical),
    pl.Series([DAY + datetime.timedelta(107)]),
    pl.Series([107]).cast(pl.Datetime("us")),
    pl.Series([107]).cast(pl.Time),
    pl.Series([2**62]).cast(pl.Datetime("ms")),  # polars panics when it shows it
    pl.Series([True]),
    pl.Series(["107.10"]).cast(pl.Decimal(10, 2)),
    pl.Series([2**64 + 107], dtype=pl.Int128),
]
SAME = [
    pl.Series(["107"]),
    pl.Series(["107", "x"])[:1],
    pl.Series([107.0]),
    pl.Series([107.0], dtype=pl.Float32),
    pl.Series([107], dtype=pl.UInt8),
    pl.Series([107], dtype=pl.Int128),
    pl.Series(["107"], dtype=pl.Categorical),
    pl.Series(["107.00"]).cast(pl.Decimal(10, 2)),
]


@pytest.mark.parametrize("ids", ALIEN, ids=lambda ids: f"{ids.dtype}")
def test_other_ids_are_unknown(numbered: rg.TrainedModel, ids: pl.Series) -> None:
    users, items = pl.Series([1] * len(ids)), pl.Series([107] * len(ids))
    for pairs in ((users, ids.alias("item")), (ids.alias("user"), items)):
        with pytest.raises(rg.InputError, match=r"column '(item|user)', row 0 .*is unknown to the"):
            numbered.predict(*pairs)
    some = pl.concat([ids.cast(pl.String), pl.Series(["107"])]) if ids.dtype == pl.String else None
    if some is not None:
        score = numbered.predict(pl.Series([1] * len(some)), some, unknown="skip")
        assert score.is_null().to_list() == [True] * len(ids) + [False]
    if len(ids) == 1:
        with pytest.raises(rg.InputError, match="is unknown"):
            numbered.similar(ids[0] if ids.dtype != pl.Datetime("ms") else 107.9)


@pytest.mark.parametrize("ids", SAME, ids=lambda ids: f"{ids.dtype}")
def test_the_same_id_of_another_type_is_known(numbered: rg.TrainedModel, ids: pl.Series) -> None:
    expected = numbered.predict([1], [107])
    assert numbered.predict(pl.Series([1.0]), ids).equals(expected)
    assert numbered.similar(ids[0]).equals(numbered.similar(107))


def test_strings_know_no_numbers_but_their_own(trained: rg.TrainedModel) -> None:
    score = trained.predict(["u01"] * 3, ["P-100", "100", "P-0100"], unknown="skip")
    assert score.is_null().to_list() == [False, True, True]
    with pytest.raises(rg.InputError, match="100 is unknown to the model"):
        trained.predict(["u01"], [100])


def test_pandas_makes_float_numbers_of_ids_beside_missing_ones(numbered: rg.TrainedModel) -> None:
    frame = pd.DataFrame({"user": [1, 2, None], "item": [107, 100, 101]})
    users, items = pl.from_pandas(frame["user"]), pl.from_pandas(frame["item"])
    assert users.dtype == pl.Float64
    assert numbered.predict(users[:2], items[:2]).equals(numbered.predict([1, 2], [107, 100]))
    with pytest.raises(rg.InputError, match=r"column 'user', row 2 .*None is missing"):
        numbered.predict(users, items, unknown="skip")


@pytest.mark.parametrize(
    ("users", "items", "message"),
    [
        ([1, 2, 3], [107, 100], "must be of one length: users 3, items 2"),
        ([1], [107, 100], "must be of one length: users 1, items 2"),
        ([], [107], "must be of one length: users 0, items 1"),
        ([1, 2], [107, "x"], "column 'item' holds no ids of one kind"),
        ([1, 2], [107, True], "column 'item' holds ids of no one kind"),
        ("1", [107], "column 'user' must be a sequence of ids, not '1'"),
        (1, 107, "column 'user' holds no ids of one kind"),
        ([1], [[107]], r"column 'item' holds List\(Int64\), which cannot be an id"),
        ([], [], "no examples to score"),
    ],
)
def test_what_is_no_pair_of_columns(
    numbered: rg.TrainedModel, users: Any, items: Any, message: str
) -> None:
    for unknown in ("refuse", "skip"):
        with pytest.raises(rg.InputError, match=message):
            numbered.predict(users, items, unknown=unknown)


def test_a_misspelt_choice_skips_nothing(numbered: rg.TrainedModel) -> None:
    with pytest.raises(rg.InputError, match="unknown='Refuse' is unknown; choose from refuse, sk"):
        numbered.predict([1], [7], unknown="Refuse")


def run(place: Path, command: str, *arguments: str) -> int:
    return cli.main([command, *arguments, "--model", str(place / "model"), "--quiet"])


def test_predict_of_a_file(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "scores.csv"
    frames = {
        "pairs.csv": pl.DataFrame({"u": ["1", "1.999", "1"], "i": ["107", "107", "0107"]}),
        "pairs.parquet": pl.DataFrame({"u": [1.0, 1.999, 1.0], "i": [107.0, 107.0, 107.9]}),
    }
    for name, frame in frames.items():
        path = tmp_path / name
        frame.write_csv(path) if path.suffix == ".csv" else frame.write_parquet(path)
        words = ["--data", str(path), "--user", "u", "--item", "i", "--out", str(out)]
        assert run(place, "predict", *words) == 2
        row = "line 3" if path.suffix == ".csv" else "row 1 (from 0)"
        assert f"column 'u', {row}: " in capsys.readouterr().err
        assert run(place, "predict", *words, "--unknown", "skip") == 0
        assert pl.read_csv(out)["score"].is_null().to_list() == [False, True, True]
        out.unlink()


@pytest.mark.parametrize("role", ["user", "item"])
def test_predict_writes_no_score_over_ids(
    role: str, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "pairs.csv", tmp_path / "scores.csv"
    columns = {"user": "u", "item": "i"} | {role: "score"}
    pl.DataFrame({columns["user"]: [1], columns["item"]: [107]}).write_csv(path)
    words = [part for name, column in columns.items() for part in (f"--{name}", column)]
    assert run(place, "predict", "--data", str(path), *words, "--out", str(out)) == 2
    assert "column 'score' of" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("item", ["0107", "+107", "107.0", "107.9", "1970-04-18"])
def test_similar_to_another_id(item: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(place, "similar", item) == 2
    assert f"item {item!r} is unknown" in capsys.readouterr().err
    assert run(place, "similar", "107") == 0


def test_evaluate_leaves_out_what_the_model_does_not_know(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Text ids, and numbers that are no item's, change nothing but the count that is left out."""
    some = pl.read_csv(place / "log.csv").filter(pl.col("user_id") < 30)
    found = []
    for strange in ([], ["x"], ["0107", "+107", "107.0"], ["999"]):
        rows = some.cast({"item_id": pl.String})
        more = pl.concat([rows, *(rows[:1].with_columns(item_id=pl.lit(id)) for id in strange)])
        more.write_csv(tmp_path / "more.csv")
        words = ["--data", str(tmp_path / "more.csv"), "--json"]
        assert cli.main(["evaluate", *words, "--model", str(place / "model")]) == 0
        found.append(json.loads(capsys.readouterr().out))
        assert found[-1].pop("rows") == len(some) + len(strange)
        found[-1].pop("rows_not_later")
    assert found[0]["scored_rows"] == len(some)
    assert all(one == found[0] for one in found)


def test_evaluate_on_numbers_of_a_model_of_strings(
    csv: Path, trained: rg.TrainedModel, train_on: Callable[..., rg.TrainedModel], tmp_path: Path
) -> None:
    """A log of canonical numbers alone becomes one of integers, whatever the model holds."""
    named = pl.col("item_id").str.replace("P-13", "x").str.strip_prefix("P-")
    rows = pl.read_csv(csv).with_columns(named)
    rows.write_csv(tmp_path / "log.csv")
    mixed = train_on(data=str(tmp_path / "log.csv"))
    mixed.save(tmp_path / "model")
    assert mixed.item_ids.dtype == pl.String
    numbers = rows.filter(~pl.col("item_id").str.starts_with("x"))
    numbers.write_csv(tmp_path / "numbers.csv")
    data = {"user": "user_id", "item": "item_id", "time": "ts"}
    log = rg.BehaviorLog.from_frame(tmp_path / "numbers.csv", **data)
    assert log.item_ids.dtype == pl.Int64
    assert run(tmp_path, "evaluate", "--data", str(tmp_path / "numbers.csv")) == 0
    score = mixed.predict(["u01", "u01"], log.item_ids[:2])
    np.testing.assert_array_equal(score, mixed.predict(["u01", "u01"], ["100", "101"]))
