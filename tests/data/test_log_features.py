import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from resemb_gnn import BehaviorLog, InputError
from resemb_gnn.data import extend_vocabulary

LOG = pl.DataFrame(
    {
        "who": ["bob", "ann", "bob", "ann", "cid", "ann"],
        "what": [2, 1, 1, 3, 2, 2],
        "when": [5, 3, 1, 2, 4, 9],
        "click": [1, 0, 1, 1, 0, 1],
        "tab": ["x", None, "y", "x", "x", "y"],
        "price": [1.5, 2.5, None, 4.5, 5.5, 6.5],
    }
)
ITEMS = pl.DataFrame(
    {
        "what": [3, 1, 4, 2],
        "brand": ["b", "a", "c", None],
        "tags": [["p", "q"], [], ["r"], ["q"]],
    }
)
USERS = pl.DataFrame({"who": ["cid", "bob", "ann"], "age": [30, None, 20]})


def read(log=LOG, **options):
    options = {"items": ITEMS, "users": USERS, "context": ["tab", "price"], **options}
    return BehaviorLog.from_frame(log, "who", "what", "when", label="click", **options)


def values(table):
    return table.decode().to_dict(as_series=False)


def test_tables_follow_the_numbers_of_the_log():
    log = read()
    assert log.item_ids.to_list() == [1, 2, 3]
    assert values(log.features.items) == {
        "brand": ["a", None, "b"],
        "tags": [None, ["q"], ["p", "q"]],
    }
    assert log.user_ids.to_list() == ["ann", "bob", "cid"]
    assert values(log.features.users) == {"age": [20, None, 30]}
    # ann at 2, 3 and 9, bob at 1 and 5, cid at 4.
    assert log.rows.tolist() == [3, 1, 5, 2, 0, 4]
    assert values(log.features.context) == {
        "tab": ["x", None, "y", "y", "x", "x"],
        "price": [4.5, 2.5, 6.5, None, 1.5, 5.5],
    }


@pytest.mark.parametrize("kind", ["csv", "tsv", "csv.gz", "parquet", "pandas", "lazy"])
def test_every_kind_of_table_is_read_alike(tmp_path, kind):
    def other(frame, name):
        if kind == "pandas":
            return frame.to_pandas()
        if kind == "lazy":
            return frame.lazy()
        path = tmp_path / f"{name}.{kind}"
        if kind == "parquet":
            frame.write_parquet(path)
            return path
        flat = [
            pl.col(column.name).list.join("|")
            for column in frame
            if isinstance(column.dtype, pl.List)
        ]
        options = {"separator": "\t" if kind == "tsv" else ",", "compression": "uncompressed"}
        if kind == "csv.gz":
            options["compression"] = "gzip"
        frame.with_columns(flat).write_csv(path, **options)
        return path

    log = read(
        other(LOG, "log"),
        items=other(ITEMS, "items"),
        users=other(USERS, "users"),
        list_separator="|",
        # pandas has decimal numbers of whole ones beside a missing one
        kinds={"age": "category"},
    )
    for (_, found), (_, want) in zip(log.features.tables(), read().features.tables(), strict=True):
        assert values(found) == values(want)
        assert [one.kind for one in found] == [one.kind for one in want]


def test_tables_may_be_chosen_from():
    log = read(item_features=["tags"], user_features=[], context=(), kinds={"tags": "list"})
    assert list(log.features.items.features) == ["tags"]
    assert log.features.users is None
    assert log.features.context is None
    assert BehaviorLog.from_frame(LOG, "who", "what", "when").features is None


