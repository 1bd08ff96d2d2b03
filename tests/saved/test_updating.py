"""A model goes on with later rows: what is kept, what is new, and what is refused."""

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from polars.testing import assert_series_equal

import resemb_gnn as rg
from resemb_gnn import InputError, cli
from resemb_gnn.graph import edge_list
from resemb_gnn.saved import updating
from tests.shop import COLUMNS, CONTEXT, add_makers, shop_settings

SMALL = {"epochs": 1, "folds": 2, "embedding_dim": 4, "quiet": True}


def read(frame: Path | pl.DataFrame, **more: Any) -> rg.BehaviorLog:
    options = {"context": CONTEXT, "list_separator": "|"}
    return rg.BehaviorLog.from_frame(frame, **COLUMNS, **options | more)


def one_by_one(shop: Path) -> pl.DataFrame:
    """The later rows, no two of one time."""
    return pl.read_csv(shop / "later.csv").with_columns(ts=2000 + pl.int_range(pl.len()))


def with_items(shop: Path, *new: str, **values: str) -> pl.DataFrame:
    """The table of items with new ones, whose features are those of items 0, 1 and on; the values
    by name are of the first of them.
    """
    items = pl.read_csv(shop / "items.csv")
    more = items[: len(new)].with_columns(article=pl.Series(new))
    known = {name: value for name, value in values.items() if name in items.columns}
    first = more[:1].with_columns(pl.lit(value).alias(name) for name, value in known.items())
    return pl.concat([items, first, more[1:]])


def scores(trained: rg.TrainedModel, rows: pl.DataFrame) -> pl.Series:
    pairs = rows["shopper"], rows["article"]
    return trained.predict(*pairs, context=rows.select(CONTEXT), unknown="skip")


@pytest.fixture(scope="module")
def updated(later_shop: Path, shop_model: rg.TrainedModel) -> rg.TrainedModel:
    return shop_model.update(read(one_by_one(later_shop)), name="later.csv")


def test_the_graph_holds_every_covisit_with_a_new_row_by_a_loop(
    later_shop: Path, shop_model: rg.TrainedModel, updated: rg.TrainedModel
) -> None:
    expected: Counter[tuple[str, str]] = Counter()
    for pair in zip(*(part.tolist() for part in edge_list(shop_model.graph)), strict=True):
        ends = sorted(shop_model.item_ids[int(end)] for end in pair[:2])
        expected[ends[0], ends[1]] += int(pair[2])
    clicks = one_by_one(later_shop).filter(click=1)
    counts = dict(zip(shop_model.item_ids, shop_model.graph.count.tolist(), strict=True))
    for user in updated.histories.user_ids:
        known = shop_model.histories.user_ids.index_of(user)
        own = [] if known is None else shop_model.histories.of_user(known).tolist()
        old = [shop_model.item_ids[item] for item in own]
        every = old + clicks.filter(shopper=user).sort("ts")["article"].to_list()
        for place in range(len(old), len(every)):
            counts[every[place]] = counts.get(every[place], 0) + 1
            for before in range(max(0, place - 5), place):
                if every[before] != every[place]:
                    ends = sorted([every[before], every[place]])
                    expected[ends[0], ends[1]] += 1
    found = {}
    for pair in zip(*(part.tolist() for part in edge_list(updated.graph)), strict=True):
        ends = sorted(updated.item_ids[int(end)] for end in pair[:2])
        found[ends[0], ends[1]] = int(pair[2])
    assert found == dict(expected)
    count = dict(zip(updated.item_ids, updated.graph.count.tolist(), strict=True))
    assert count == {item: counts.get(item, 0) for item in updated.item_ids}


