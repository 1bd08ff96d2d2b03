"""Encoders of the co-visit graph: which centres an item belongs to, and how much."""

import inspect
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn.inits import glorot, zeros
from torch_geometric.utils import softmax as edge_softmax

from resemb_gnn.errors import InputError
from resemb_gnn.graph import Adjacency, gcn_adjacency, mean_adjacency, plain_adjacency


class CenterEncoder(nn.Module):
    r"""Base class: maps item ids to centre weights :math:`w_i \ge 0`, :math:`\sum_k w_{ik} = 1`.

    Only the rows asked for are computed, with the values and the gradients that encoding the
    whole graph would give.

    Shapes:
        - **input:** ids, int64 ``[n]``
        - **output:** centre weights ``[n, num_centers]``
    """

    num_centers: int

    def mix(self, ids: Tensor, centers: Tensor) -> Tensor:
        """Weighted sum of the centres (``[num_centers, dim]``) for each id, ``[n, dim]``."""
        return self(ids) @ centers

    def reset_parameters(self) -> None:
        """Draws the parameters anew."""

    def extra_repr(self) -> str:
        return f"num_centers={self.num_centers}"


class _GraphEncoder(CenterEncoder):
    """Keeps an adjacency as buffers, which are rebuilt from the graph and not saved."""

    ptr: Tensor
    index: Tensor
    weight: Tensor

    def _keep(self, adjacency: Adjacency) -> None:
        for name, part in vars(adjacency).items():
            self.register_buffer(name, part, persistent=False)

    @property
    def adjacency(self) -> Adjacency:
        return Adjacency(self.ptr, self.index, self.weight)


class ItemAverageEncoder(_GraphEncoder):
    r"""``average`` with one centre an item: the row of the row-normalised co-visit matrix.

    .. math::
        w_i = \left(D^{-1} (A + I)\right)_{i \cdot}

    Args:
        graph: co-visit graph.
    """

    def __init__(self, graph: Data) -> None:
        super().__init__()
        self.num_centers = int(graph.num_nodes or 0)
        self._keep(mean_adjacency(graph))

    def forward(self, ids: Tensor) -> Tensor:
        rows = self.adjacency.rows(ids)
        row = torch.arange(ids.numel(), device=ids.device).repeat_interleave(rows.ptr.diff())
        out = rows.weight.new_zeros(ids.numel(), self.num_centers)
        return out.index_put((row, rows.index), rows.weight, accumulate=True)

    def mix(self, ids: Tensor, centers: Tensor) -> Tensor:
        return self.adjacency.rows(ids).matmul(centers)


class AverageEncoder(_GraphEncoder):
    r"""``average`` with :math:`K` centres: the neighbourhood mean of the items' own assignments.

    .. math::
        w_i = \sum_j \left(D^{-1} (A + I)\right)_{ij}\, \mathrm{softmax}(x_j B / \tau)

    Args:
        graph: co-visit graph with node features ``x`` ``[num_nodes, num_features]``.
        num_centers: number of centres :math:`K`.
        temperature: :math:`\tau`; the smaller, the harder the assignment.
    """

    x: Tensor

    def __init__(self, graph: Data, num_centers: int, temperature: float = 1.0) -> None:
        super().__init__()
        self.num_centers = num_centers
        self.temperature = temperature
        self._keep(mean_adjacency(graph))
        self.register_buffer("x", graph.x.float(), persistent=False)
        self.assignment = nn.Parameter(torch.empty(self.x.size(1), num_centers))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        glorot(self.assignment)

    def forward(self, ids: Tensor) -> Tensor:
        rows = self.adjacency.rows(ids)
        neighbors, position = rows.index.unique(return_inverse=True)
        own = (self.x[neighbors] @ self.assignment / self.temperature).softmax(dim=-1)
        return replace(rows, index=position).matmul(own)


