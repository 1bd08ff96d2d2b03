"""A shop with an item that nobody has acted on yet, whose features give it a place."""

import json
import re
from pathlib import Path

import polars as pl
import pytest
import torch

import resemb_gnn as rg
from resemb_gnn import InputError, cli
from resemb_gnn.saved.layout import CONTENT
from tests.shop import shop_flags, shop_settings, write_shop

SMALL = ["--epochs", "1", "--folds", "2", "--embedding-dim", "4", "--quiet"]
NEW = 29  # A-9 in the order of the ids
NAMES = ["brand", "price", "tags"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables, where item A-9 comes last and is not clicked."""
    folder = tmp_path_factory.mktemp("shop")
    write_shop(folder)
    log = pl.read_csv(folder / "log.csv")
    clicked = pl.when(pl.col("article") == "A-9").then(0).otherwise(pl.col("click"))
    log.with_columns(click=clicked).write_csv(folder / "log.csv")
    return folder


def fitted(shop: Path, out: Path, *more: str) -> rg.TrainedModel:
    flags = ["fit", *shop_flags(shop), *SMALL, "--replace", "--out", str(out), *more]
    assert cli.main(flags) == 0
    return rg.load(out)


@pytest.fixture(scope="module")
def model(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> rg.TrainedModel:
    return fitted(shop, tmp_path_factory.mktemp("model") / "m", "--graph-features", *NAMES)


def rows(shop: Path, *numbers: int) -> pl.DataFrame:
    """Rows of items.csv with lists as lists."""
    table = pl.read_csv(shop / "items.csv")[list(numbers)].drop("article")
    return table.with_columns(pl.col("tags").str.split("|"))


def test_an_item_without_co_visits_has_its_own_centres(
    shop: Path, model: rg.TrainedModel, tmp_path: Path
) -> None:
    assert model.item_ids[NEW] == "A-9"
    degree = model.graph.edge_index[1].bincount(minlength=30)
    assert int(degree[NEW]) == 0
    assert int(degree.sum()) > 0
    assert model.graph.x.size(1) == 32 + 2 + 2 + 3  # two brands, price and its lack, three tags
    assert bool(model.graph.x[NEW, :31].any())
    without = fitted(shop, tmp_path / "without")
    assert without.graph.x.size(1) == 32
    assert without.graph_features is None
    assert not bool(without.graph.x[NEW, :31].any())


def test_new_items_by_features_after_loading(shop: Path, model: rg.TrainedModel) -> None:
    """An article like A-9 that came after the training gets A-9's place, and others another."""
    emb = model.embedding
    new = emb.embed_new(features=rows(shop, 9, 10, 11))
    known = emb.embed_new(model.graph.x[NEW : NEW + 1])  # which has a count besides
    assert new.shape == (3, 4)
    assert (new[0] - known[0]).norm() < (new[1] - known[0]).norm()
    table = model.graph_features.encode(rows(shop, 9, 10, 11))
    assert torch.equal(emb.embed_new(features=table), new)
    with pytest.raises(InputError, match="the new items, the column 'brand' is missing"):
        emb.embed_new(features=rows(shop, 9).drop("brand"))
    with pytest.raises(InputError, match=r"column 'price', row 0 .*'cheap' is no number"):
        emb.embed_new(features=rows(shop, 9).with_columns(price=pl.lit("cheap")))


def test_saved_as_it_was(shop: Path, tmp_path: Path) -> None:
    """With and without features in the click model, before and after loading, to the bit."""
    settings = shop_settings(shop) | {"epochs": 1, "folds": 2, "embedding_dim": 4, "quiet": True}
    for use_features in (True, False):
        trained = rg.train(**settings, graph_features=["all"], use_features=use_features)
        assert (trained.features is None) == (not use_features)
        trained.save(tmp_path / "model", replace=True)
        loaded = rg.load(tmp_path / "model")
        assert (loaded.features is None) == (not use_features)
        assert list(loaded.graph_features.features) == NAMES
        assert torch.equal(loaded.graph.x, trained.graph.x)
        new = rows(shop, 4, 5)
        vectors = [one.embedding.embed_new(features=new) for one in (trained, loaded)]
        assert torch.equal(*vectors)
        later = rg.extend_vocabulary(
            rg.BehaviorLog.from_frame(
                pl.DataFrame({"u": ["x", "x"], "i": ["A-3", "Z-1"], "t": [1, 2]}), "u", "i", "t"
            ),
            loaded.item_ids,
        )
        grown = [one.embedding.update(later, features=rows(shop, 4)) for one in (trained, loaded)]
        ids = torch.arange(31)
        assert torch.equal(grown[0].eval()(ids), grown[1].eval()(ids))
        assert torch.equal(loaded.embedding.encoder.graph.x, grown[1].encoder.graph.x[:30])
    (tmp_path / "model" / "model.sha256").unlink()
    (tmp_path / "model" / CONTENT).write_bytes(b"no tensors")
    with pytest.raises(InputError, match=r"content.safetensors is damaged"):
        rg.load(tmp_path / "model")
    (tmp_path / "model" / CONTENT).unlink()
    with pytest.raises(InputError, match=r"content.safetensors is missing"):
        rg.load(tmp_path / "model")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--graph-features", "brnd"], "graph_features='brnd' is no feature of the items, .*brand"),
        (["--graph-features", "country"], "graph_features='country' is no feature of the items"),
        (
            ["--graph-features", "brand", "--embedding", "average"],
            "graph_features is not read by average",
        ),
    ],
)
def test_unknown_features(
    shop: Path, tmp_path: Path, flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["fit", *shop_flags(shop), *SMALL, "--out", str(tmp_path / "model"), *flags]
    assert cli.main(words) == 2
    error = capsys.readouterr().err
    assert re.search(message, error)
    assert not (tmp_path / "model").exists()


def test_no_features_of_items(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["fit", "--data", str(shop / "log.csv"), "--user", "shopper", "--item", "article"]
    words += ["--time", "ts", "--graph-features", "all", "--out", str(tmp_path / "m"), *SMALL]
    assert cli.main(words) == 2
    assert "there are no features of items; --items names their file" in capsys.readouterr().err


@pytest.mark.usefixtures("no_pictures")
def test_compare_keeps_the_features_apart(shop: Path, tmp_path: Path) -> None:
    """A comparison goes on with the same graph features alone."""
    words = ["compare", *shop_flags(shop), *SMALL, "--seeds", "1", "--embeddings", "gcn"]
    words += ["--out", str(tmp_path / "runs"), "--num-centers", "4"]
    assert cli.main([*words, "--graph-features", "brand"]) == 0
    found = json.loads((tmp_path / "runs" / "results.json").read_text())
    assert found["settings"]["graph_features"] == ["brand"]
    assert cli.main([*words, "--graph-features", "price", "--resume"]) == 2
    assert cli.main([*words, "--graph-features", "brand", "--resume"]) == 0