def test_the_graph_of_values_holds_every_covisit_with_a_new_row_by_a_loop(
    later_shop: Path, tmp_path: Path
) -> None:
    """Items without a value stand between others, and count as no places."""
    for path in later_shop.glob("*.csv"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    add_makers(tmp_path)
    trained = rg.train(**shop_settings(tmp_path) | SMALL | {"embed": ["maker=gcn"]})
    rows = one_by_one(tmp_path).filter(pl.col("article") != "B-1")
    updated = trained.update(read(rows), epochs=0)
    values = updated.features.items.features["maker"].decode()
    maker = dict(zip(updated.item_ids, values, strict=True))
    place = {word: at for at, word in enumerate(values.drop_nulls().unique().sort())}
    size = len(place)
    before, after = (
        torch.zeros(size, size).index_put((source, target), weight.float())
        for source, target, weight in (
            edge_list(one.feature_graphs["maker"]) for one in (trained, updated)
        )
    )
    expected = torch.zeros_like(before)
    clicks = rows.filter(click=1)
    for user in updated.histories.user_ids:
        known = trained.histories.user_ids.index_of(user)
        own = [] if known is None else trained.histories.of_user(known).tolist()
        old = [word for item in own if (word := maker[trained.item_ids[item]]) is not None]
        new = clicks.filter(shopper=user).sort("ts")["article"]
        every = old + [word for item in new if (word := maker[item]) is not None]
        for one in range(len(old), len(every)):
            for other in range(max(0, one - 5), one):
                source, target = sorted([place[every[one]], place[every[other]]])
                expected[source, target] += source != target
    assert torch.equal(after - before, expected)


def test_what_was_known_scores_as_before_where_nothing_touches_it(
    later_shop: Path, shop_model: rg.TrainedModel
) -> None:
    """New users act on new items alone, and nothing is trained."""
    rows = one_by_one(later_shop).with_columns(
        pl.lit("new").alias("shopper") + pl.col("ts").mod(7).cast(pl.String),
        pl.lit("C-").alias("article") + pl.col("ts").mod(5).cast(pl.String),
    )
    found = shop_model.update(read(rows), epochs=0)
    asked = pl.read_csv(later_shop / "log.csv")
    before, after = scores(shop_model, asked), scores(found, asked)
    assert_series_equal(before, after, rel_tol=1e-5, abs_tol=1e-6)
    assert found.item_ids[:-5].equals(shop_model.item_ids)
    assert found.facts["figures"]["test"] == found.facts["figures"]["untrained"]


def test_new_users_and_items_are_scored_and_recommended_and_the_old_model_stays(
    later_shop: Path, shop_model: rg.TrainedModel
) -> None:
    asked = one_by_one(later_shop)
    state = {name: value.clone() for name, value in shop_model.model.state_dict().items()}
    before = scores(shop_model, asked)
    found = shop_model.update(read(asked), lr=0.01, epochs=2)
    assert scores(found, asked).null_count() == 0 < before.null_count()
    assert_series_equal(scores(shop_model, asked), before, check_exact=True)
    for name, value in shop_model.model.state_dict().items():
        assert torch.equal(value, state[name]), name
    context = {"position": "top", "coupons": "c1", "delay": 1.0}
    best = found.recommend(["new0"], k=31, context=context, include_seen=True)
    assert "B-1" in best["item"]
    seen = asked.filter(shopper="new0", click=1).sort("ts")["article"].to_list()
    own = found.histories.of_user(found.histories.user_ids.index_of("new0"))
    assert found.item_ids.gather(own.numpy()).to_list() == seen


def test_nothing_of_the_rows_that_test_reaches_what_validates(
    later_shop: Path, shop_model: rg.TrainedModel
) -> None:
    rows = one_by_one(later_shop)
    newest = pl.int_range(pl.len()) >= pl.len() - pl.len() // 10
    other = rows.with_columns(click=pl.when(newest).then(1 - pl.col("click")).otherwise("click"))
    both = [shop_model.update(read(one)).facts["figures"] for one in (rows, other)]
    assert both[0]["valid"] == both[1]["valid"]
    assert both[0]["test"] != both[1]["test"]


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"embedding": "gcn:staged", "graph_features": ["brand", "price"], "model": "wide-deep"},
        {"embed": ["maker=gcn"], "embedding": "average", "num_centers": 4},
    ],
)
def test_a_second_update_of_what_was_saved_is_that_of_what_is_in_memory(
    more: dict[str, Any], later_shop: Path, tmp_path: Path
) -> None:
    for path in later_shop.glob("*.csv"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    add_makers(tmp_path)
    trained = rg.train(**shop_settings(tmp_path) | SMALL | more)
    rows = one_by_one(tmp_path)
    shown = rows[:100].with_columns(pl.col("position").replace("low", "banner"))
    shown = shown.with_columns(pl.col("coupons").str.replace("c1", "c1|c8", literal=True))
    table = with_items(tmp_path, "B-1", "D-1", brand="b8", maker="m8")
    first = trained.update(read(shown, items=table))
    first.save(tmp_path / "first")
    loaded = rg.load(tmp_path / "first")
    assert_series_equal(scores(loaded, shown), scores(first, shown), check_exact=True)
    # A second day has values of its own.
    later = rows[100:].with_columns(
        pl.col("article").replace("A-2", "D-1"),
        pl.col("position").replace({"mid": "banner", "top": "footer"}),
    )
    table = with_items(tmp_path, "D-1", "B-1", brand="b9", maker="m9")
    second, again = (one.update(read(later, items=table)) for one in (first, loaded))
    assert_series_equal(scores(second, later), scores(again, later), check_exact=True)
    assert second.facts["data"]["updates"] == 2
    sizes = {one["name"]: one for one in second.facts["data"]["features"]}
    assert sizes["position"]["num_fitted"] + 2 == sizes["position"]["num_values"]
    second.save(tmp_path / "second")
    again.save(tmp_path / "again")
    for path in (tmp_path / "second").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name


def test_items_without_a_click_are_told_apart_by_their_features(
    later_shop: Path,
) -> None:
    settings = shop_settings(later_shop) | SMALL | {"graph_features": ["brand", "price"]}
    trained = rg.train(**settings)
    rows = one_by_one(later_shop)
    shown = rows[:3].with_columns(
        article=pl.Series(["E-0", "E-1", "E-2"]), click=pl.lit(0, pl.Int64)
    )
    table = with_items(later_shop, "E-0", "E-1", "E-2", "B-1")
    found = trained.update(read(pl.concat([rows, shown]), items=table))
    new = torch.tensor([found.item_ids.index_of(f"E-{one}") for one in range(3)])
    assert found.graph.count[new].tolist() == [0, 0, 0]
    vectors = found.embedding(new)
    assert torch.cdist(vectors, vectors).fill_diagonal_(1).min() > 1e-3
    blind = trained.update(read(pl.concat([rows, shown])))
    vectors = blind.embedding(new)
    assert torch.cdist(vectors, vectors).max() < 1e-6


def test_a_log_without_labels_repeats_old_behaviours_and_takes_new_categories(
    csv: Path, trained: rg.TrainedModel, tmp_path: Path
) -> None:
    rows = (
        pl.read_csv(csv)
        .sort("ts")
        .tail(120)
        .with_columns(
            pl.col("ts").str.replace("1970", "1971"),
            pl.col("item_id").str.replace("P-100", "P-new"),
            category=pl.when(pl.col("item_id") == "P-100").then(pl.lit("c9")).otherwise("category"),
        )
    )
    columns = {"user": "user_id", "item": "item_id", "time": "ts", "category": "category"}
    log = rg.BehaviorLog.from_frame(rows, **columns)
    found = trained.update(log)
    assert found.facts["data"]["split"]["replayed"] == 96
    assert trained.update(log, replay=0.5).facts["data"]["split"]["replayed"] == 48
    assert found.item_ids.to_list()[-1] == "P-new"
    assert found.category_ids is not None
    assert found.category_ids[int(found.item_category[-1])] == "c9"
    found.save(tmp_path / "model")
    loaded = rg.load(tmp_path / "model")
    pairs = rows["user_id"], rows["item_id"]
    assert_series_equal(loaded.predict(*pairs), found.predict(*pairs), check_exact=True)


def test_an_update_that_fails_leaves_nothing(
    later_shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name: path.read_bytes() for path in (later_shop / "model").iterdir()}

    def fail(*args: Any, **options: Any) -> None:
        raise InputError("the disk is full")

    flags = ["--model", str(later_shop / "model"), "--data", str(later_shop / "later.csv")]
    flags += ["--out", str(tmp_path / "out"), "--quiet"]
    for place in ("resemb_gnn.saved.updating.fit_with", "resemb_gnn.saved.saving.model_card"):
        with monkeypatch.context() as patch:
            patch.setattr(place, fail)
            assert cli.main(["update", *flags]) == 2
        assert not list(tmp_path.iterdir())
    assert before == {path.name: path.read_bytes() for path in (later_shop / "model").iterdir()}


def test_the_command_writes_what_the_method_returns(
    later_shop: Path,
    shop_model: rg.TrainedModel,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = tmp_path / "later.csv"
    rows = pl.read_csv(later_shop / "later.csv")
    rows.with_columns(pl.col("position").replace("low", "banner")).write_csv(data)
    flags = ["--model", str(later_shop / "model"), "--data", str(data)]
    flags += ["--out", str(tmp_path / "out"), "--lr", "0.01", "--seed", "3"]
    assert cli.main(["update", *flags]) == 0
    said = capsys.readouterr()
    assert "epoch 1 of 1; 10 new users and 1 new items" in said.out
    assert "\nnew values of features: position 1.\n" in said.out
    assert said.err.count("are not later than the training's") == 0
    expected = shop_model.update(read(data), lr=0.01, seed=3, name="later.csv")
    expected.save(tmp_path / "expected")
    for path in (tmp_path / "out").iterdir():
        assert path.read_bytes() == (tmp_path / "expected" / path.name).read_bytes(), path.name
    assert cli.main(["update", *flags]) == 2
    assert "out holds a model" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"embedding": "gat"}, "an update cannot change 'embedding'"),
        ({"replay": 1.0}, "keeps clicks and no impressions"),
        ({"epochs": -1}, "epochs must be finite and at least 0, not -1"),
        ({"replay": math.inf}, "replay must be finite and at least 0, not inf"),
        ({"lr": 0.0}, "lr must be above 0"),
    ],
)
def test_an_option_is_refused(
    options: dict[str, Any], message: str, later_shop: Path, shop_model: rg.TrainedModel
) -> None:
    with pytest.raises(InputError, match=message):
        shop_model.update(read(later_shop / "later.csv"), **options)


