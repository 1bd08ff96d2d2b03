"""What is known of an item says what its neighbourhood would be like."""

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch_geometric.data import Data

from resemb_gnn.data import FeatureTable
from resemb_gnn.graph.adjacency import gcn_adjacency, graph_dtype, has_edges
from resemb_gnn.graph.content_encoder import ContentEncoder

# Of the ridge; from a third to three times as much made no difference on Beauty's validation.
_PENALTY = 1.0


class ContentRegression:
    r"""What features of items say of the node features that their neighbourhood would have: a ridge
    regression over a graph's items.

    .. math::
        \hat x = z M + b, \qquad \min_{M, b} \sum_i \sqrt{n_i}\,
        \lVert z_i M + b - (\hat A X)_i \rVert^2 + \lVert M \rVert^2

    with :math:`z` the :meth:`~resemb_gnn.graph.ContentEncoder.matrix` of the features,
    :math:`\hat A = D^{-1/2} (A + I) D^{-1/2}` and :math:`n_i` the ``count`` of each item (1 without
    counts), over the items that have edges. An item without edges sees itself alone: with
    :math:`\hat x` as its row, an encoder that was trained on neighbourhoods sees what it is used
    to, where the item's own columns as they are would be farther out than any mean of neighbours.
    (Maps from content to trained vectors, as of Gantner et al., "Learning Attribute-to-Feature
    Mappings for Cold-Start Recommendations", ICDM 2010, leave the encoder out.)

    Args:
        encoder: encodes the features, and holds those of the graph's items.
        graph: a graph with node features ``x``.
    """

    def __init__(self, encoder: ContentEncoder, graph: Data) -> None:
        x = gcn_adjacency(graph).matmul(graph.x.to(graph_dtype())).cpu().double().numpy()
        count = graph.get("count")
        weight = np.ones(len(x)) if count is None else np.sqrt(count.cpu().double().numpy())
        weight = np.where(has_edges(graph).numpy(), weight, 0)
        self.encoder = encoder
        matrix, total = encoder.matrix(encoder.table), max(weight.sum(), 1e-30)
        weighted = matrix.multiply(weight[:, None]).tocsr()
        center, mean = matrix.T @ weight / total, weight @ x / total
        gram = (matrix.T @ weighted).toarray() - total * np.outer(center, center)
        gram[np.diag_indices_from(gram)] += _PENALTY
        with threadpool_limits(1, user_api="blas"):  # the same sums, however many threads
            self.map = np.linalg.solve(gram, weighted.T @ (x - mean))
        self.bias = mean - center @ self.map

    def __call__(self, table: FeatureTable) -> Tensor:
        """Node features of the rows of a table, float64 ``[n, num_features]``."""
        return torch.from_numpy(self.encoder.matrix(table) @ self.map + self.bias)
