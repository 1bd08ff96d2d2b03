"""Whatever takes a graph says in a sentence what it cannot use, in every part that it uses."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from dense_reference import random_graph
from every_embedding import EMBEDDINGS
from torch_geometric.data import HeteroData

from resemb_gnn import CountFeature, InputError, PermuteNodes, ResEmbedding, SpectralFeatures
from resemb_gnn.graph import (
    FeatureExtension,
    NodeFeatures,
    check_graph,
    edge_list,
    summarize_graph,
)
from resemb_gnn.nn import (
    AverageEncoder,
    GATEncoder,
    GCNEncoder,
    HardEncoder,
    ItemAverageEncoder,
    SIGNEncoder,
)
from resemb_gnn.theory import graph_communities

SIZE = 9
ENCODED_BY_NAME = {
    k: v for k, v in EMBEDDINGS.items() if k in ("average", "gcn", "gat", "LightGCN")
}
ENCODERS: dict[str, Callable[[Any], Any]] = {
    "AverageEncoder": lambda graph: AverageEncoder(graph, 3),
    "ItemAverageEncoder": ItemAverageEncoder,
    "GCNEncoder": lambda graph: GCNEncoder(graph, 3),
    "GATEncoder": lambda graph: GATEncoder(graph, 3),
    "SIGNEncoder": lambda graph: SIGNEncoder(graph, 3),
    "HardEncoder": lambda graph: HardEncoder(graph, torch.zeros(SIZE, dtype=torch.long)),
    "kmeans": lambda graph: HardEncoder.kmeans(graph, 2),
    "FeatureExtension": FeatureExtension,
    **{kind: EMBEDDINGS[kind] for kind in ("average", "gcn", "gat", "every-option", "LightGCN")},
}
TAKERS: dict[str, Callable[[Any], Any]] = {
    **ENCODERS,
    "SpectralFeatures": SpectralFeatures(3),
    "CountFeature": CountFeature(),
    "NodeFeatures": NodeFeatures(3),
    "PermuteNodes": PermuteNodes(),
    "check_graph": check_graph,
    "summarize_graph": summarize_graph,
    "edge_list": edge_list,
    "graph_communities": graph_communities,
}
# What does not look at a part does not refuse it either.
NO_FEATURES = ("SpectralFeatures", "NodeFeatures", "PermuteNodes", "edge_list")
NO_EDGES = ("CountFeature",)
NO_COUNT = ("SpectralFeatures", "edge_list")
LOOK_AT_FEATURES = ("AverageEncoder", "GCNEncoder", "GATEncoder", "SIGNEncoder", "kmeans")


@pytest.mark.parametrize("taker", TAKERS)
@pytest.mark.parametrize("graph", [None, HeteroData(), "graph", torch.eye(3), 7], ids=str)
def test_what_is_no_graph(taker: str, graph: object) -> None:
    with pytest.raises(InputError, match=f"graph is of type {type(graph).__name__}, not a torch_g"):
        TAKERS[taker](graph)


@pytest.mark.parametrize("taker", [taker for taker in TAKERS if taker not in NO_FEATURES])
@pytest.mark.parametrize(
    "x",
    [
        torch.ones(SIZE),
        torch.ones(SIZE, 2, 1),
        torch.ones(SIZE + 1, 2),
        torch.ones(SIZE, 0),
        torch.ones(()),
        torch.ones(SIZE, 2).to_sparse(),
        torch.full((SIZE, 2), torch.inf),
        np.ones((SIZE, 2)),
        [[1.0, 2.0]] * SIZE,
    ],
    ids=lambda x: f"{type(x).__name__} {getattr(x, 'layout', '')} {list(getattr(x, 'shape', []))}",
)
def test_features_that_are_none(taker: str, x: object) -> None:
    graph = random_graph(0)
    graph.x = x
    with pytest.raises(InputError, match=r"graph\.x "):
        TAKERS[taker](graph)


@pytest.mark.parametrize("taker", NO_FEATURES)
def test_features_that_are_not_looked_at(taker: str) -> None:
    graph = random_graph(0)
    graph.x = torch.full((SIZE,), torch.nan)
    TAKERS[taker](graph)


@pytest.mark.parametrize("taker", [taker for taker in TAKERS if taker not in NO_EDGES])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"edge_index": None}, "edge_index"),
        ({"edge_index": torch.eye(2).to_sparse()}, r"graph\.edge_index is sparse"),
        ({"edge_index": torch.tensor([[0], [SIZE]])}, "edge_index names nodes outside"),
        ({"edge_weight": torch.ones(25, 1)}, "edge_weight has shape"),
        ({"edge_weight": torch.ones(3)}, "edge_weight has shape"),
        ({"num_nodes": 9.0}, r"graph\.num_nodes is no whole number: 9\.0"),
    ],
)
def test_edges_that_are_none(taker: str, changes: dict[str, Any], message: str) -> None:
    graph = random_graph(0)
    for name, value in changes.items():
        graph[name] = value
    if "edge_index" in changes:
        graph.edge_weight = None
    with pytest.raises(InputError, match=message):
        TAKERS[taker](graph)


@pytest.mark.parametrize("taker", [taker for taker in TAKERS if taker not in NO_COUNT])
@pytest.mark.parametrize("shape", [(SIZE, 1), (1, SIZE), (SIZE + 1,), ()])
def test_counts_of_another_shape(taker: str, shape: tuple[int, ...]) -> None:
    graph = random_graph(0)
    graph.count = torch.ones(shape)
    with pytest.raises(InputError, match=r"graph\.count has shape"):
        TAKERS[taker](graph)


@pytest.mark.parametrize("taker", [*ENCODERS, "check_graph"])
@pytest.mark.parametrize("user_fold", [[[0], [1]], [0.0, 1.0], [0, 2], [-1, 0]], ids=str)
def test_folds_of_users_that_are_none(taker: str, user_fold: list[Any]) -> None:
    graph = random_graph(0)
    graph.fold_graphs = [random_graph(1), random_graph(2)]
    graph.user_fold = torch.tensor(user_fold)
    with pytest.raises(InputError, match=r"graph\.user_fold"):
        TAKERS[taker](graph)


@pytest.mark.parametrize("taker", [taker for taker in TAKERS if taker != "edge_list"])
def test_graphs_of_folds_that_are_none(taker: str) -> None:
    graph = random_graph(0)
    for folds, message in (
        (random_graph(1), r"graph\.fold_graphs is no list"),
        ([None], "fold graph 0: the graph is of type NoneType"),
        ([random_graph(1), random_graph(2, num_nodes=10)], "fold graph 1 has 10 nodes"),
    ):
        graph.fold_graphs = folds
        with pytest.raises(InputError, match=message):
            TAKERS[taker](graph)


@pytest.mark.parametrize("taker", [*LOOK_AT_FEATURES, "FeatureExtension"])
def test_features_that_are_missing(taker: str) -> None:
    graph = random_graph(0)
    del graph.x
    with pytest.raises(InputError, match=r"graph\.x is None"):
        ENCODERS[taker](graph)


@pytest.mark.parametrize("size", [8, 10])
def test_an_encoder_of_another_graph(size: int) -> None:
    other = GCNEncoder(random_graph(0, num_nodes=size), 3)
    with pytest.raises(InputError, match=f"the encoder is of {size} items, but the graph 9"):
        ResEmbedding(random_graph(0), 4, 3, other)