def test_the_last_time_that_a_model_knows_does_not_go_back(
    later_shop: Path, shop_model: rg.TrainedModel
) -> None:
    rows = one_by_one(later_shop)
    assert shop_model.facts["data"]["log_until"] == 1499
    for shift, until in ((0, 2199), (-1000, 1499)):
        log = read(rows.with_columns(pl.col("ts") + shift))
        assert shop_model.update(log, epochs=0).facts["data"]["log_until"] == until


def test_a_log_of_another_kind_is_refused(later_shop: Path, shop_model: rg.TrainedModel) -> None:
    rows = one_by_one(later_shop)
    columns = {name: column for name, column in COLUMNS.items() if name != "label"}
    clicks = rg.BehaviorLog.from_frame(rows, **columns)
    with pytest.raises(InputError, match=r"training's log had labels, but day\.csv has none"):
        shop_model.update(clicks, name="day.csv")
    with pytest.raises(InputError, match="the log lacks the context"):
        shop_model.update(read(rows, context=()))
    log = read(rows)
    with pytest.raises(InputError, match=r"day\.csv holds no rows"):
        shop_model.update(log.select(log.items < 0), name="day.csv")
    with pytest.raises(InputError, match="leaves no training example"):
        shop_model.update(read(rows[:2]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"embedding": "plain"}, "embedding plain cannot be updated: it has no centres"),
        ({"embedding": "plain:count"}, "plain:count cannot be updated: its node features are made"),
        ({"embedding": "category"}, "category cannot be updated: its centres are the items'"),
        ({"graph": "permuted"}, "graph=permuted: the control of a comparison"),
    ],
)
def test_what_cannot_be_updated_is_refused(
    settings: dict[str, Any], message: str, train_on: Callable[..., rg.TrainedModel]
) -> None:
    trained = train_on(**settings)
    with pytest.raises(InputError, match=message):
        updating.refuse_what_cannot_be_updated(trained)
