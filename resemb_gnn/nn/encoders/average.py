"""``average``: centre weights by averaging over neighbours."""

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn.inits import glorot

from resemb_gnn.graph import check_graph, mean_adjacency
from resemb_gnn.nn.encoders.center_encoder import CenterEncoder, GraphBuffers, node_features
from resemb_gnn.nn.encoders.center_normalization import CenterNormalization
from resemb_gnn.nn.layers.own_precision import in_own_precision
from resemb_gnn.nn.layers.propagate import propagate
from resemb_gnn.nn.layers.segment import segment_index
from resemb_gnn.nn.layers.unique_ids import unique_ids

# Times that an entry costs more in rows cut out for a batch than in the whole graph's propagation.
_ROW_COST = 10


class ItemAverageEncoder(CenterEncoder):
    r"""``average`` with one centre an item: the row of the row-normalised co-visit matrix.

    .. math::
        w_i = \left(D^{-1} (A + I)\right)_{i \cdot}

    A batch of many items is read off a propagation of all centres, one of few is summed row by
    row: a neighbour's gradient costs several times more where the rows are not the whole graph's.

    Args:
        graph: co-visit graph.
    """

    def __init__(self, graph: Data) -> None:
        check_graph(graph)
        super().__init__(graph, int(graph.num_nodes or 0), _both_ways)

    def forward(self, ids: Tensor, fold: int | None = None) -> Tensor:
        rows = self.view(fold).adjacency.rows(ids)
        row = segment_index(rows.ptr, rows.index.numel())
        out = rows.weight.new_zeros(ids.numel(), self.num_centers)
        return out.index_put((row, rows.index), rows.weight, accumulate=True)

    def on(self, graph: Data) -> CenterEncoder:
        other = super().on(graph)
        other.num_centers = int(graph.num_nodes or 0)
        return other

    def mix(
        self, ids: Tensor, centers: Tensor, fold: int | None = None, sparse: bool = False
    ) -> Tensor:
        view = self.view(fold)
        start, end = view.ptr[:-1].index_select(0, ids), view.ptr[1:].index_select(0, ids)
        if sparse or int((end - start).sum()) * _ROW_COST < view.index.numel():
            return view.adjacency.rows(ids).matmul(centers, sparse)
        return propagate(view.adjacency, view.transpose, centers).index_select(0, ids)


class AverageEncoder(CenterEncoder):
    r"""``average`` with :math:`K` centres: the neighbourhood mean of the items' own assignments.

    .. math::
        w_i = \sum_j \left(D^{-1} (A + I)\right)_{ij}\, \mathrm{softmax}(x_j B / \tau)

    Args:
        graph: co-visit graph with node features ``x`` ``[num_nodes, num_features]``.
        num_centers: number of centres :math:`K`.
        temperature: :math:`\tau`; the smaller, the harder the assignment.
        normalize: what stands in the softmax's place.
    """

    def __init__(
        self,
        graph: Data,
        num_centers: int,
        temperature: float = 1.0,
        normalize: CenterNormalization | None = None,
    ) -> None:
        super().__init__(graph, num_centers, _with_features, normalize)
        self.temperature = temperature
        self.assignment = nn.Parameter(torch.empty(graph.x.size(1), num_centers))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        glorot(self.assignment)

    @in_own_precision
    def forward(self, ids: Tensor, fold: int | None = None) -> Tensor:
        view = self.view(fold)
        rows = view.adjacency.rows(ids)
        neighbors, position = unique_ids(rows.index, view.x.size(0))
        own = self.normalize(view.x[neighbors] @ (self.assignment / self.temperature))
        return replace(rows, index=position).matmul(own)


def _both_ways(graph: Data) -> GraphBuffers:
    return GraphBuffers.both_ways(mean_adjacency(graph))


def _with_features(graph: Data) -> GraphBuffers:
    return GraphBuffers(x=node_features(graph), **vars(mean_adjacency(graph)))
