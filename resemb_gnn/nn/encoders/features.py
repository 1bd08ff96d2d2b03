"""The features of the graph as centre weights: embeddings that are linear in them."""

from functools import partial

import torch
from torch import Tensor
from torch_geometric.data import Data

from resemb_gnn.graph import check_graph
from resemb_gnn.nn.encoders.center_encoder import CenterEncoder, GraphBuffers, node_features
from resemb_gnn.nn.encoders.center_normalization import CenterNormalization
from resemb_gnn.nn.encoders.sign import hop_features

_ROWS = 8192  # items multiplied at a time, in 64 bits


class FeatureEncoder(CenterEncoder):
    r"""Weights that are the node features themselves, those propagated 0 to :math:`L` times side by
    side as :class:`~resemb_gnn.nn.SIGNEncoder` reads them; nothing of it is learnt.

    .. math::
        w_i = [X, \hat A X, \dots, \hat A^L X]_i, \qquad \hat A = D^{-1/2} (A + I) D^{-1/2}

    The mix of centres :math:`w_i C` is then a linear map of the features: a learnt one, of full
    rank, where the centres are learnt, and a fixed one where they are given
    (``ResEmbedding(fixed_centers=...)``). The weights are of either sign and any sum.

    Args:
        graph: co-visit graph with node features ``x`` ``[num_nodes, num_features]``.
        hops: :math:`L`; 0 for an item's own features alone.
        constant: append a weight of 1, whose centre is the map's intercept.
    """

    def __init__(self, graph: Data, hops: int = 2, constant: bool = False) -> None:
        check_graph(graph)
        width = (hops + 1) * node_features(graph).size(1) + constant
        view = partial(_features, hops=hops, constant=constant)
        super().__init__(graph, width, view, CenterNormalization("signed"))

    def logits(self, ids: Tensor, fold: int | None = None) -> Tensor:
        return self.view(fold).propagated.index_select(0, ids)

    def projection(self, dim: int) -> Tensor:
        """Orthonormal columns that take the weights to ``dim`` numbers and lose least of them, as
        centres to be given.

        Weights of at most ``dim`` numbers stay as they are, with zeros behind; of more, the
        coordinates along the principal axes of the full graph's are kept (not centred, and each
        axis with its largest entry positive).

        Returns:
            ``[num_centers, dim]``.
        """
        rows = self.view(None).propagated
        if self.num_centers <= dim:
            return torch.eye(self.num_centers, dim, dtype=rows.dtype)
        products = rows.new_zeros(2 * (self.num_centers,), dtype=torch.float64)
        for part in rows.split(_ROWS):
            products += part.double().T @ part.double()
        axes = torch.linalg.eigh(products).eigenvectors.flip(1)[:, :dim]
        largest = axes.gather(0, axes.abs().argmax(dim=0, keepdim=True))
        return (axes * largest.sign()).to(rows.dtype)


def _features(graph: Data, hops: int, constant: bool) -> GraphBuffers:
    rows = hop_features(graph, hops)
    if constant:
        rows = torch.cat([rows, rows.new_ones(len(rows), 1)], dim=1)
    return GraphBuffers(propagated=rows)
