"""Saved models with features: what is loaded is what was saved, and damage is named."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_series_equal

import resemb_gnn as rg
from resemb_gnn import InputError
from resemb_gnn.data.feature_rows import rows_of, table_digest
from resemb_gnn.data.features import FeatureTable, read_features
from resemb_gnn.io.saved_table import read_saved, write_saved
from resemb_gnn.settings.names import MODELS
from tests.shop import CONTEXT, shop_settings, write_shop

BRAND = "feature:brand"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    write_shop(folder)
    return folder


def train(shop: Path, **settings: Any) -> rg.TrainedModel:
    small = {"epochs": 1, "quiet": True, "embedding_dim": 4, "embedding": "plain"}
    return rg.train(**small | shop_settings(shop) | settings)


@pytest.fixture(scope="module")
def trained(shop: Path) -> rg.TrainedModel:
    return train(shop)


@pytest.fixture
def folder(trained: rg.TrainedModel, tmp_path: Path) -> Path:
    trained.save(tmp_path / "model")
    (tmp_path / "model" / "model.sha256").unlink()  # so that damage gets past it
    return tmp_path / "model"


def asked(shop: Path) -> dict[str, Any]:
    table = pl.read_csv(shop / "log.csv").head(30)
    context = table.select(CONTEXT)
    odd = pl.DataFrame({"position": ["side", None], "coupons": ["c9", None], "delay": [1e9, None]})
    context = pl.concat([odd, context[2:]])
    return {"users": table["shopper"], "items": table["article"], "context": context}


@pytest.mark.parametrize("model", MODELS)
def test_every_model_comes_back_to_the_bit(model: str, shop: Path, tmp_path: Path) -> None:
    trained = train(shop, model=model, widths=None if model == "pnn" else ["brand=3"])
    trained.save(tmp_path / "model")
    loaded = rg.load(tmp_path / "model")
    before, after = trained.model.state_dict(), loaded.model.state_dict()
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert torch.equal(value, after[name]), name
    both = (one.predict(**asked(shop)) for one in (trained, loaded))
    assert_series_equal(*both, check_exact=True)
    for (name, saved), (other, read) in zip(
        trained.features.tables(), loaded.features.tables(), strict=True
    ):
        assert name == other
        assert table_digest(saved) == table_digest(read)
    loaded.save(tmp_path / "again")
    for path in (tmp_path / "model").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name


def test_equal_runs_save_equal_files(trained: rg.TrainedModel, shop: Path, tmp_path: Path) -> None:
    trained.save(tmp_path / "one")
    train(shop).save(tmp_path / "two")
    names = {path.name for path in (tmp_path / "one").iterdir()}
    assert {"context.parquet", "vocabularies.parquet"} < names
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_card_and_digests_cover_the_features(trained: rg.TrainedModel, tmp_path: Path) -> None:
    trained.save(tmp_path / "model")
    card = (tmp_path / "model" / "README.md").read_text()
    assert "| brand | items | category | 2 | 33.3% |" in card
    assert "with the columns position, coupons, delay." in card
    for name in ("items", "histories", "context", "vocabularies"):
        path = tmp_path / "model" / f"{name}.parquet"
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(InputError, match=f"{name}.parquet is damaged"):
            rg.load(tmp_path / "model")
        path.write_bytes(content)


def test_a_model_without_use_of_them_has_no_such_files(shop: Path, tmp_path: Path) -> None:
    trained = train(shop, use_features=False)
    trained.save(tmp_path / "model")
    assert not (tmp_path / "model" / "vocabularies.parquet").exists()
    assert "feature:brand" not in pl.read_parquet(tmp_path / "model" / "items.parquet").columns
    rows = asked(shop)
    del rows["context"]
    both = (one.predict(**rows) for one in (trained, rg.load(tmp_path / "model")))
    assert_series_equal(*both, check_exact=True)


def rewritten(path: Path, change: Any) -> None:
    write_saved(change(read_saved(path)), path)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("vocabularies", None, "vocabularies.parquet"),
        ("context", None, "weights.safetensors is damaged or does not fit"),
        ("histories", lambda t: t.drop("feature:age"), "weights.safetensors"),
        ("items", lambda t: t.with_columns(pl.lit(9).cast(pl.Int64).alias(BRAND)), "do not fit"),
        ("items", lambda t: t.cast({BRAND: pl.Int8}), "items.parquet.*'feature:brand' holds no"),
        ("vocabularies", lambda t: t.drop("tags"), "vocabularies.parquet.*'tags'"),
        ("vocabularies", lambda t: pl.concat([t, t]), "holds no vocabulary"),
        ("vocabularies", lambda t: t.with_columns(brand=pl.lit(["b1", "b1"])), "a value twice"),
        ("vocabularies", lambda t: t.with_columns(brand=pl.lit(["b", "c", "d"])), "weights.safet"),
    ],
)
def test_files_that_do_not_fit(name: str, change: Any, message: str, folder: Path) -> None:
    path = folder / f"{name}.parquet"
    if change is None:
        path.unlink()
    else:
        rewritten(path, change)
    with pytest.raises(InputError, match=message):
        rg.load(folder)


@pytest.mark.parametrize(
    ("context", "message"),
    [
        (None, "was trained with context: give a frame with .*'position'"),
        (pl.DataFrame({"position": ["top"]}), "'coupons'|'delay'"),
        (pl.DataFrame({"position": [["top"]], "coupons": "", "delay": 1.0}), "'position' holds"),
        (pl.DataFrame({"position": ["top"], "coupons": 3, "delay": 1.0}), "'coupons' holds"),
        (pl.DataFrame({"position": ["top"], "coupons": "", "delay": "x"}), "row 0 .* no number"),
        (pl.DataFrame({"position": ["top"] * 2, "coupons": "", "delay": 1.0}), "one length"),
    ],
)
def test_context_that_does_not_fit(context: Any, message: str, trained: rg.TrainedModel) -> None:
    with pytest.raises(InputError, match=message):
        trained.predict(["s01"], ["A-1"], context=context)


def test_rows_without_an_unknown_pair_keep_their_context(
    trained: rg.TrainedModel, shop: Path
) -> None:
    rows = asked(shop)
    some = rows | {"users": rows["users"].set(pl.Series([True] + [False] * 29), "nobody")}
    expected = trained.predict(**rows)
    found = trained.predict(**some, unknown="skip")
    assert found[0] is None
    torch.testing.assert_close(found[1:].to_torch(), expected[1:].to_torch())


VALUES = st.one_of(st.none(), st.sampled_from(["a", "b", "c", "ü|"]))


@given(
    words=st.lists(VALUES, min_size=1, max_size=8),
    more=st.lists(VALUES, min_size=1, max_size=8),
    draw=st.data(),
)
def test_rows_by_a_loop(words: list[Any], more: list[Any], draw: st.DataObject) -> None:
    """What the other table says goes first, then the own one; values that it does not know count
    as unknown, and ids of neither as missing.
    """
    own, other = table_of(words), table_of(more)
    ids = draw.draw(st.lists(st.integers(0, 20), min_size=1, max_size=10, unique=True))
    others = list(range(3, 3 + len(more)))
    found = rows_of(
        own, pl.Series(range(len(words))), pl.Series(ids), other, pl.Series(others)
    ).decode()
    known = set(words)
    expected = []
    for one in ids:
        if one in others:
            word = more[one - 3]
            expected.append(word if word in known else None)
        else:
            expected.append(words[one] if one < len(words) else None)
    assert found["word"].to_list() == expected
    lists = [None if word is None else [word, word] for word in expected]
    assert found["list"].to_list() == lists


def table_of(words: list[Any]) -> FeatureTable:
    column = pl.Series("word", words, dtype=pl.String)
    number = column.str.len_bytes().cast(pl.Float32)
    frame = pl.DataFrame([column]).with_columns(
        pl.concat_list("word", "word").alias("list"),
        number.alias("number"),
        pl.Series("vector", [[1.0, 2.0]] * len(words), dtype=pl.Array(pl.Float32, 2)),
    )
    return read_features(frame, frame.columns)


def test_a_digest_tells_words_values_and_names_apart() -> None:
    frames = [
        pl.DataFrame({"a": ["x", "y"]}),
        pl.DataFrame({"a": ["y", "x"]}),
        pl.DataFrame({"a": ["x", "z"]}),
        pl.DataFrame({"b": ["x", "y"]}),
        pl.DataFrame({"a": [["x"], ["y"]]}),
        pl.DataFrame({"a": [0.5, None]}),
    ]
    found = [table_digest(read_features(frame, frame.columns)) for frame in frames]
    assert len(set(found)) == len(frames)
    assert found[0] == table_digest(read_features(frames[0], ["a"]))