def test_kinds_are_told_or_taken():
    log = read(kinds={"age": "numeric", "price": "category"})
    assert [one.kind for one in log.features.users] == ["numeric"]
    assert [one.kind for one in log.features.context] == ["category", "category"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"items": ITEMS.filter(pl.col("what") != 2)},
            r"the table of items \(the frame\), column 'what' lacks 2, .* \(1 of 3 such items\)",
        ),
        ({"users": USERS[:1]}, r"column 'who' lacks 'ann', .* \(2 of 3 such users\)"),
        (
            {"items": pl.concat([ITEMS, ITEMS[1:2]])},
            r"the table of items .*column 'what', row 1 \(from 0\): 1 comes twice",
        ),
        (
            {"items": ITEMS.rename({"what": "whatt"})},
            r"has no column 'what', the ids of the items .*did you mean whatt\?",
        ),
        ({"items": ITEMS.with_columns(what=None)}, r"column 'what', row 0 .*None is missing"),
        ({"items": ITEMS[:0]}, "the table of items, the frame holds no rows"),
        ({"items": "nowhere.csv"}, "the table of items, no such file: nowhere.csv"),
        ({"items": 3}, "the table of items, a table must be .* not 3"),
        (
            {"item_features": ["brnd"]},
            r"the table of items, the frame has no column 'brnd'; its columns are",
        ),
        ({"item_features": ["what"]}, "'what' holds the ids of the items and is no feature"),
        ({"users": None, "user_features": ["age"]}, "features of users are chosen, but there is"),
        (
            {"items": ITEMS.with_columns(pl.lit(b"x").alias("blob"))},
            r"the table of items .*column 'blob' holds Binary, which cannot be a feature",
        ),
        ({"context": ["who"]}, "'who' is named as context and for something else"),
        ({"context": ["what"]}, "'what' is named as context and for something else"),
        ({"context": ["when"]}, "'when' is named as context and for something else"),
        ({"context": ["click"]}, "'click' is named as context and for something else"),
        ({"context": ["tab", "tab"]}, "'tab' is named twice"),
        ({"context": ["tb"]}, "has no column 'tb'; its columns are"),
        ({"time_features": ["gap", "gap"]}, "'gap' is named twice among context and time"),
        ({"time_features": ["hours"]}, r"'hours' is unknown.*did you mean hour\?"),
        ({"time_features": ["hour"]}, "'hour' needs dates, but the log's times are plain numbers"),
        (
            {"users": USERS.with_columns(brand=pl.lit("z"))},
            "'brand' is a feature of items and of users: rename one",
        ),
        ({"users": USERS.rename({"age": "tab"})}, "'tab' is a feature of users and of context"),
        ({"kinds": {"brand": "text"}}, "kind 'text' of the feature 'brand' is unknown"),
        ({"kinds": {"brandd": "list"}}, r"kind is given for 'brandd'.*did you mean brand\?"),
        ({"list_separator": ""}, "the list separator is empty"),
    ],
)
def test_bad_input_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        read(**options)


def test_a_file_is_named(tmp_path):
    ITEMS.drop("tags").with_columns(w=pl.Series(["1", "2", "y", "4"])).write_csv(
        tmp_path / "items.csv"
    )
    with pytest.raises(
        InputError, match=r"items \(.*/items\.csv\), column 'w', line 4: .*no number"
    ):
        read(items=tmp_path / "items.csv", kinds={"w": "numeric"})


def test_parts_keep_the_features_of_their_rows():
    log = read()
    mask = torch.tensor([True, False, True, False, True, True])
    part = log.select(mask)
    assert part.rows.tolist() == [3, 5, 0, 4]
    assert values(part.features.context)["price"] == [4.5, 6.5, 1.5, 5.5]
    assert part.features.items is log.features.items
    assert part.features.users is log.features.users
    positives = log.positives()
    assert positives.rows.tolist() == [3, 5, 2, 0]
    assert values(positives.features.context)["tab"] == ["x", "y", "y", "x"]
    again = part.select(torch.tensor([False, True, True, False]))
    assert again.rows.tolist() == [5, 0]


def test_the_log_of_a_feature():
    log = read()
    brands = log.of("brand")
    # Brand a, b and c of the table; item 2 has none.
    assert brands.item_ids.to_list() == ["a", "b", "c"]
    assert brands.items.tolist() == [1, 0, 0]
    assert brands.rows.tolist() == [3, 1, 2]
    assert brands.ptr.tolist() == [0, 2, 3, 3]
    assert brands.times.tolist() == [2, 3, 1]
    assert brands.labels.tolist() == [1, 0, 1]
    assert values(brands.features.context)["price"] == [4.5, 2.5, None]
    assert brands.features.items is None
    tags = log.of("tags")
    assert tags.item_ids.to_list() == ["p", "q", "r"]
    assert tags.items.tolist() == [0, 1, 1, 1, 1]
    assert tags.rows.tolist() == [3, 3, 5, 0, 4]
    for name in ("age", "nothing"):
        with pytest.raises(InputError, match=rf"'{name}' is no category or list of the items"):
            log.of(name)
    with pytest.raises(InputError, match="'brand' is no category"):
        read(items=None).of("brand")


def long_log(labels=True, rate=0.4, **columns):
    rng = np.random.default_rng(3)
    frame = pl.DataFrame(
        {
            "who": rng.integers(0, 40, 1200),
            "what": rng.integers(0, 30, 1200),
            "when": rng.permutation(1200),
            "click": (rng.random(1200) < rate).astype(int),
            "tab": rng.choice(["x", "y", "z"], 1200),
            **columns,
        }
    )
    options = {"label": "click"} if labels else {}
    return frame, BehaviorLog.from_frame(
        frame, "who", "what", "when", context=["tab", *columns], **options
    )


