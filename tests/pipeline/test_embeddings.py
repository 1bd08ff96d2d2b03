"""Every arm by name: what it is made of, what it reads of the settings, that it trains."""

import copy
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from resemb_gnn import (
    DIN,
    BehaviorLog,
    InputError,
    ResEmbedding,
    SpectralFeatures,
    covisit_graph,
    fit,
)
from resemb_gnn.experiment import compare
from resemb_gnn.graph import NodeFeatures, PermuteNodes
from resemb_gnn.nn import as_item_embedding
from resemb_gnn.pipeline.embeddings import make_embedding
from resemb_gnn.settings import CompareSettings, FitSettings
from resemb_gnn.settings.embedding import (
    SHARED,
    EmbeddingSettings,
    embedding_name,
    embedding_names,
    settings_of,
    split_name,
)
from tests.embedding_kinds import KINDS

EMBEDDINGS = embedding_names()
SETTINGS = EmbeddingSettings(embedding_dim=8, num_centers=6)
# Another value of each setting, which an arm must answer to if it reads the setting.
OTHER: dict[str, Any] = {
    "num_centers": 4,
    "temperature": 0.5,
    "normalization": "entmax",
    "heads": 2,
    "levels": 2,
    "center_std": 0.07,
    "residual_std": 0.2,
    "shrinkage": 5.0,
    "learn_shrinkage": True,
    "residual_penalty": 3.0,
    "residual_max_norm": 1e-4,
    "residual_max_ratio": 1e-5,
    "residual_lr": 0.3,
    "residual_decay": 0.01,
    "table_std": 0.2,
    "l2": 2.0,
    "table_decay": 0.2,
    "start_scale": 0.7,
    "item2vec_negatives": 2,
    "num_layers": 3,
}


@pytest.fixture(scope="module")
def graph(log: BehaviorLog) -> Data:
    return NodeFeatures(8)(covisit_graph(log.split().history, folds=3))


def build(
    name: str, graph: Data, log: BehaviorLog, settings: EmbeddingSettings = SETTINGS
) -> nn.Module:
    torch.manual_seed(0)
    return make_embedding(name, graph, settings, log.item_category)


def portrait(embedding: nn.Module, num_items: int) -> list[Any]:
    """All that an arm can show: its start, its output, its penalty, how it wants to be trained."""
    if isinstance(embedding, ResEmbedding):
        embedding.release_residual()
    ids = torch.arange(num_items)
    penalty = embedding.penalty(ids)  # type: ignore[operator]
    frozen = [name for name, value in embedding.named_parameters() if not value.requires_grad]
    return [
        embedding(ids).tolist(),
        {name: value.tolist() for name, value in embedding.state_dict().items()},
        None if penalty is None else penalty.item(),
        as_item_embedding(embedding).tables,
        frozen,
    ]


@pytest.mark.parametrize("name", KINDS)
def test_an_arm_reads_the_settings_that_it_declares(
    name: str, graph: Data, log: BehaviorLog
) -> None:
    assert set(OTHER) == {spec.name for spec in fields(EmbeddingSettings)} - {"embedding_dim"}
    usual = portrait(build(name, graph, log), log.num_items)
    read = {
        key
        for key, value in OTHER.items()
        if portrait(build(name, graph, log, replace(SETTINGS, **{key: value})), log.num_items)
        != usual
    }
    assert read == set(settings_of(name))


