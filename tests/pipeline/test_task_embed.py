"""From settings to a model whose features have embeddings of their own."""

from pathlib import Path
from typing import Any

import pytest
import torch

from resemb_gnn import BehaviorLog, InputError, ResEmbedding
from resemb_gnn.datasets import DataSource
from resemb_gnn.pipeline.task import Task, read_task
from resemb_gnn.settings import CompareSettings
from tests.shop import add_makers, shop_settings, write_shop


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    write_shop(folder)
    add_makers(folder)
    return folder


def settings_of(shop: Path, **changes: Any) -> CompareSettings:
    small = {"quiet": True, "embedding_dim": 4, "num_centers": 3, "folds": 3}
    small |= {"embeddings": ["plain", "gcn"], "embed": ["maker=gcn"]}
    return CompareSettings(**small | shop_settings(shop) | changes)


def task_of(shop: Path, **changes: Any) -> Task:
    settings = settings_of(shop, **changes)
    return read_task(settings, settings.embeddings)


def test_graphs_of_features_are_built_once_and_by_the_same_folds(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def of(log: BehaviorLog, feature: str) -> BehaviorLog:
        asked.append((feature, log.num_behaviors))
        return own(log, feature)

    task = task_of(shop, embed=["maker=gcn", "brand=plain"])
    own = BehaviorLog.of
    monkeypatch.setattr(BehaviorLog, "of", of)
    models = [task.make_model(name, task.settings, 0) for name in ("plain", "gcn", "gcn")]
    size = task.split.history.num_behaviors
    assert asked == [("maker", size), ("brand", size)]
    for graph, number in zip(task.feature_graphs.values(), (6, 2), strict=True):
        assert graph.num_nodes == number
        assert len(graph.fold_graphs) == 3
        assert torch.equal(graph.user_fold, task.graph.user_fold)
    for model in models:
        assert list(model.feature_embeddings) == ["brand", "maker"]  # as the table has them
    assert "30 items" in str(task)
    assert "6 maker" in str(task)


def test_they_are_alike_in_every_arm(shop: Path) -> None:
    """What an arm overrides is of its items' embedding alone."""
    task = task_of(shop, override=["gcn.num_centers=2", "gcn.temperature=0.5"], widths=["maker=6"])
    for name in ("plain", "gcn"):
        model = task.make_model(name, task.settings.of(name), 0)
        maker = model.feature_embeddings["maker"]
        assert isinstance(maker, ResEmbedding)
        assert (maker.num_centers, maker.embedding_dim) == (3, 6)
        assert maker.encoder.temperature == 1.0
        assert model.items.embedding_dim == 4
    assert isinstance(model.embedding, ResEmbedding)
    assert (model.embedding.num_centers, model.embedding.encoder.temperature) == (2, 0.5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"embed": ["makr=gcn"]}, "no feature 'makr' to embed, but .* did you mean maker"),
        ({"embed": ["country=gcn"]}, "'country' is a feature of users"),
        ({"embed": ["position=gcn"]}, "'position' is a feature of context"),
        ({"embed": ["tags=gcn"]}, "'tags' is a feature of kind 'list'"),
        ({"embed": ["price=plain"]}, "'price' is a feature of kind 'numeric'"),
        ({"items": None, "embed": ["maker=plain"]}, "no feature 'maker' to embed"),
    ],
)
def test_refused_before_the_log_is_split(
    shop: Path, changes: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def split(*_: object) -> None:
        raise AssertionError("it was split")

    monkeypatch.setattr(DataSource, "make_split", split)
    with pytest.raises(InputError, match=message):
        task_of(shop, **changes)


def test_a_feature_without_values(shop: Path, tmp_path: Path) -> None:
    write_shop(tmp_path)
    lines = (tmp_path / "items.csv").read_text().splitlines()
    (tmp_path / "items.csv").write_text(
        "\n".join([f"{lines[0]},empty", *(f"{line}," for line in lines[1:])])
    )
    with pytest.raises(InputError, match="'empty' has no values to embed: all are missing"):
        task_of(tmp_path, embed=["empty=gcn"])
