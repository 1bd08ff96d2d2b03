"""Values of features that come with a later day: learnt, kept, saved and served."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from polars.testing import assert_series_equal

import resemb_gnn as rg
from resemb_gnn import InputError
from resemb_gnn.data.feature_rows import code_table
from resemb_gnn.serving.scorer import Scorer
from resemb_gnn.training.metrics import auc
from tests.saved.test_updating import one_by_one, read, scores, with_items
from tests.shop import CONTEXT

QUICK = {"epochs": 3, "lr": 0.01, "batch_size": 16}


def second_day(shop: Path) -> pl.DataFrame:
    """Two new positions, one of which is clicked and the other is not, and a new coupon."""
    place = pl.int_range(pl.len()) % 3
    rows = one_by_one(shop).with_columns(
        position=pl.when(place == 0)
        .then(pl.lit("banner"))
        .when(place == 1)
        .then(pl.lit("footer"))
        .otherwise("position"),
        coupons=pl.col("coupons").str.replace("c3", "c9"),
    )
    clicked = pl.when(place < 2).then((place == 0).cast(pl.Int64)).otherwise("click")
    return rows.with_columns(click=clicked)


def auc_of(found: pl.Series, rows: pl.DataFrame) -> float:
    known = found.is_not_null()  # not of a user who comes later still
    return auc(found.filter(known).to_torch(), rows["click"].filter(known).to_torch())


@pytest.fixture(scope="module")
def updated(later_shop: Path, shop_model: rg.TrainedModel) -> rg.TrainedModel:
    rows = second_day(later_shop)[:150]
    table = with_items(later_shop, "B-1", brand="b8")
    return shop_model.update(read(rows, items=table), **QUICK)


def test_a_new_value_that_decides_clicks_is_learnt(
    later_shop: Path, shop_model: rg.TrainedModel, updated: rg.TrainedModel
) -> None:
    rows = second_day(later_shop)[150:].filter(pl.col("position").is_in(["banner", "footer"]))
    never = rows.with_columns(position=pl.lit("never"))
    before = scores(shop_model, rows)
    assert_series_equal(before, scores(shop_model, never), check_exact=True)
    blind = auc_of(scores(updated, never), rows)
    assert auc_of(scores(updated, rows), rows) > 0.95 > 0.75 > blind
    # Recommendations know it, too.
    context = {"coupons": "c9", "delay": 1.0}
    best, worst = (
        updated.recommend(["s01"], k=1, context=context | {"position": one})["score"][0]
        for one in ("banner", "footer")
    )
    assert best > worst + 0.2


def test_what_is_known_stays_to_the_bit_before_the_training(
    later_shop: Path, shop_model: rg.TrainedModel
) -> None:
    rows = second_day(later_shop)
    table = with_items(later_shop, "B-1", brand="b8")
    vocabularies = {one.name: one.vocabulary for one in shop_model.features.context}
    found = shop_model.update(read(rows, items=table), epochs=0)
    old, new = shop_model.model, found.model
    assert old.value_sizes == [4, 4, 11, 5]  # brand, country, age, position
    assert new.value_sizes == [5, 4, 11, 7]
    every = torch.cartesian_prod(*(torch.arange(size) for size in old.value_sizes))
    assert torch.equal(new.value_weights(every), old.value_weights(every))
    key = torch.arange(len(rows))
    ours, theirs = (
        one.model.context(one.features.context.encode(rows.select(CONTEXT), "|"), key)
        for one in (shop_model, found)
    )
    assert torch.equal(ours, theirs)  # the new ones are still unknown: nothing was trained
    ids = torch.arange(len(shop_model.item_ids))
    assert torch.equal(new.known_items(ids), old.known_items(ids))
    assert vocabularies.keys() == {one.name for one in shop_model.features.context}
    for one in shop_model.features.context:
        assert one.vocabulary is vocabularies[one.name]


def test_the_exported_scorer_knows_new_values(later_shop: Path, updated: rg.TrainedModel) -> None:
    table = code_table(updated.features.context)
    position = dict(table.filter(feature="position").select("value", "code").iter_rows())
    assert position == {"low": 2, "mid": 3, "top": 4, "banner": 5, "footer": 6}
    scorer = Scorer(updated.model, updated.features.context)
    rows = second_day(later_shop)[150:].filter(pl.col("position") == "banner")
    context = updated.features.context.encode(rows.select(CONTEXT), "|").features
    user = [updated.histories.user_ids.index_of(one) for one in rows["shopper"]]
    examples = updated.histories.examples(
        torch.tensor(user),
        torch.tensor([updated.item_ids.index_of(one) for one in rows["article"]]),
    )
    batch = examples.batch(torch.arange(len(rows)), updated.settings.max_history)
    values: dict[str, Any] = {name: one.values for name, one in context.items()}
    values["coupons.ptr"] = context["coupons"].ptr
    found = scorer(batch.history, batch.ptr, batch.target, batch.user, values).sigmoid()
    expected = scores(updated, rows).to_torch()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_what_a_folder_says_of_new_values_is_checked(
    updated: rg.TrainedModel, shop_model: rg.TrainedModel, tmp_path: Path
) -> None:
    updated.save(tmp_path / "model")
    assert "| position | context | category | 5 |" in (tmp_path / "model/README.md").read_text()
    (tmp_path / "model" / "model.sha256").unlink()
    path = tmp_path / "model" / "settings.json"
    contents = json.loads(path.read_text())
    found = {one["name"]: one for one in contents["data"]["features"]}
    numbers = {name: one["num_fitted"] for name, one in found.items() if "num_fitted" in one}
    assert numbers == {"brand": 2, "position": 3, "coupons": 3}
    for number, message in (
        (5, r"settings\.json, num_fitted of the feature 'position' does not fit its 5 values: 5"),
        ("3", "does not fit its 5 values: '3'"),
        (2, "belong to features of other names, kinds or values"),
    ):
        found["position"]["num_fitted"] = number
        path.write_text(json.dumps(contents))
        with pytest.raises(InputError, match=message):
            rg.load(tmp_path / "model")
    # Of a model without new values nothing is told, as before there were any.
    shop_model.save(tmp_path / "old")
    assert "num_fitted" not in (tmp_path / "old" / "settings.json").read_text()
