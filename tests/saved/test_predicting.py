"""Predictions for anybody: behaviours since training, users and items that the model is new to."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from polars.testing import assert_series_equal

import resemb_gnn as rg
from resemb_gnn import InputError, cli
from resemb_gnn.data.feature_rows import joined_rows, missing_rows
from resemb_gnn.saved.extended import knowing, with_new_items
from resemb_gnn.saved.new_log import LaterLog
from tests.shop import COLUMNS, CONTEXT, shop_settings

NEW_ITEM = pl.DataFrame({"article": ["B-1"], "brand": ["b1"], "price": [1.5], "tags": ["x"]})


@pytest.fixture(scope="module")
def later(later_shop: Path) -> rg.BehaviorLog:
    path = later_shop / "later.csv"
    return rg.BehaviorLog.from_frame(path, **COLUMNS, context=CONTEXT, list_separator="|")


def asked(later_shop: Path) -> pl.DataFrame:
    return pl.read_csv(later_shop / "later.csv").filter(pl.col("article") != "B-1")


def score(model: rg.TrainedModel, rows: pl.DataFrame, **options: Any) -> pl.Series:
    return model.predict(rows["shopper"], rows["article"], context=rows, **options)


def test_with_history_and_times_it_scores_as_evaluate_does(
    later_shop: Path, shop_model: rg.TrainedModel, later: rg.BehaviorLog
) -> None:
    examples = LaterLog.of(shop_model, later)
    logit = rg.predict(examples.trained.model, examples.examples)
    rows = pl.read_csv(later_shop / "later.csv")[later.rows.numpy()]
    rows = rows.filter(pl.col("article") != "B-1")
    found = score(shop_model, rows, history=later, times=rows["ts"])
    np.testing.assert_allclose(found, logit.sigmoid(), rtol=1e-5)
    assert not found.equals(score(shop_model, rows, history=later))
    before = score(shop_model, rows, history=later, times=[0] * len(rows))
    assert_series_equal(before, score(shop_model, rows, unknown="score"))


def test_a_user_without_a_history(trained: rg.TrainedModel, csv: Path) -> None:
    target, label = torch.tensor([3]), torch.ones(1)
    none = torch.tensor([], dtype=torch.long)
    batch = rg.Batch(none, torch.tensor([0, 0]), target, label, torch.tensor([0]))
    with torch.no_grad():
        expected = trained.model.eval()(batch).sigmoid()
    item = trained.item_ids[3]
    found = trained.predict(["nobody", "u01"], [item] * 2, unknown="score")
    np.testing.assert_allclose(found[0], expected.item(), rtol=1e-6)
    assert found[1] == trained.predict(["u01"], [item])[0]
    # Where there is a history, whoever it does not hold has none.
    names = {"user": "user_id", "item": "item_id", "time": "ts"}
    history = rg.BehaviorLog.from_frame(csv, **names)
    assert trained.predict(["nobody"], [item], history=history)[0] == found[0]
    named = pl.read_csv(csv).with_columns(user_id=pl.lit("somebody"))
    somebody = rg.BehaviorLog.from_frame(named, **names)
    assert trained.predict(["somebody"], [item], history=somebody)[0] != found[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "'new[0-9]' is unknown to the model"),
        ({"unknown": "error"}, "choose from refuse, skip, score"),
        ({"unknown": "score"}, "'B-1' is unknown .* needs their features"),
        ({"unknown": "score", "item_features": NEW_ITEM.drop("tags")}, "'tags'"),
        ({"unknown": "score", "item_features": NEW_ITEM.head(0)}, "no rows"),
        ({"times": [1, 2]}, "must be of one length"),
        ({"times": ["x"] * 200}, "not a time"),
    ],
)
def test_what_is_refused(
    options: dict[str, Any], message: str, later_shop: Path, shop_model: rg.TrainedModel
) -> None:
    with pytest.raises(InputError, match=message):
        score(shop_model, pl.read_csv(later_shop / "later.csv"), **options)


def test_unknown_items_without_features(trained: rg.TrainedModel) -> None:
    with pytest.raises(InputError, match=r"'P-7' is unknown .*, which knows no features of items"):
        trained.predict(["u01"], ["P-7"], unknown="score")


def test_skipped_are_unknown_items_alone_where_there_is_a_history(
    later_shop: Path, shop_model: rg.TrainedModel, later: rg.BehaviorLog
) -> None:
    rows = pl.read_csv(later_shop / "later.csv")
    is_new = rows["article"] == "B-1"
    found = score(shop_model, rows, history=later, unknown="skip")
    assert_series_equal(found.is_null(), is_new, check_names=False)
    without = score(shop_model, rows, unknown="skip")
    unknown = is_new | rows["shopper"].str.starts_with("new")
    assert_series_equal(without.is_null(), unknown, check_names=False)


@pytest.mark.parametrize("model", ["din", "wide-deep"])
def test_a_new_item_is_scored_as_one_of_its_features(model: str, later_shop: Path) -> None:
    """One whose own part is the mean of all, and that has the same features."""
    small = {"epochs": 1, "quiet": True, "embedding_dim": 4, "embedding": "plain", "model": model}
    trained = rg.train(**small | shop_settings(later_shop) | {"category": "article"})
    weight = trained.embedding.weight.data
    one = trained.item_ids.to_list().index("A-3")
    weight[one] = torch.cat([weight[:one], weight[one + 1 :]]).mean(0)
    categories = trained.model.category.embedding.weight.data
    categories[one] = torch.cat([categories[:one], categories[one + 1 :]]).mean(0)
    if model == "wide-deep":
        trained.model.item_bias.weight.data[one] = 0
        trained.model.item_crosses = trained.model.category_crosses = _Nothing()
    known = pl.read_csv(later_shop / "items.csv")
    same = known.filter(article="A-3").with_columns(article=pl.lit("B-1"))
    other = known.filter(article="A-4").with_columns(article=pl.lit("B-2"))
    rows = asked(later_shop).filter(pl.col("shopper").str.starts_with("s")).head(30)
    expected = score(trained, rows.with_columns(article=pl.lit("A-3")))
    options = {"unknown": "score", "item_features": pl.concat([same, other])}
    found = score(trained, rows.with_columns(article=pl.lit("B-1")), **options)
    torch.testing.assert_close(found.to_torch(), expected.to_torch(), rtol=1e-5, atol=1e-6)
    assert not score(trained, rows.with_columns(article=pl.lit("B-2")), **options).equals(found)
    # What is known is scored as ever, beside what is not.
    mixed = pl.concat([rows, rows.with_columns(article=pl.lit("B-2"))])
    torch.testing.assert_close(
        score(trained, mixed, **options)[:30].to_torch(), score(trained, rows).to_torch()
    )


class _Nothing(torch.nn.Module):
    """Crosses that say nothing: those of a new item fall on others' places."""

    def forward(self, item: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        return torch.zeros(1)


def test_a_graph_with_features_makes_centres_of_them(later_shop: Path) -> None:
    small = {"epochs": 1, "quiet": True, "embedding_dim": 4, "num_centers": 8, "folds": 2}
    settings = shop_settings(later_shop) | {"graph_features": ["brand"], "use_features": False}
    trained = rg.train(**small, **settings)
    brands = pl.DataFrame({"article": ["B-1", "B-2"], "brand": ["b1", "b2"]})
    table = trained.graph_features.encode(brands)
    expected = trained.embedding.embed_new(features=brands)
    found = with_new_items(trained, table).embedding.weight
    torch.testing.assert_close(found[-2:], expected)
    torch.testing.assert_close(found[:30], trained.embedding(torch.arange(30)))
    scores = trained.predict(["s01"] * 2, brands["article"], unknown="score", item_features=brands)
    assert scores.n_unique() == 2


def test_a_table_that_stays_is_not_encoded_anew(shop_model: rg.TrainedModel) -> None:
    own, before = shop_model.features, shop_model.model
    assert own is not None
    assert own.users is not None
    users = joined_rows([own.users, missing_rows(own.users)])
    found = knowing(shop_model, replace(own, users=users)).model
    assert found.known_users.size == before.known_users.size + 1
    assert found.known_items is before.known_items
    assert found.context is before.context


def test_features_of_new_users(later_shop: Path, shop_model: rg.TrainedModel) -> None:
    """As those of a known user who has done nothing."""
    rows = asked(later_shop).head(20)
    known = pl.read_csv(later_shop / "users.csv")
    own = shop_model.histories
    histories = type(own)(own.user_ids, own.items[:0], torch.zeros_like(own.ptr))
    empty = rg.TrainedModel(**vars(shop_model) | {"histories": histories})
    expected = score(empty, rows.with_columns(shopper=pl.lit("s01")))
    table = known.filter(shopper="s01").with_columns(shopper=pl.lit("x"))
    options = {"unknown": "score", "user_features": table}
    found = score(shop_model, rows.with_columns(shopper=pl.lit("x")), **options)
    torch.testing.assert_close(found.to_torch(), expected.to_torch(), rtol=1e-5, atol=1e-6)
    del options["user_features"]
    without = score(shop_model, rows.with_columns(shopper=pl.lit("x")), **options)
    assert not without.equals(found)


def test_the_command(
    later_shop: Path,
    shop_model: rg.TrainedModel,
    later: rg.BehaviorLog,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every column of the file stays, in its order, with what --history and --items tell."""
    rows = pl.read_csv(later_shop / "later.csv", infer_schema=False)
    rows.select(pl.lit("a,b").alias("more"), *reversed(rows.columns)).write_csv(
        tmp_path / "pairs.csv"
    )
    NEW_ITEM.write_csv(tmp_path / "new.csv")
    out = tmp_path / "scores.csv"
    words = ["predict", "--model", str(later_shop / "model"), "--quiet", "--out", str(out)]
    words += ["--data", str(tmp_path / "pairs.csv"), "--history", str(later_shop / "later.csv")]
    assert cli.main([*words, "--unknown", "score"]) == 2
    assert "--items" in capsys.readouterr().err
    more = ["--unknown", "score", "--items", str(tmp_path / "new.csv")]
    assert cli.main([*words, *more]) == 0
    found = pl.read_csv(out, infer_schema=False)
    assert found.columns == ["more", *reversed(rows.columns), "score"]
    assert found.drop("more", "score").equals(rows.select(reversed(rows.columns)))
    typed = pl.read_csv(later_shop / "later.csv")
    options = {"unknown": "score", "item_features": NEW_ITEM}
    expected = score(shop_model, typed, history=later, times=typed["ts"], **options)
    np.testing.assert_allclose(found["score"].cast(pl.Float64), expected, rtol=1e-5)
    # Dates are never before or after numbers.
    dated = rows.with_columns(ts=pl.lit("2024-05-01"))
    dated.write_csv(tmp_path / "pairs.csv")
    assert cli.main([*words, *more, "--replace"]) == 2
    assert "holds dates in one of" in capsys.readouterr().err
    typed.with_columns(score=1).write_csv(tmp_path / "pairs.csv")
    assert cli.main([*words, *more, "--replace"]) == 2
    assert "column 'score' of" in capsys.readouterr().err
    assert pl.read_csv(out, infer_schema=False).equals(found)


def test_what_no_csv_can_hold(
    later_shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = asked(later_shop).head(3).with_columns(more=pl.lit([1, 2]))
    rows.write_parquet(tmp_path / "pairs.parquet")
    words = ["predict", "--model", str(later_shop / "model"), "--quiet", "--unknown", "score"]
    words += ["--data", str(tmp_path / "pairs.parquet"), "--out"]
    assert cli.main([*words, str(tmp_path / "scores.csv")]) == 2
    assert "column 'more' of" in capsys.readouterr().err
    assert cli.main([*words, str(tmp_path / "scores.parquet")]) == 0
    assert pl.read_parquet(tmp_path / "scores.parquet").drop("score").equals(rows)
