"""Node features of items that came after a graph's features were made."""

import numpy as np
import scipy.sparse
import torch
from torch import Tensor
from torch_geometric.data import Data

from resemb_gnn.errors import InputError
from resemb_gnn.graph.adjacency import Adjacency, check_graph
from resemb_gnn.graph.count_feature import CountFeature
from resemb_gnn.graph.spectral_features import positive_pmi

_TOLERANCE = 1e-2  # relative; features are stored in 32 bits
_TINY = 1e-30


class FeatureExtension:
    r"""Features ``x`` of a new item from its edges to the items of a graph.

    A column of :class:`~resemb_gnn.SpectralFeatures` is a left singular vector of the positive
    PMI matrix :math:`P`, so it can be read off the item's own row of that matrix, which a new item
    has as well (the out-of-sample extension of Nyström's method; Bengio et al., "Out-of-Sample
    Extensions for LLE, Isomap, MDS, Eigenmaps, and Spectral Clustering", NeurIPS 2003):

    .. math::
        x_{ik} = s_k^{-2} \sum_j P_{ij} (P^\top x_k)_j, \qquad
        P_{ij} = \max\left(0, \log \frac{a_{ij} \sum_{kl} A_{kl}}
                 {\sum_l a_{il} \sum_k A_{kj}}\right)

    with :math:`a_i` the weights of the new item's edges, :math:`A` the graph as it was without
    them, and :math:`s_k = \lVert P^\top x_k \rVert / \lVert x_k \rVert`. A graph's own items get
    back the features that they have.

    A last column of :class:`~resemb_gnn.CountFeature` is :math:`\log(1 + n_i)` by the mean and the
    standard deviation of the graph's items, where :math:`n_i` is given. Any other column, and that
    one otherwise, is the weighted mean of the neighbours'. Which columns are which is seen from
    the features and the graph. An item without edges gets zeros, but for a given count.

    Args:
        graph: graph with node features ``x``, as they were made of it.

    Raises:
        InputError: if the graph has no ``x``, or is unusable
            (:func:`~resemb_gnn.graph.check_graph`).
    """

    def __init__(self, graph: Data) -> None:
        check_graph(graph)
        if graph.x is None:
            raise InputError("features of new items need those of the graph's: graph.x is None")
        self.x = graph.x.cpu().double().numpy()
        matrix = positive_pmi(graph)
        size = matrix.shape[0]
        target = graph.edge_index[1].cpu().numpy()
        weight = None if graph.edge_weight is None else graph.edge_weight.cpu().double().numpy()
        self.in_sum = np.bincount(target, weight, minlength=size).astype(np.float64)
        norm = np.linalg.norm(self.x, axis=0)
        right = matrix.T @ self.x
        values = np.linalg.norm(right, axis=0) / np.maximum(norm, _TINY)
        self.map = right / np.maximum(values, _TINY) ** 2
        error = np.linalg.norm(matrix @ self.map - self.x, axis=0)
        self.spectral = error <= _TOLERANCE * norm
        self.count_center, self.count_scale = 0.0, 0.0  # a scale of 0: there is no such column
        if graph.get("count") is not None:
            column = CountFeature()(Data(count=graph.count.cpu(), num_nodes=size)).x[:, 0].numpy()
            if np.allclose(column, self.x[:, -1], atol=1e-4):
                logs = np.log1p(graph.count.cpu().double().numpy())
                self.count_center, self.count_scale = logs.mean(), max(logs.std(), 1e-6)

    def __call__(self, rows: Adjacency, count: Tensor | None = None) -> Tensor:
        """Features of new items.

        Args:
            rows: weights of each new item's edges to the items of the graph; entries beyond them
                are left out.
            count: behaviours of each new item, ``[num_new]``, if they are known.

        Returns:
            float32 ``[num_new, num_features]``.
        """
        size, num_new = self.x.shape[0], rows.ptr.numel() - 1
        parts = (rows.weight.double(), rows.index, rows.ptr)
        width = max(size, int(rows.index.max()) + 1 if rows.index.numel() else 0)
        edges = scipy.sparse.csr_array(
            tuple(part.cpu().numpy() for part in parts), shape=(num_new, width)
        )[:, :size]
        edges.sum_duplicates()
        edges.eliminate_zeros()
        total = edges.sum(axis=1)
        features = (edges @ self.x) / np.maximum(total, _TINY)[:, None]
        features[:, self.spectral] = (self._pmi(edges, total) @ self.map)[:, self.spectral]
        if count is not None and self.count_scale:
            logs = np.log1p(count.cpu().double().numpy())
            features[:, -1] = (logs - self.count_center) / self.count_scale
        return torch.from_numpy(features.astype(np.float32))

    def _pmi(
        self, edges: "scipy.sparse.csr_array", total: "np.ndarray"
    ) -> "scipy.sparse.csr_array":
        """Rows of the positive PMI matrix; a neighbour without edges of its own has no column."""
        row = np.repeat(np.arange(edges.shape[0]), np.diff(edges.indptr))
        expected = total[row] * self.in_sum[edges.indices] / max(self.in_sum.sum(), _TINY)
        has_column = expected > 0
        ratio = np.divide(edges.data, expected, out=np.ones_like(edges.data), where=has_column)
        pmi = np.log(np.maximum(ratio, 1.0))
        return scipy.sparse.csr_array((pmi, edges.indices, edges.indptr), shape=edges.shape)
