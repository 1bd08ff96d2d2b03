"""Saved models whose features have embeddings of their own."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from polars.testing import assert_series_equal

import resemb_gnn as rg
from resemb_gnn import InputError
from resemb_gnn.io.saved_table import read_saved, write_saved
from resemb_gnn.saved.new_log import LaterLog
from resemb_gnn.serving import export_scorer
from resemb_gnn.settings.names import MODELS
from resemb_gnn.training import training_step
from tests.shop import CONTEXT, add_makers, shop_settings, write_shop


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    write_shop(folder)
    add_makers(folder)
    return folder


def train(shop: Path, **changes: Any) -> rg.TrainedModel:
    small = {"epochs": 1, "quiet": True, "embedding_dim": 4, "embedding": "plain", "folds": 2}
    return rg.train(**small | {"embed": ["maker=gcn"]} | shop_settings(shop) | changes)


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
    return {"users": table["shopper"], "items": table["article"], "context": table.select(CONTEXT)}


def test_the_embedding_is_over_the_values_of_training(trained: rg.TrainedModel, shop: Path) -> None:
    """Its graph is that of the training behaviours of the values, and as wide as the items."""
    embedding = trained.model.feature_embeddings["maker"]
    assert isinstance(embedding, rg.ResEmbedding)
    assert (embedding.num_embeddings, embedding.embedding_dim) == (6, 4)
    log = rg.BehaviorLog.from_frame(
        shop / "log.csv",
        "shopper",
        "article",
        "ts",
        label="click",
        items=shop / "items.csv",
        list_separator="|",
    )
    expected = rg.covisit_graph(log.split(by="time").history.of("maker"), folds=2)
    graph = trained.feature_graphs["maker"]
    assert torch.equal(graph.edge_index, expected.edge_index)
    assert torch.equal(graph.edge_weight, expected.edge_weight)
    assert torch.equal(graph.count, expected.count)
    assert torch.equal(embedding.user_fold, expected.user_fold)


CASES = [
    *({"model": model} for model in MODELS),
    {
        "embed": ["maker=plain", "brand=kmeans:none"],
        "widths": ["maker=5", "brand=3"],
        "num_centers": 2,
    },
    {"embed": ["brand=kmeans", "maker=average:staged"], "embedding": "kmeans", "num_centers": 2},
    {"embed": ["maker=lightgcn"], "graph": "permuted", "top_k": 2},
]


@pytest.mark.parametrize("changes", CASES, ids=str)
def test_it_comes_back_to_the_bit(changes: dict[str, Any], shop: Path, tmp_path: Path) -> None:
    trained = train(shop, **changes)
    trained.save(tmp_path / "model")
    loaded = rg.load(tmp_path / "model")
    before, after = trained.model.state_dict(), loaded.model.state_dict()
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert torch.equal(value, after[name]), name
    both = (one.predict(**asked(shop)) for one in (trained, loaded))
    assert_series_equal(*both, check_exact=True)
    for name, width in (one.split("=") for one in changes.get("widths", [])):
        assert loaded.model.feature_embeddings[name].embedding_dim == int(width)
    loaded.save(tmp_path / "again")
    for path in (tmp_path / "model").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name


def test_a_stopped_run_goes_on(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the second stage, that of the values' residuals."""
    settings = {"embed": ["maker=gcn:staged"], "epochs": 1, "batch_size": 64}
    whole = train(shop, **settings)
    steps = 0

    def step(*arguments: Any) -> torch.Tensor:
        nonlocal steps
        steps += 1
        if steps == 15:
            raise ZeroDivisionError
        return training_step(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr("resemb_gnn.training.epoch.training_step", step)
        with pytest.raises(ZeroDivisionError):
            train(shop, checkpoints=tmp_path / "saved", **settings)
    resumed = train(shop, checkpoints=tmp_path / "saved", resume=True, **settings)
    assert resumed.facts["figures"]["epochs"] == 2
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    other = settings | {"embed": ["maker=gcn"], "resume": True}
    with pytest.raises(InputError, match="another run"):
        train(shop, checkpoints=tmp_path / "saved", **other)


def test_digests_and_card_cover_it(trained: rg.TrainedModel, tmp_path: Path) -> None:
    trained.save(tmp_path / "model")
    assert "maker=gcn" in (tmp_path / "model" / "README.md").read_text()
    for name in ("values", "value_graphs"):
        path = tmp_path / "model" / f"{name}.parquet"
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(InputError, match=f"{name}.parquet is damaged"):
            rg.load(tmp_path / "model")
        path.write_bytes(content)


def test_without_such_embeddings_there_are_no_such_files(shop: Path, tmp_path: Path) -> None:
    train(shop, embed=None).save(tmp_path / "model")
    assert not list((tmp_path / "model").glob("value*"))


Change = Callable[[pl.DataFrame], pl.DataFrame]


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("values", None, "values.parquet"),
        ("value_graphs", None, "value_graphs.parquet"),
        ("values", lambda table: table[1:], "has 5 values of 'maker', but .*vocab.* 6"),
        ("values", lambda table: table.drop("feature"), "'feature'"),
        ("values", lambda table: table.drop("behaviors"), "'behaviors'"),
        (
            "value_graphs",
            lambda table: table.with_columns(target=pl.lit(99, pl.Int64)),
            "'target' must lie in 0..5",
        ),
        (
            "value_graphs",
            lambda table: table.with_columns(weight=pl.lit(1.5, pl.Float32)),
            "another graph",
        ),
        ("value_graphs", lambda table: table.with_columns(feature=pl.lit("x")), "another graph"),
    ],
)
def test_damage_is_named(name: str, change: Change | None, message: str, folder: Path) -> None:
    path = folder / f"{name}.parquet"
    if change is None:
        path.unlink()
    else:
        write_saved(change(read_saved(path)), path)
    with pytest.raises(InputError, match=message):
        rg.load(folder)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"embed": ["makr=gcn"]}, "no feature 'makr' to embed"),
        ({"embed": ["tags=gcn"]}, "'tags' is a feature of kind 'list'"),
        ({"embed": ["maker=gnc"]}, "'gnc' is unknown"),
        ({"embed": ["brand=gcn"]}, "has 0 values of 'brand', but .* 2"),
        ({"widths": ["maker=99999999"]}, "does not fit the settings"),
    ],
)
def test_settings_that_do_not_fit(settings: dict[str, Any], message: str, folder: Path) -> None:
    path = folder / "settings.json"
    contents = json.loads(path.read_text())
    contents["settings"] |= settings
    path.write_text(json.dumps(contents))
    with pytest.raises(InputError, match=message):
        rg.load(folder)


