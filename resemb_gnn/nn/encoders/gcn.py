"""``gcn``: centre weights by graph convolution."""

from dataclasses import replace
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn.inits import glorot, zeros

from resemb_gnn.graph import gcn_adjacency
from resemb_gnn.nn.encoders.center_encoder import CenterEncoder, GraphBuffers, node_features
from resemb_gnn.nn.encoders.center_normalization import CenterNormalization
from resemb_gnn.nn.layers.unique_ids import unique_ids


class GCNEncoder(CenterEncoder):
    r"""``gcn``: softmax of a graph convolution (Kipf and Welling, ICLR 2017).

    .. math::
        w_i = \mathrm{softmax}((\hat A X W + b)_i / \tau), \qquad
        \hat A = D^{-1/2} (A + I) D^{-1/2}

    The logits equal PyG's ``GCNConv`` with the same parameters. Node features are fixed, so the
    propagated features :math:`\hat A X` are computed once; a step costs a dense layer on the rows
    asked for. With ``hidden`` widths, further convolutions with ReLU between them follow; their
    step costs the neighbourhood of the rows asked for, one hop a further layer.

    Args:
        graph: co-visit graph with node features ``x`` ``[num_nodes, num_features]``.
        num_centers: number of centres :math:`K`.
        temperature: :math:`\tau`; the smaller, the harder the assignment.
        hidden: widths of the hidden layers; empty for a single convolution.
        normalize: what stands in the softmax's place.
    """

    def __init__(
        self,
        graph: Data,
        num_centers: int,
        temperature: float = 1.0,
        hidden: tuple[int, ...] = (),
        normalize: CenterNormalization | None = None,
    ) -> None:
        view = partial(_propagate, keep_adjacency=bool(hidden))
        super().__init__(graph, num_centers, view, normalize)
        self.temperature = temperature
        widths = [graph.x.size(1), *hidden]
        self.hidden = nn.ModuleList(nn.Linear(*shape) for shape in pairwise(widths))
        self.weight = nn.Parameter(torch.empty(widths[-1], num_centers))
        self.bias = nn.Parameter(torch.empty(num_centers))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        for layer in self.hidden:
            glorot(layer.weight)
            zeros(layer.bias)
        glorot(self.weight)
        zeros(self.bias)

    def logits(self, ids: Tensor, fold: int | None = None) -> Tensor:
        rows = self._propagated(ids, self.view(fold), len(self.hidden))
        # The temperature divides the parameters rather than a row of logits an item.
        weight, bias = self.weight / self.temperature, self.bias / self.temperature
        return torch.addmm(bias, rows, weight)

    def _propagated(self, ids: Tensor, view: GraphBuffers, layer: int) -> Tensor:
        """Rows ``ids`` of the propagated input of a layer (0 is the first)."""
        if layer == 0:
            return view.propagated.index_select(0, ids)
        rows = view.adjacency.rows(ids)
        neighbors, position = unique_ids(rows.index, view.propagated.size(0))
        inputs = self._propagated(neighbors, view, layer - 1)
        return replace(rows, index=position).matmul(self.hidden[layer - 1](inputs).relu())


def _propagate(graph: Data, keep_adjacency: bool) -> GraphBuffers:
    adjacency = gcn_adjacency(graph)
    further = vars(adjacency) if keep_adjacency else {}
    return GraphBuffers(propagated=adjacency.matmul(node_features(graph)), **further)