def test_a_batch_knows_its_rows_of_the_table():
    frame, log = long_log()
    split = log.split(by="time")
    for part in (split.train, split.valid, split.test, split.train_sample):
        batch = part.batch(torch.arange(len(part)).flip(0)[:50])
        rows = frame[log.rows[batch.row].numpy()]
        assert rows["tab"].to_list() == values(batch.context)["tab"]
        assert rows["click"].to_list() == batch.label.tolist()
        assert log.item_ids.gather(batch.target.numpy()).to_list() == rows["what"].to_list()


def test_drawn_negatives_have_the_row_of_their_positive():
    frame, log = long_log(labels=False)
    split = log.split(num_negatives=3)
    for part in (split.train, split.valid, split.test, split.train_sample):
        batch = part.batch(torch.arange(len(part)))
        rows = batch.row.reshape(-1, 4)
        assert rows.equal(rows[:, :1].expand(-1, 4))
        assert batch.label.reshape(-1, 4).sum(dim=1).eq(1).all()
        fetched = frame[log.rows[batch.row].numpy()]
        assert fetched["tab"].to_list() == values(batch.context)["tab"]
        positive = batch.label > 0
        shown = log.item_ids.gather(batch.target.numpy()).to_numpy()
        assert (shown == fetched["what"].to_numpy())[positive.numpy()].all()


def test_a_log_comes_back_as_it_was_saved(tmp_path):
    rows = LOG.with_columns(
        new=pl.Series([True, None, False, True, True, False]),
        at=pl.Series(["2024-05-31", None] * 3).str.to_date(),
        none=pl.lit(None),
        vec=pl.Series([[1.0, 2.0], None] * 3, dtype=pl.Array(pl.Float32, 2)),
    )
    log = read(rows, context=["tab", "price", "new", "at", "none", "vec"], kinds={"at": "category"})
    # Codes of values that no vocabulary has come back, too.
    other = log.features.context.encode(rows.with_columns(tab=pl.lit("unseen")))
    log = BehaviorLog(**vars(log) | {"features": type(log.features)(
        log.features.items, log.features.users, other[log.rows])})  # fmt: skip
    for _ in range(2):  # also over itself
        log.save(tmp_path)
    found = BehaviorLog.load(tmp_path)
    assert found.rows.equal(log.rows)
    for (place, table), (name, want) in zip(
        found.features.tables(), log.features.tables(), strict=True
    ):
        assert place == name
        assert list(table.features) == list(want.features)
        for one, other in zip(table, want, strict=True):
            assert one.kind == other.kind
            assert one.values.dtype == other.values.dtype
            assert torch.equal(one.values.nan_to_num(7), other.values.nan_to_num(7))
            assert (one.ptr is None) == (other.ptr is None)
            if one.ptr is not None:
                assert torch.equal(one.ptr, other.ptr)
            if one.vocabulary is not None:
                assert one.vocabulary.equals(other.vocabulary, check_dtypes=True, check_names=True)
    found.split(by="time", valid_from=3, test_from=5)


def test_a_log_without_features_takes_the_place_of_one_with(tmp_path):
    read().save(tmp_path)
    plain = BehaviorLog.from_frame(LOG, "who", "what", "when")
    plain.save(tmp_path)
    assert BehaviorLog.load(tmp_path).features is None


def test_a_log_of_before_is_read_as_before(tmp_path):
    read(items=None, users=None, context=()).save(tmp_path)
    path = tmp_path / "behaviors.parquet"
    pl.read_parquet(path).drop("row").write_parquet(path)
    found = BehaviorLog.load(tmp_path)
    assert found.rows is None
    assert found.select(torch.arange(6) > 3).rows.tolist() == [4, 5]


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("items", {"feature:brand": [9, 0, 0]}, "parts of the feature 'brand' do not fit"),
        ("items", {"feature:brand": ["a", "a", "a"]}, "column 'feature:brand' holds no feature"),
        ("items", {"feature:tags": [[2], [None], [2]]}, "column 'feature:tags' holds no feature"),
        ("items", {"feature:tags": [[2], None, [2]]}, "column 'feature:tags' holds no feature"),
        ("items", {"feature:other": [2, 2, 2]}, r"vocabularies\.parquet has no column 'other'"),
        ("behaviors", {"feature:price": [None] * 6}, "column 'feature:price' holds no feature"),
        ("behaviors", {"row": [1.5] * 6}, "column 'row' does not hold whole numbers"),
        ("vocabularies", {"brand": [["a", "a"]]}, "column 'brand' holds a value twice"),
        ("vocabularies", {"brand": ["a"]}, "column 'brand' holds no vocabulary"),
    ],
)
def test_damaged_features_are_refused(tmp_path, file, change, message):
    read().save(tmp_path)
    path = tmp_path / f"{file}.parquet"
    columns = {name: pl.Series(value, strict=False) for name, value in change.items()}
    pl.read_parquet(path).with_columns(**columns).write_parquet(path)
    with pytest.raises(InputError, match=message):
        BehaviorLog.load(tmp_path)
    (tmp_path / "vocabularies.parquet").unlink()
    with pytest.raises(InputError, match=r"vocabularies|holds no feature|whole numbers"):
        BehaviorLog.load(tmp_path)


