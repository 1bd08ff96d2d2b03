"""``gat``: centre weights by graph attention."""

import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn.inits import glorot, zeros

from resemb_gnn.graph import plain_adjacency
from resemb_gnn.nn.encoders.center_encoder import CenterEncoder, GraphBuffers, node_features
from resemb_gnn.nn.encoders.center_normalization import CenterNormalization
from resemb_gnn.nn.layers.attention_mean import attention_mean


class GATEncoder(CenterEncoder):
    r"""``gat``: softmax of graph attention (Veličković et al., ICLR 2018).

    .. math::
        \alpha_{ij} &= \mathrm{softmax}_j\left(\mathrm{LeakyReLU}(a_s^\top W^\top x_j +
                       a_t^\top W^\top x_i)\right) \\
        w_i &= \mathrm{softmax}\left(\left(\textstyle\sum_j \alpha_{ij} x_j W + b\right)
               / \tau\right)

    over the neighbours :math:`j` of :math:`i` and :math:`i` itself. The logits equal PyG's
    ``GATConv`` with one head and the same parameters. Edge weights are not used.

    Args:
        graph: co-visit graph with node features ``x`` ``[num_nodes, num_features]``.
        num_centers: number of centres :math:`K`.
        temperature: :math:`\tau`; the smaller, the harder the assignment.
        negative_slope: slope of the LeakyReLU.
        normalize: what stands in the softmax's place.
    """

    def __init__(
        self,
        graph: Data,
        num_centers: int,
        temperature: float = 1.0,
        negative_slope: float = 0.2,
        normalize: CenterNormalization | None = None,
    ) -> None:
        super().__init__(graph, num_centers, _with_features, normalize)
        self.temperature = temperature
        self.negative_slope = negative_slope
        self.lin = nn.Parameter(torch.empty(graph.x.size(1), num_centers))
        self.att_source = nn.Parameter(torch.empty(1, num_centers))
        self.att_target = nn.Parameter(torch.empty(1, num_centers))
        self.bias = nn.Parameter(torch.empty(num_centers))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        glorot(self.lin)
        glorot(self.att_source)
        glorot(self.att_target)
        zeros(self.bias)

    def logits(self, ids: Tensor, fold: int | None = None) -> Tensor:
        view = self.view(fold)
        ptr, entry = view.adjacency.entries(ids)
        # x W a = x (W a): scores need no K-wide row an edge, and neither does the mean.
        source = view.x @ (self.lin @ self.att_source[0])
        target = view.x.index_select(0, ids) @ (self.lin @ self.att_target[0])
        index = view.index.index_select(0, entry)
        mean = attention_mean(source, target, view.x, ptr, index, self.negative_slope)
        weight, bias = self.lin / self.temperature, self.bias / self.temperature
        return torch.addmm(bias, mean, weight)


def _with_features(graph: Data) -> GraphBuffers:
    return GraphBuffers(x=node_features(graph), **vars(plain_adjacency(graph)))
