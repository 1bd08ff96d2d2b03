"""What is known of items says what their node features would be."""

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data

from resemb_gnn.data import FeatureTable
from resemb_gnn.graph.adjacency import has_edges
from resemb_gnn.graph.content_encoder import ContentEncoder

# Of the ridge; from a third to three times as much made no difference on Beauty's validation.
_PENALTY = 1.0


class ContentRegression:
    r"""Node features of items from their content alone: a ridge regression over a graph's items.

    .. math::
        \hat x = z M + b, \qquad \min_{M, b} \sum_i \sqrt{n_i}\,
        \lVert z_i M + b - x_i \rVert^2 + \lVert M \rVert^2

    with :math:`z` the :meth:`~resemb_gnn.graph.ContentEncoder.matrix` of the features and
    :math:`n_i` the ``count`` of each item (1 without counts), over the items that have edges. An
    encoder of centres that was trained on the graph is then asked about a feature vector as if it
    were an item's own. (A map from content to trained vectors, for instance by Gantner et al.,
    "Learning Attribute-to-Feature Mappings for Cold-Start Recommendations", ICDM 2010, leaves
    the encoder out.)

    Args:
        encoder: encodes the features, and holds those of the graph's items.
        graph: a graph with node features ``x``.
    """

    def __init__(self, encoder: ContentEncoder, graph: Data) -> None:
        x = graph.x.cpu().double().numpy()
        count = graph.get("count")
        weight = np.ones(len(x)) if count is None else np.sqrt(count.cpu().double().numpy())
        weight = np.where(has_edges(graph).numpy(), weight, 0)
        self.encoder = encoder
        matrix, total = encoder.matrix(encoder.table), max(weight.sum(), 1e-30)
        weighted = matrix.multiply(weight[:, None]).tocsr()
        center, mean = matrix.T @ weight / total, weight @ x / total
        gram = (matrix.T @ weighted).toarray() - total * np.outer(center, center)
        gram[np.diag_indices_from(gram)] += _PENALTY
        self.map = np.linalg.solve(gram, weighted.T @ (x - mean))
        self.bias = mean - center @ self.map

    def __call__(self, table: FeatureTable) -> Tensor:
        """Node features of the rows of a table, float64 ``[n, num_features]``."""
        return torch.from_numpy(self.encoder.matrix(table) @ self.map + self.bias)