def test_a_name_is_two_choices() -> None:
    assert split_name("gcn") == split_name("gcn:held") == ("gcn", "held")
    assert split_name("plain") == ("plain", "free")
    assert split_name("spectral") == ("spectral", "free")
    assert embedding_name("gcn:held") == "gcn"
    assert embedding_name("mlp:none") == "mlp"
    assert embedding_name("linear:held") == "linear:held"
    assert embedding_name("sign:staged") == "sign:staged"
    assert len(set(EMBEDDINGS)) == len(EMBEDDINGS)
    assert [embedding_name(name) for name in EMBEDDINGS] == EMBEDDINGS


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gnc", r"'gnc' is unknown; choose from plain, .*; did you mean gcn\?"),
        ("gcn:", r"'gcn:' is unknown; gcn may be followed by :held, :none, :free, :staged"),
        ("gcn:hold", r"'gcn:hold' is unknown; .*did you mean held\?"),
        ("plain:staged", r"plain may be followed by :free, :l2"),
        ("gcn:held:free", r"gcn may be followed by"),
        ("GCN", r"'GCN' is unknown"),
        ("", r"'' is unknown"),
    ],
)
def test_names_that_are_refused(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        FitSettings(embedding=name)


def test_a_setting_that_the_embedding_does_not_read_is_refused() -> None:
    with pytest.raises(InputError, match="num_centers is not read by plain, which read"):
        FitSettings(embedding="plain", num_centers=512)
    with pytest.raises(InputError, match="shrinkage is not read by gcn:none"):
        FitSettings(embedding="gcn:none", shrinkage=10)
    with pytest.raises(InputError, match="l2 is not read by plain or gcn"):
        CompareSettings(embeddings=("plain", "gcn"), l2=0.3)
    CompareSettings(embeddings=("plain", "gcn"), num_centers=8)  # one of them reads it


@pytest.mark.parametrize("name", KINDS)
def test_an_arm_trains(name: str, graph: Data, log: BehaviorLog) -> None:
    embedding = build(name, graph, log)
    start = {key: value.clone() for key, value in embedding.named_parameters()}
    result = fit(DIN(embedding), log.split(), epochs=2, lr=0.01, batch_size=128, progress=False)
    assert 0.4 < result.valid.auc <= 1
    for key, value in embedding.named_parameters():
        assert torch.equal(value, start[key]) != value.requires_grad, key


@pytest.mark.parametrize("name", KINDS)
def test_only_arms_of_the_graph_see_the_graph(name: str, graph: Data, log: BehaviorLog) -> None:
    permuted = NodeFeatures(8)(PermuteNodes(seed=0)(covisit_graph(log.split().history)))
    ids = torch.arange(log.num_items)
    with torch.no_grad():
        one, other = build(name, graph, log)(ids), build(name, permuted, log)(ids)
    shared, own = split_name(name)
    without = shared == "category" or (shared == "plain" and own not in ("spectral", "item2vec"))
    assert torch.allclose(one, other) == without


@pytest.mark.parametrize("name", SHARED)
def test_who_reads_the_node_features(name: str, graph: Data, log: BehaviorLog) -> None:
    other = copy.copy(graph)
    other.x = graph.x.flip(0)
    ids = torch.arange(log.num_items)
    with torch.no_grad():
        one, another = build(name, graph, log)(ids), build(name, other, log)(ids)
    assert torch.allclose(one, another) != SHARED[name].reads_features


def category_of(log: BehaviorLog) -> Tensor:
    assert log.item_category is not None
    return log.item_category


def test_what_the_arms_are_made_of(graph: Data, log: BehaviorLog) -> None:
    ids, category = torch.arange(log.num_items), category_of(log)

    def made(name: str, **changes: Any) -> Any:
        return build(name, graph, log, replace(SETTINGS, **changes))

    started = made("plain:spectral", start_scale=0.5, table_std=0.0)
    assert torch.equal(started(ids), 0.5 * graph.x)
    narrow = made("plain:spectral", start_scale=0.5, table_std=0.0, embedding_dim=4)
    features = NodeFeatures(4)(covisit_graph(log.split().history)).x
    assert torch.allclose(narrow(ids), 0.5 * features)
    assert graph.x.size(1) == 8  # the caller's graph stays as it was

    vectors = SpectralFeatures(8, negatives=2, smoothing=0.75)(graph).x
    options = {"start_scale": 0.5, "table_std": 0.0, "item2vec_negatives": 2}
    assert torch.equal(made("plain:item2vec", **options)(ids), 0.5 * vectors)
    assert not torch.equal(vectors, graph.x)

    hard = made("category", residual_std=0.0)
    assert torch.equal(hard(ids), hard.centers[category])

    centers_only, gcn = made("gcn:none"), made("gcn", residual_std=0.0)
    assert torch.equal(centers_only(ids), gcn(ids))
    assert centers_only.penalty(ids) is None
    residual_only = made("plain:held", residual_std=0.3, shrinkage=5.0)
    scale = graph.count / (graph.count + 5)
    assert torch.allclose(residual_only(ids), scale[:, None] * residual_only.residual)
    assert isinstance(residual_only, ResEmbedding)

    mlp, sign = made("mlp:held"), made("sign", normalization="relu")
    assert torch.equal(mlp(ids), sign(ids))
    counted = made("plain:count", table_std=0.3)
    nn.init.normal_(counted.centers)
    log_count = graph.count.log1p()
    column = (log_count - log_count.mean()) / log_count.std(correction=0)
    table = counted.residual + column[:, None] * counted.centers
    torch.testing.assert_close(counted(ids), table, atol=1e-5, rtol=1e-5)
    column = graph.fold_graphs[1].x[:, -1]
    table = counted.residual + column[:, None] * counted.centers
    torch.testing.assert_close(counted(ids, fold=1), table, atol=1e-5, rtol=1e-5)
    assert made("average").num_centers == log.num_items
    assert made("plain:adamar", table_decay=0.2).tables["weight"].decay == 0.2
    assert made("plain:meda").tables["weight"].renew
    assert made("plain:l2", l2=0.3).l2 == 0.3


@pytest.mark.parametrize("kept", ["free", "held"])
def test_a_table_started_over_folds(kept: str, graph: Data, log: BehaviorLog) -> None:
    """``spectral`` is the start of ``plain:spectral`` as a fold sees it, and a residual."""
    settings = replace(SETTINGS, start_scale=0.5, residual_std=0.3, shrinkage=5.0)
    emb: Any = build(f"spectral:{kept}", graph, log, settings)
    ids = torch.arange(log.num_items)
    scale = (graph.count / (graph.count + 5))[:, None] if kept == "held" else 1.0
    for fold, part in (None, graph), (2, graph.fold_graphs[2]):
        torch.testing.assert_close(emb(ids, fold=fold), 0.5 * part.x + scale * emb.residual)
    penalty = emb.penalty(ids)  # towards the start
    if kept == "held":
        torch.testing.assert_close(penalty, emb.residual.square().sum(dim=1).mean())
    else:
        assert penalty is None


def test_the_frozen_map_is_a_projection_of_what_the_learnt_one_reads(
    graph: Data, log: BehaviorLog
) -> None:
    frozen: Any = build("frozen", graph, log, replace(SETTINGS, start_scale=0.5))
    linear: Any = build("linear", graph, log)
    ids = torch.arange(log.num_items)
    rows = linear.center_weights(ids)[:, :-1]
    assert torch.equal(frozen.center_weights(ids), rows)
    axes = frozen.centers / 0.5
    torch.testing.assert_close(axes.T @ axes, torch.eye(8), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(frozen(ids), 0.5 * rows @ axes, atol=1e-5, rtol=1e-5)
    assert not any(parameter.requires_grad for parameter in frozen.parameters())
    assert linear.centers.requires_grad


def test_categories_are_needed_and_asked_for_in_time(
    graph: Data, log: BehaviorLog, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="'category' needs the items' categories"):
        make_embedding("category", graph, SETTINGS, None)
    path = tmp_path / "log.txt"
    path.write_text("".join(f"{user} 1 2 3 4 5\n" for user in range(8)))
    settings = CompareSettings(
        data=str(path), embeddings=("plain", "category"), out=str(tmp_path / "out")
    )
    with pytest.raises(InputError, match=r"category: log\.txt has no categories"):
        compare(settings)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("gcn.num_centers", "not of the form EMBEDDING.SETTING=VALUE"),
        ("num_centers=3", "not of the form EMBEDDING.SETTING=VALUE"),
        ("gnc.num_centers=3", "the embedding 'gnc' is unknown"),
        ("plain.num_centers=3", "plain does not read num_centers, but lr, table_std"),
        ("gcn.epochs=3", "gcn does not read epochs"),
        ("gcn.num_centers=3.5", "num_centers must be a whole number, not '3.5'"),
        ("gcn.learn_shrinkage=yes", "learn_shrinkage must be true or false"),
        ("gcn.temperature=0", "temperature must be above 0"),
        ("gcn.normalization=hardmax", "normalization='hardmax' is unknown"),
    ],
)
def test_overrides_that_are_refused(override: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        CompareSettings(override=(override,))


def test_overrides_hold_for_one_arm() -> None:
    settings = CompareSettings(
        override=("gcn.num_centers=256", "gcn.lr=0.002", "gat.learn_shrinkage=true"), lr=0.003
    )
    assert settings.overrides("gcn") == {"num_centers": 256, "lr": 0.002}
    assert (settings.of("gcn").num_centers, settings.of("gcn").lr) == (256, 0.002)
    assert settings.of("gat").learn_shrinkage
    assert (settings.of("gat").num_centers, settings.of("gat").lr) == (64, 0.003)
    assert settings.of("plain") is settings


@pytest.mark.usefixtures("no_pictures")
def test_overrides_reach_the_runs_and_must_be_the_same_on_resume(
    log: BehaviorLog, tmp_path: Path
) -> None:
    path = tmp_path / "log.txt"
    rows = [log.items[a:b].tolist() for a, b in zip(log.ptr[:-1], log.ptr[1:], strict=True)]
    path.write_text("".join(f"{user} {' '.join(map(str, row))}\n" for user, row in enumerate(rows)))
    settings = CompareSettings(
        data=str(path), embeddings=("plain", "gcn"), seeds=1, epochs=1, folds=1, quiet=True,
        out=str(tmp_path / "out"), override=("gcn.num_centers=6",),
    )  # fmt: skip
    plain, gcn = compare(settings)["runs"]
    assert (plain["overrides"], gcn["overrides"]) == ({}, {"num_centers": 6})
    usual = compare(replace(settings, out=str(tmp_path / "usual"), override=()))["runs"][1]
    # 58 centres less, each 32 numbers and as many and a bias in the encoder.
    assert usual["num_parameters"] - gcn["num_parameters"] == 58 * (32 + 32 + 1)
    with pytest.raises(InputError, match=r"a run of gcn with overrides \{'num_centers': 6\}"):
        compare(replace(settings, override=("gcn.num_centers=7",), resume=True))
    more = replace(settings, resume=True, embeddings=("plain", "gcn", "plain:l2"))
    more = replace(more, override=(*settings.override, "plain:l2.l2=0.3"))
    assert [run["overrides"] for run in compare(more)["runs"]][2] == {"l2": 0.3}