class GCNEncoder(CenterEncoder):
    r"""``gcn``: softmax of a graph convolution (Kipf and Welling, ICLR 2017).

    .. math::
        w_i = \mathrm{softmax}\left(\left((D^{-1/2} (A + I) D^{-1/2} X)_i W + b\right) / \tau\right)

    The logits equal PyG's ``GCNConv`` with the same parameters. Node features are fixed, so the
    propagated features are computed once; a step costs a dense layer on the rows asked for.

    Args:
        graph: co-visit graph with node features ``x`` ``[num_nodes, num_features]``.
        num_centers: number of centres :math:`K`.
        temperature: :math:`\tau`; the smaller, the harder the assignment.
    """

    propagated: Tensor

    def __init__(self, graph: Data, num_centers: int, temperature: float = 1.0) -> None:
        super().__init__()
        self.num_centers = num_centers
        self.temperature = temperature
        propagated = gcn_adjacency(graph).matmul(graph.x.float())
        self.register_buffer("propagated", propagated, persistent=False)
        self.weight = nn.Parameter(torch.empty(propagated.size(1), num_centers))
        self.bias = nn.Parameter(torch.empty(num_centers))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        glorot(self.weight)
        zeros(self.bias)

    def forward(self, ids: Tensor) -> Tensor:
        logits = torch.addmm(self.bias, self.propagated[ids], self.weight)
        return (logits / self.temperature).softmax(dim=-1)


class GATEncoder(_GraphEncoder):
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
    """

    x: Tensor

    def __init__(
        self,
        graph: Data,
        num_centers: int,
        temperature: float = 1.0,
        negative_slope: float = 0.2,
    ) -> None:
        super().__init__()
        self.num_centers = num_centers
        self.temperature = temperature
        self.negative_slope = negative_slope
        self._keep(plain_adjacency(graph))
        self.register_buffer("x", graph.x.float(), persistent=False)
        self.lin = nn.Parameter(torch.empty(self.x.size(1), num_centers))
        self.att_source = nn.Parameter(torch.empty(1, num_centers))
        self.att_target = nn.Parameter(torch.empty(1, num_centers))
        self.bias = nn.Parameter(torch.empty(num_centers))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        glorot(self.lin)
        glorot(self.att_source)
        glorot(self.att_target)
        zeros(self.bias)

    def forward(self, ids: Tensor) -> Tensor:
        rows = self.adjacency.rows(ids)
        # x W a = x (W a): scores need no K-wide row an edge, and neither does the sum below.
        source = self.lin @ self.att_source[0]
        target = self.lin @ self.att_target[0]
        if self.x.size(0) <= rows.index.numel():
            source_score = (self.x @ source)[rows.index]
        else:
            source_score = self.x[rows.index] @ source
        target_score = (self.x[ids] @ target).repeat_interleave(rows.ptr.diff())
        score = nn.functional.leaky_relu(source_score + target_score, self.negative_slope)
        mean = replace(rows, weight=edge_softmax(score, ptr=rows.ptr)).matmul(self.x)
        return (torch.addmm(self.bias, mean, self.lin) / self.temperature).softmax(dim=-1)


class FullGraphEncoder(CenterEncoder):
    r"""Any PyG module over the whole graph as encoder, :math:`w = \mathrm{softmax}(f(X, E) / \tau)`.

    Args:
        graph: co-visit graph with node features ``x`` ``[num_nodes, num_features]``.
        module: called as ``module(x, edge_index, edge_weight)``, or without the weights if its
            ``forward`` has no ``edge_weight``; returns ``[num_nodes, num_centers]``.
        num_centers: number of centres :math:`K`.
        temperature: :math:`\tau`.

    Raises:
        InputError: in ``forward``, if the module returns another shape.
    """

    x: Tensor
    edge_index: Tensor
    edge_weight: Tensor | None

    def __init__(
        self, graph: Data, module: nn.Module, num_centers: int, temperature: float = 1.0
    ) -> None:
        super().__init__()
        self.num_centers = num_centers
        self.temperature = temperature
        self.module = module
        self.register_buffer("x", graph.x.float(), persistent=False)
        self.register_buffer("edge_index", graph.edge_index, persistent=False)
        weight = graph.edge_weight
        self.register_buffer(
            "edge_weight", None if weight is None else weight.float(), persistent=False
        )
        self.takes_weight = "edge_weight" in inspect.signature(module.forward).parameters

    def reset_parameters(self) -> None:
        reset = getattr(self.module, "reset_parameters", None)
        if callable(reset):
            reset()

    def forward(self, ids: Tensor) -> Tensor:
        if self.takes_weight:
            logits = self.module(self.x, self.edge_index, edge_weight=self.edge_weight)
        else:
            logits = self.module(self.x, self.edge_index)
        if logits.shape != (self.x.size(0), self.num_centers):
            raise InputError(
                f"the encoder {type(self.module).__name__} returned shape {list(logits.shape)},"
                f" not [num_nodes, num_centers] = {[self.x.size(0), self.num_centers]}"
            )
        return (logits[ids] / self.temperature).softmax(dim=-1)
