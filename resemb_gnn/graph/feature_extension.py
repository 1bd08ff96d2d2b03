"""Node features of items that came after a graph's features were made."""

from functools import cached_property

import numpy as np
import scipy.sparse
import torch
from torch import Tensor
from torch_geometric.data import Data

from resemb_gnn.data import FeatureTable
from resemb_gnn.errors import InputError
from resemb_gnn.graph.adjacency import Adjacency, check_graph, has_edges
from resemb_gnn.graph.content_encoder import ContentEncoder
from resemb_gnn.graph.content_regression import ContentRegression
from resemb_gnn.graph.count_feature import count_columns
from resemb_gnn.graph.spectral_features import positive_pmi
from resemb_gnn.io.frame import Frame, naming

_TOLERANCE = 1e-2  # relative; features are stored in 32 bits
_TINY = 1e-30
# What features say of an item counts as so many co-visits. It matters little: 3, 30 and any number
# were level on cold items of Beauty, another draw than those of the benchmark.
_COVISITS = 30.0


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

    A column of :class:`~resemb_gnn.CountFeature` is :math:`\log(1 + n_i)` by the mean and the
    standard deviation of the graph's items, where :math:`n_i` is given. Any other column, and that
    one otherwise, is the weighted mean of the neighbours'. Which columns are which is seen from
    the features and the graph. An item without edges gets zeros, but for a given count.

    Where features of a new item are given, the columns of :class:`~resemb_gnn.ContentFeatures` are
    its own, and its row is the mean of these features and what its features say of its
    neighbourhood (:class:`~resemb_gnn.graph.ContentRegression`), which counts as much as 30
    co-visits: without any it stands alone.

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
        # Rows without edges may hold what features say (ContentFeatures).
        own = np.where(has_edges(graph).numpy()[:, None], self.x, 0)
        norm = np.linalg.norm(own, axis=0)
        right = matrix.T @ own
        values = np.linalg.norm(right, axis=0) / np.maximum(norm, _TINY)
        self.map = right / np.maximum(values, _TINY) ** 2
        error = np.linalg.norm(matrix @ self.map - own, axis=0)
        self.spectral = error <= _TOLERANCE * norm
        self.counts = count_columns(graph)
        if self.counts.any():
            logs = np.log1p(graph.count.cpu().double().numpy())
            self.count_center, self.count_scale = logs.mean(), max(logs.std(), 1e-6)
        self.graph = graph

    @cached_property
    def content(self) -> slice:
        """Which columns are those of the graph's features of items; empty if none are."""
        encoder: ContentEncoder = self.graph.content
        known = has_edges(self.graph)  # other rows are the regression's
        columns, x = encoder(encoder.table)[known].numpy(), self.x[known.numpy()]
        for start in range(self.x.shape[1] - encoder.width + 1):
            place = slice(start, start + encoder.width)
            own = np.isclose(x[:, place], columns, rtol=1e-4, atol=1e-4).all(axis=1)
            if 2 * own.sum() > len(own):  # items that were added later have a mixture
                return place
        return slice(0)

    @cached_property
    def regression(self) -> ContentRegression:
        """What features of items say of a neighbourhood."""
        return ContentRegression(self.graph.content, self.graph)

    def __call__(
        self,
        rows: Adjacency,
        count: Tensor | None = None,
        features: FeatureTable | None = None,
    ) -> Tensor:
        """Features of new items.

        Args:
            rows: weights of each new item's edges to the items of the graph; entries beyond them
                are left out.
            count: behaviours of each new item, ``[num_new]``, if they are known.
            features: features of each new item as :meth:`read` has them, if they are known.

        Returns:
            float32 ``[num_new, num_features]``.

        Raises:
            InputError: if ``features`` are of another number of items.
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
        x = (edges @ self.x) / np.maximum(total, _TINY)[:, None]
        x[:, self.spectral] = (self._pmi(edges, total) @ self.map)[:, self.spectral]
        if features is not None:
            x = self._told(features, x, total)
        if count is not None and self.counts.any():
            logs = np.log1p(count.cpu().double().numpy())
            x[:, self.counts] = ((logs - self.count_center) / self.count_scale)[:, None]
        return torch.from_numpy(x.astype(np.float32))

    def read(self, features: "FeatureTable | Frame") -> FeatureTable:
        """Features of new items as the graph's content has them, a row an item; others are left
        out.

        Args:
            features: a frame with a column a feature, or a table that was read from one.

        Raises:
            InputError: if the graph was made without :class:`~resemb_gnn.ContentFeatures`, or
                ``features`` lack one of its features or have it of another kind or width.
        """
        encoder = self.graph.get("content")
        if encoder is None:
            raise InputError(
                "features of new items were given, but the graph was made without ContentFeatures"
            )
        with naming("the new items"):
            found: FeatureTable = encoder.read(features)
        return found

    def _told(self, features: FeatureTable, x: "np.ndarray", total: "np.ndarray") -> "np.ndarray":
        """Node features from those by co-visits, ``x``, of a ``total`` weight each, and content."""
        if len(features) != len(x):
            raise InputError(f"features of {len(features)} new items, but there are {len(x)}")
        if self.content.stop:
            x[:, self.content] = self.graph.content(features).numpy()
        share = (total / (total + _COVISITS))[:, None]
        found: np.ndarray = share * x + (1 - share) * self.regression(features).numpy()
        return found

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