def test_over_another_log(trained: rg.TrainedModel, shop: Path) -> None:
    """The embedding of the values stays; what the items' values are is as the log's table says."""
    source = rg.datasets.load_source(
        **{name: value for name, value in shop_settings(shop).items() if name != "split"}
    )
    over = LaterLog.of(trained, source.log).trained
    assert over.model.feature_embeddings["maker"] is trained.model.feature_embeddings["maker"]
    examples = source.make_split("time", "uniform").test
    assert over.evaluate(examples) == trained.evaluate(examples)


@pytest.mark.parametrize("model", ["din", "wide-deep"])
def test_exported_it_scores_the_same(model: str, shop: Path, tmp_path: Path) -> None:
    trained = train(shop, model=model)
    scorer = export_scorer(trained.model, tmp_path, onnx=False, features=trained.features)
    program = torch.export.load(tmp_path / "scorer.pt2").module()
    (batch,) = (
        rg.datasets.load_source(
            **{name: value for name, value in shop_settings(shop).items() if name != "split"}
        )
        .make_split("time", "uniform")
        .test.batches(1000)
    )
    context = {}
    for one in batch.context:
        context[one.name] = one.values
        if one.ptr is not None:
            context[f"{one.name}.ptr"] = one.ptr
    with torch.no_grad():
        expected = trained.model(batch)
    inputs = batch.history, batch.ptr, batch.target
    for found in (scorer, program):
        actual = found(*inputs, user=batch.user, context=context)
        torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5)