def test_features_of_others_are_refused():
    log = read()
    first = torch.arange(2)
    for name, message in (("items", "2 items, but there are 3"), ("users", "2 users, but"),
                          ("context", "2 context, but there are 6")):  # fmt: skip
        parts = dict(vars(log.features)) | {name: getattr(log.features, name)[first]}
        with pytest.raises(InputError, match=f"features of {message}"):
            BehaviorLog(**vars(log) | {"features": type(log.features)(**parts)})


def test_later_logs_keep_features_of_users_and_rows():
    log = read()
    found = extend_vocabulary(log, pl.Series([7, 3, 1]))
    assert found.features.items is None
    assert values(found.features.users) == values(log.features.users)
    assert values(found.features.context) == values(log.features.context)
    assert found.rows.equal(log.rows)
    assert extend_vocabulary(read(users=None, context=()), pl.Series([7])).features is None


def test_honest_data_are_read_without_a_warning():
    rng = np.random.default_rng(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for rate in (0.4, 0.02):
            long_log(
                rate=rate,
                many=rng.integers(0, 600, 1200),  # most values come twice
                number=rng.random(1200),
                words=pl.Series([["a"], ["b", "c"], []] * 400),
                often=[None if one else 1.0 for one in rng.random(1200) < 0.5],
            )
        read()
        BehaviorLog.from_frame(LOG, "who", "what", "when", category="what", label="click")


@pytest.mark.parametrize("name", ["code", "number", "less", "there", "words"])
def test_the_label_in_disguise_is_told(name):
    frame, _ = long_log()
    rng = np.random.default_rng(2)
    click = frame["click"].to_numpy()
    leak = {
        "code": np.where(click, "bought", "left"),
        "number": click + rng.random(1200),
        "less": -click + rng.random(1200),
        "there": [1.0 if one else None for one in click],  # such as the price that was paid
        "words": [["a"] if one else [] for one in click],
    }
    frame = frame.with_columns(pl.Series(name, leak[name]))
    with pytest.warns(UserWarning, match=rf"'{name}' of context tells the label") as caught:
        BehaviorLog.from_frame(frame, "who", "what", "when", label="click", context=["tab", name])
    assert [warning.filename for warning in caught] == [__file__]


def test_a_part_of_the_rows_is_enough(monkeypatch):
    monkeypatch.setattr("resemb_gnn.data.log_warnings._ENOUGH", 300)
    frame, _ = long_log()
    frame = frame.with_columns(code=pl.when(pl.col("click") == 1).then(pl.lit("a")))
    with pytest.warns(UserWarning, match="'code' of context tells the label"):
        BehaviorLog.from_frame(frame, "who", "what", "when", label="click", context=["code"])


def test_an_item_feature_that_is_the_label_is_told():
    frame, _ = long_log()
    frame = frame.with_columns(click=pl.col("what") % 2)
    items = pl.DataFrame({"what": range(30), "odd": [what % 2 for what in range(30)]})
    with pytest.warns(UserWarning, match="'odd' of items tells the label"):
        BehaviorLog.from_frame(frame, "who", "what", "when", label="click", items=items)


def test_a_category_that_differs_within_an_item_is_told():
    message = r"category 'tab' differs within 2 of 3 items \(66\.7%\).*context=\['tab'\]"
    with pytest.warns(UserWarning, match=message) as caught:
        BehaviorLog.from_frame(LOG, "who", "what", "when", category="tab")
    assert [warning.filename for warning in caught] == [__file__]


def test_the_example_of_the_docs_runs(capsys):
    docs = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
    (example,) = re.findall(r"```python\n(import polars as pl\n.*?)```", docs, flags=re.DOTALL)
    found: dict[str, Any] = {}
    exec(example, found)
    assert "('gap', 'numeric', 0.4" in capsys.readouterr().out
    log, clicks = found["log"], found["clicks"]
    assert values(log.features.context)["place"] == clicks[log.rows.numpy()]["place"].to_list()
    assert found["model"].known_items.dim > 0
