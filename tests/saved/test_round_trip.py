"""What is loaded is what was saved, to the bit."""

import itertools
import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
import yaml
from polars.testing import assert_series_equal
from torch import Tensor

import resemb_gnn as rg
from resemb_gnn.nn import ResEmbedding
from resemb_gnn.saved.card import model_card
from resemb_gnn.settings.names import MODELS
from tests.embedding_kinds import KINDS


def every_pair(trained: rg.TrainedModel) -> tuple[pl.Series, pl.Series]:
    pairs = itertools.product(trained.histories.user_ids[:20], trained.item_ids)
    users, items = zip(*pairs, strict=True)
    return pl.Series("user", users), pl.Series("item", items)


def check_same(trained: rg.TrainedModel, loaded: rg.TrainedModel) -> None:
    """Predictions, buffers and facts agree to the bit."""
    pairs = every_pair(trained)
    assert_series_equal(trained.predict(*pairs), loaded.predict(*pairs), check_exact=True)
    before, after = trained.model.state_dict(), loaded.model.state_dict()
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert torch.equal(value, after[name]), name
    assert loaded.settings.identity() == trained.settings.identity()
    assert loaded.facts == trained.facts
    for name in ("x", "edge_index", "edge_weight", "count"):
        assert torch.equal(trained.graph[name], loaded.graph[name])


@pytest.mark.parametrize("embedding", KINDS)
def test_every_embedding(
    embedding: str, train_on: Callable[..., rg.TrainedModel], tmp_path: Path
) -> None:
    trained = train_on(embedding=embedding)
    trained.save(tmp_path / "model")
    check_same(trained, rg.load(tmp_path / "model"))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("use_category", [False, True])
def test_every_model_with_and_without_categories(
    model: str, use_category: bool, train_on: Callable[..., rg.TrainedModel], tmp_path: Path
) -> None:
    trained = train_on(model=model, use_category=use_category)
    trained.save(tmp_path / "model")
    check_same(trained, rg.load(tmp_path / "model"))


def test_attention_of_dins_kind_is_refused_of_other_models(
    train_on: Callable[..., rg.TrainedModel],
) -> None:
    assert train_on(attention="none").model.attention.normalization == "none"
    with pytest.raises(rg.InputError, match="attention=none: pnn has no attention"):
        train_on(model="pnn", attention="none")


def test_a_model_of_before_attention_was_a_setting(
    train_on: Callable[..., rg.TrainedModel], tmp_path: Path
) -> None:
    trained = train_on(attention="none")
    trained.save(tmp_path / "model")
    path = tmp_path / "model" / "settings.json"
    contents = json.loads(path.read_text())
    del contents["settings"]["attention"]
    path.write_text(json.dumps(contents))
    (tmp_path / "model" / "model.sha256").unlink()
    check_same(trained, rg.load(tmp_path / "model"))


def test_a_missing_category_is_one_of_its_own(
    train_on: Callable[..., rg.TrainedModel], csv: Path, tmp_path: Path
) -> None:
    category = pl.col("category")
    table = pl.read_csv(csv).with_columns(pl.when(category != "c0").then(category))
    table.write_csv(tmp_path / "log.csv")
    trained = train_on(data=str(tmp_path / "log.csv"))
    trained.save(tmp_path / "model")
    loaded = rg.load(tmp_path / "model")
    check_same(trained, loaded)
    assert loaded.category_ids is not None
    assert loaded.category_ids.to_list() == [None, "c1", "c2", "c3", "c4"]


@pytest.mark.parametrize(
    "settings",
    [
        {"folds": 1},
        {"category": None},
        {"graph": "permuted", "top_k": 3},
        {"attention": "softmax", "ema_decay": 0.9},
        {"split": "time", "negatives": "popularity", "max_history": 3},
        {"learn_shrinkage": True, "residual_max_ratio": 0.5, "normalization": "sparsemax"},
        {"embedding": "kmeans", "folds": 1},
        {"embedding": "plain:spectral", "embedding_dim": 32},
    ],
)
def test_other_settings(
    settings: dict[str, object], train_on: Callable[..., rg.TrainedModel], tmp_path: Path
) -> None:
    trained = train_on(**settings)
    trained.save(tmp_path / "model")
    check_same(trained, rg.load(tmp_path / "model"))


