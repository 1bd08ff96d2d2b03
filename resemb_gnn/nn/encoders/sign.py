"""``sign``: centre weights from an item's own features and those of its neighbourhoods."""

from functools import partial

import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn.inits import glorot, zeros

from resemb_gnn.graph import gcn_adjacency
from resemb_gnn.nn.encoders.center_encoder import CenterEncoder, GraphBuffers, node_features
from resemb_gnn.nn.encoders.center_normalization import CenterNormalization


class SIGNEncoder(CenterEncoder):
    r"""``sign``: softmax over the features propagated 0 to :math:`L` times side by side (SIGN;
    Frasca et al., "SIGN: Scalable Inception Graph Neural Networks", 2020).

    .. math::
        w_i = \mathrm{softmax}\left(\left([X, \hat A X, \dots, \hat A^L X]_i W + b\right)
              / \tau\right), \qquad \hat A = D^{-1/2} (A + I) D^{-1/2}

    Unlike ``gcn``, an item keeps its own features apart from its neighbours'. With ``relu`` in the
    softmax's place, the centres are the second layer of a network of two over these features. Node
    features are fixed and propagated once; a step costs a dense layer on the rows asked for.

    Args:
        graph: co-visit graph with node features ``x`` ``[num_nodes, num_features]``.
        num_centers: number of centres :math:`K`.
        temperature: :math:`\tau`; the smaller, the harder the assignment.
        hops: :math:`L`, at least 1.
        normalize: what stands in the softmax's place.
    """

    def __init__(
        self,
        graph: Data,
        num_centers: int,
        temperature: float = 1.0,
        hops: int = 2,
        normalize: CenterNormalization | None = None,
    ) -> None:
        super().__init__(graph, num_centers, partial(_propagate, hops=hops), normalize)
        self.temperature = temperature
        self.weight = nn.Parameter(torch.empty((hops + 1) * graph.x.size(1), num_centers))
        self.bias = nn.Parameter(torch.empty(num_centers))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        glorot(self.weight)
        zeros(self.bias)

    def logits(self, ids: Tensor, fold: int | None = None) -> Tensor:
        rows = self.view(fold).propagated.index_select(0, ids)
        return torch.addmm(self.bias / self.temperature, rows, self.weight / self.temperature)


def hop_features(graph: Data, hops: int) -> Tensor:
    r"""Node features propagated 0 to ``hops`` times side by side, :math:`[X, \hat A X, \dots]`.

    Returns:
        ``[num_nodes, (hops + 1) * num_features]``.

    Raises:
        InputError: if the graph has no features.
    """
    layers = [node_features(graph)]
    if hops:
        adjacency = gcn_adjacency(graph)
    for _ in range(hops):
        layers.append(adjacency.matmul(layers[-1]))
    return torch.cat(layers, dim=1)


def _propagate(graph: Data, hops: int) -> GraphBuffers:
    return GraphBuffers(propagated=hop_features(graph, hops))
