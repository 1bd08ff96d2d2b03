"""The items' counts as a node feature."""

import copy

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from resemb_gnn.errors import InputError
from resemb_gnn.graph.adjacency import check_graph
from resemb_gnn.graph.fold_graphs import nodes_of, with_attribute


@functional_transform("count_feature")
class CountFeature(BaseTransform):
    r"""Appends :math:`\log(1 + n_i)`, standardised over the items, to the node features ``x``.

    How often an item was acted on says much about the next click, and neither spectral features
    nor an attention that sums to one carry it. Each of ``fold_graphs`` gets its own counts.

    Raises:
        InputError: if the graph has no ``count``, or is unusable
            (:func:`~resemb_gnn.graph.check_graph`).
    """

    def forward(self, data: Data) -> Data:
        check_graph(data, ("x", "count", "fold_graphs"))
        return append_counts(data)


def append_counts(data: Data) -> Data:
    """The same on a graph that was looked at."""
    data.x = _appended(data)
    if "fold_graphs" in data:  # the input keeps its own
        parts = [_appended(part) for part in nodes_of(data.fold_graphs)]
        data.fold_graphs = with_attribute(data.fold_graphs, "x", parts)
    return data


def counts_alone(data: Data) -> Data:
    """A copy of a graph, and of its folds, whose node features are the counts as
    :class:`CountFeature` has them, and nothing else.

    Raises:
        InputError: as :class:`CountFeature`.
    """
    check_graph(data, ("count", "fold_graphs"))
    data = copy.copy(data)
    data.x, data.content = _counts(data), None
    if "fold_graphs" in data:
        parts = [_counts(part) for part in nodes_of(data.fold_graphs)]
        data.fold_graphs = with_attribute(data.fold_graphs, "x", parts)
    return data


def _appended(data: Data) -> Tensor:
    column = _counts(data)
    return column if data.x is None else torch.cat([data.x, column], dim=1)


def _counts(data: Data) -> Tensor:
    if data.get("count") is None:
        raise InputError("the count feature needs graph.count, the behaviours of each item")
    return _column(data.count).unsqueeze(1)


def count_columns(graph: Data) -> "np.ndarray":
    """Which columns of ``x`` are those of :class:`CountFeature`, bool ``[num_features]``; seen from
    the features and the counts.
    """
    x = graph.x.cpu().double().numpy()
    if graph.get("count") is None:
        return np.zeros(x.shape[1], dtype=bool)
    column = _column(graph.count.cpu()).double().numpy()
    found: np.ndarray = np.isclose(x, column[:, None], rtol=1e-5, atol=1e-4).all(axis=0)
    return found


def _column(count: Tensor) -> Tensor:
    value = count.float().log1p()
    return (value - value.mean()) / value.std(correction=0).clamp(min=1e-6)
