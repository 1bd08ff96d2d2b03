"""Made node features are the two transforms one after the other."""

import pytest
import torch

from resemb_gnn import BehaviorLog, CountFeature, InputError, SpectralFeatures, covisit_graph
from resemb_gnn.graph import NodeFeatures


def test_spectral_then_count(log: BehaviorLog) -> None:
    graph = covisit_graph(log, folds=2)
    made = NodeFeatures(6)(graph)
    expected = CountFeature()(SpectralFeatures(5)(graph))
    assert made.x.shape == (log.num_items, 6)
    assert torch.equal(made.x, expected.x)
    assert torch.equal(made.fold_graphs[1].x, expected.fold_graphs[1].x)
    assert graph.x is None
    assert str(NodeFeatures(6)) == "NodeFeatures(dim=6)"


def test_spectral_alone_without_counts(log: BehaviorLog) -> None:
    graph = covisit_graph(log)
    del graph.count
    assert torch.equal(NodeFeatures(6)(graph).x, SpectralFeatures(6)(graph).x)


def test_fewest_columns(log: BehaviorLog) -> None:
    assert NodeFeatures(2)(covisit_graph(log)).x.shape == (log.num_items, 2)
    with pytest.raises(InputError, match="feature_dim must be at least 2, not 1"):
        NodeFeatures(1)
