"""The count feature against NumPy."""

import numpy as np
import pytest
import torch
from torch_geometric.data import Data

from resemb_gnn import BehaviorLog, CountFeature, InputError, SpectralFeatures, covisit_graph


def test_standardised_log_count_follows_the_features(log: BehaviorLog) -> None:
    graph = SpectralFeatures(4)(covisit_graph(log, folds=2))
    before = [part.x.clone() for part in [*graph.fold_graphs, graph]]
    after = CountFeature()(graph)
    for part, x in zip([*graph.fold_graphs, graph], before, strict=True):
        assert torch.equal(part.x, x)  # a transform leaves its input as it was
    for part, x in zip([*after.fold_graphs, after], before, strict=True):
        value = np.log(1 + part.count.numpy())
        assert torch.equal(part.x[:, :4], x)
        expected = (value - value.mean()) / value.std()
        np.testing.assert_allclose(part.x[:, 4].numpy(), expected, atol=1e-5)
    assert not torch.equal(after.x[:, 4], after.fold_graphs[0].x[:, 4])


def test_alone_and_with_equal_counts() -> None:
    data = Data(num_nodes=3, count=torch.tensor([2, 2, 2]))
    assert CountFeature()(data).x.tolist() == [[0.0], [0.0], [0.0]]


def test_graph_without_count() -> None:
    with pytest.raises(InputError, match=r"graph\.count"):
        CountFeature()(Data(num_nodes=3))