def test_predictions_are_the_models_on_each_users_last_behaviours(
    trained: rg.TrainedModel, csv: Path
) -> None:
    frame = pl.read_csv(csv).sort("user_id", "ts", maintain_order=True)
    number = {item: n for n, item in enumerate(trained.item_ids)}
    users, items = every_pair(trained)
    scores = trained.predict(users, items)
    for user, item, score in list(zip(users, items, scores, strict=True))[::37]:
        history = [number[i] for i in frame.filter(user_id=user)["item_id"]][-50:]
        target, one = torch.tensor([number[item]]), torch.ones(1)
        batch = rg.Batch(torch.tensor(history), torch.tensor([0, len(history)]), target, one, one)
        with torch.no_grad():
            logit: Tensor = trained.model(batch)
        np.testing.assert_allclose(score, logit.sigmoid().item(), rtol=1e-4)


def test_centers_are_the_largest_weights(trained: rg.TrainedModel, tmp_path: Path) -> None:
    trained.save(tmp_path / "model")
    table = pl.read_parquet(tmp_path / "model" / "centers.parquet")
    assert isinstance(trained.embedding, ResEmbedding)
    weights = trained.embedding.center_weights(torch.arange(len(trained.item_ids)))
    wide = table.pivot("center", index="item_id", values="weight", sort_columns=False)
    wide = wide.select("item_id", *(str(k) for k in range(8)))
    assert wide["item_id"].to_list() == trained.item_ids.to_list()
    np.testing.assert_array_equal(wide.drop("item_id").to_numpy(), weights.detach().numpy())


def test_the_folder_holds_no_pickle(trained: rg.TrainedModel, tmp_path: Path) -> None:
    trained.save(tmp_path / "model")
    names = {path.name for path in (tmp_path / "model").iterdir()}
    assert names == {
        "README.md", "weights.safetensors", "settings.json", "items.parquet", "centers.parquet",
        "categories.parquet", "graph.parquet", "histories.parquet", "model.sha256",
    }  # fmt: skip
    assert {path.name for path in tmp_path.iterdir()} == {"model"}


def test_card_names_data_settings_and_figures(trained: rg.TrainedModel, tmp_path: Path) -> None:
    trained.save(tmp_path / "model")
    card = (tmp_path / "model" / "README.md").read_text()
    assert "# gcn in DIN, trained on log.csv" in card
    assert f"| test | {trained.facts['figures']['test']['auc']:.4f} |" in card
    assert "| num_centers | 8 |" in card
    assert f"| fingerprint | {trained.facts['data']['fingerprint']} |" in card


@pytest.mark.parametrize("name", ["log.csv", "a: b\n---\n# \u7dd1 {x}"])
def test_a_hub_reads_the_card(trained: rg.TrainedModel, name: str) -> None:
    data = trained.facts["data"] | {"name": name}
    figures = trained.facts["figures"]
    figures = figures | {"test": figures["test"] | {"gauc": math.nan}}
    card = model_card(replace(trained, facts=trained.facts | {"data": data, "figures": figures}))
    # As huggingface_hub.repocard finds it.
    block = re.match(r"(\s*---[\r\n]+)([\S\s]*?)([\r\n]+---(\r\n|\n|$))", card)
    assert card[block.end() :].strip().startswith("# gcn in DIN, trained on ")
    found = yaml.safe_load(block[2])
    assert found["library_name"] == "resemb-gnn"
    assert "din" in found["tags"]
    assert "license" not in found
    (model,) = found["model-index"]
    (result,) = model["results"]
    assert result["dataset"]["name"] == " ".join(name.split())
    values = {metric["type"]: metric["value"] for metric in result["metrics"]}
    assert values == {key: figures["test"][key] for key in ("auc", "logloss")}


def test_similar_by_a_dense_loop(trained: rg.TrainedModel) -> None:
    ids = torch.arange(len(trained.item_ids))
    vectors = torch.nn.functional.normalize(trained.embedding(ids).detach())
    item = trained.item_ids[3]
    cosine = vectors @ vectors[3]
    cosine[3] = -2
    found = trained.similar(item, k=4)
    best = cosine.topk(4)
    assert found["item_id"].to_list() == [trained.item_ids[i] for i in best.indices.tolist()]
    np.testing.assert_allclose(found["similarity"], best.values.numpy(), atol=1e-6)


def test_a_model_is_not_moved_where_its_weights_would_be_lost(trained: rg.TrainedModel) -> None:
    for device in ("meta", "mps"):
        with pytest.raises(rg.InputError, match=f"device='{device}' is unknown"):
            trained.to(device)
    assert trained.to("cpu").device.type == "cpu"


def test_what_is_no_trained_model_is_not_saved(trained: rg.TrainedModel, tmp_path: Path) -> None:
    with pytest.raises(rg.InputError, match=r"DIN is not all that .* rg\.train\(data=\.\.\., "):
        rg.save(trained.model, tmp_path / "model")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
