"""Encoders of the co-visit graph: which centres an item belongs to, and how much."""

import copy
import inspect
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn.inits import glorot, zeros
from torch_geometric.utils import softmax as edge_softmax

from resemb_gnn.data import distinct
from resemb_gnn.errors import InputError
from resemb_gnn.graph import Adjacency, gcn_adjacency, mean_adjacency, plain_adjacency
from resemb_gnn.nn.segment import segment_index


class View(nn.Module):
    """What an encoder needs of one graph: buffers that are rebuilt from it and not saved."""

    ptr: Tensor
    index: Tensor
    weight: Tensor
    x: Tensor
    propagated: Tensor
    edge_index: Tensor
    edge_weight: Tensor | None

    def __init__(self, **buffers: Tensor | None) -> None:
        super().__init__()
        for name, value in buffers.items():
            self.register_buffer(name, value, persistent=False)

    @property
    def adjacency(self) -> Adjacency:
        return Adjacency(self.ptr, self.index, self.weight)


class CenterEncoder(nn.Module):
    r"""Base class: maps item ids to centre weights :math:`w_i \ge 0`, :math:`\sum_k w_{ik} = 1`.

    Only the rows asked for are computed, with the values and the gradients that encoding the
    whole graph would give. If the graph has ``fold_graphs``, ``fold`` names the one to look at.

    Shapes:
        - **input:** ids, int64 ``[n]``; fold, int or ``None`` for the full graph
        - **output:** centre weights ``[n, num_centers]``
    """

    def __init__(self, graph: Data, num_centers: int, view: Callable[[Data], View]) -> None:
        super().__init__()
        self.num_centers = num_centers
        graphs = [copy.copy(part) for part in graph.get("fold_graphs") or []]
        for part in graphs:
            if part.x is None:
                part.x = graph.x  # features that the log had no part in
        self.views = nn.ModuleList(view(part) for part in [*graphs, graph])

    def view(self, fold: int | None) -> View:
        """The full graph's view, or a fold's."""
        view = self.views[-1 if fold is None else fold]
        assert isinstance(view, View)
        return view

    def mix(
        self, ids: Tensor, centers: Tensor, fold: int | None = None, sparse: bool = False
    ) -> Tensor:
        """Weighted sum of the centres (``[num_centers, dim]``) for each id, ``[n, dim]``.

        ``sparse`` asks for a sparse gradient of ``centers`` where there is one centre an item.
        """
        return self(ids, fold) @ centers

    def reset_parameters(self) -> None:
        """Draws the parameters anew."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(num_centers={self.num_centers})"


class ItemAverageEncoder(CenterEncoder):
    r"""``average`` with one centre an item: the row of the row-normalised co-visit matrix.

    .. math::
        w_i = \left(D^{-1} (A + I)\right)_{i \cdot}

    Args:
        graph: co-visit graph.
    """

    def __init__(self, graph: Data) -> None:
        num_centers = int(graph.num_nodes or 0)
        super().__init__(graph, num_centers, lambda part: View(**vars(mean_adjacency(part))))

    def forward(self, ids: Tensor, fold: int | None = None) -> Tensor:
        rows = self.view(fold).adjacency.rows(ids)
        row = segment_index(rows.ptr)
        out = rows.weight.new_zeros(ids.numel(), self.num_centers)
        return out.index_put((row, rows.index), rows.weight, accumulate=True)

    def mix(
        self, ids: Tensor, centers: Tensor, fold: int | None = None, sparse: bool = False
    ) -> Tensor:
        return self.view(fold).adjacency.rows(ids).matmul(centers, sparse)


class AverageEncoder(CenterEncoder):
    r"""``average`` with :math:`K` centres: the neighbourhood mean of the items' own assignments.

    .. math::
        w_i = \sum_j \left(D^{-1} (A + I)\right)_{ij}\, \mathrm{softmax}(x_j B / \tau)

    Args:
        graph: co-visit graph with node features ``x`` ``[num_nodes, num_features]``.
        num_centers: number of centres :math:`K`.
        temperature: :math:`\tau`; the smaller, the harder the assignment.
    """

    def __init__(self, graph: Data, num_centers: int, temperature: float = 1.0) -> None:
        super().__init__(
            graph,
            num_centers,
            lambda part: View(x=part.x.float(), **vars(mean_adjacency(part))),
        )
        self.temperature = temperature
        self.assignment = nn.Parameter(torch.empty(graph.x.size(1), num_centers))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        glorot(self.assignment)

    def forward(self, ids: Tensor, fold: int | None = None) -> Tensor:
        view = self.view(fold)
        rows = view.adjacency.rows(ids)
        neighbors, position = distinct(rows.index, view.x.size(0))
        own = (view.x[neighbors] @ self.assignment / self.temperature).softmax(dim=-1)
        return replace(rows, index=position).matmul(own)


class GCNEncoder(CenterEncoder):
    r"""``gcn``: softmax of a graph convolution (Kipf and Welling, ICLR 2017).

    .. math::
        w_i = \mathrm{softmax}((D^{-1/2} (A + I) D^{-1/2} X W + b)_i / \tau)

    The logits equal PyG's ``GCNConv`` with the same parameters. Node features are fixed, so the
    propagated features are computed once; a step costs a dense layer on the rows asked for.

    Args:
        graph: co-visit graph with node features ``x`` ``[num_nodes, num_features]``.
        num_centers: number of centres :math:`K`.
        temperature: :math:`\tau`; the smaller, the harder the assignment.
    """

    def __init__(self, graph: Data, num_centers: int, temperature: float = 1.0) -> None:
        super().__init__(
            graph,
            num_centers,
            lambda part: View(propagated=gcn_adjacency(part).matmul(part.x.float())),
        )
        self.temperature = temperature
        self.weight = nn.Parameter(torch.empty(graph.x.size(1), num_centers))
        self.bias = nn.Parameter(torch.empty(num_centers))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        glorot(self.weight)
        zeros(self.bias)

    def forward(self, ids: Tensor, fold: int | None = None) -> Tensor:
        # The temperature divides the parameters rather than a row of logits an item.
        weight, bias = self.weight / self.temperature, self.bias / self.temperature
        rows = self.view(fold).propagated.index_select(0, ids)
        return torch.addmm(bias, rows, weight).softmax(dim=-1)


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
    """

    def __init__(
        self,
        graph: Data,
        num_centers: int,
        temperature: float = 1.0,
        negative_slope: float = 0.2,
    ) -> None:
        super().__init__(
            graph,
            num_centers,
            lambda part: View(x=part.x.float(), **vars(plain_adjacency(part))),
        )
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

    def forward(self, ids: Tensor, fold: int | None = None) -> Tensor:
        view = self.view(fold)
        rows = view.adjacency.rows(ids)
        # x W a = x (W a): scores need no K-wide row an edge, and neither does the sum below.
        source = self.lin @ self.att_source[0]
        target = self.lin @ self.att_target[0]
        if view.x.size(0) <= rows.index.numel():
            source_score = (view.x @ source).index_select(0, rows.index)
        else:
            source_score = view.x.index_select(0, rows.index) @ source
        target_score = (view.x.index_select(0, ids) @ target).repeat_interleave(rows.ptr.diff())
        score = nn.functional.leaky_relu(source_score + target_score, self.negative_slope)
        mean = replace(rows, weight=edge_softmax(score, ptr=rows.ptr)).matmul(view.x)
        weight, bias = self.lin / self.temperature, self.bias / self.temperature
        return torch.addmm(bias, mean, weight).softmax(dim=-1)


class FullGraphEncoder(CenterEncoder):
    r"""Any PyG module over the whole graph, :math:`w = \mathrm{softmax}(f(X, E) / \tau)`.

    Args:
        graph: co-visit graph with node features ``x`` ``[num_nodes, num_features]``.
        module: called as ``module(x, edge_index, edge_weight)``, or without the weights if its
            ``forward`` has no ``edge_weight``; returns ``[num_nodes, num_centers]``.
        num_centers: number of centres :math:`K`.
        temperature: :math:`\tau`.

    Raises:
        InputError: in ``forward``, if the module returns another shape.
    """

    def __init__(
        self, graph: Data, module: nn.Module, num_centers: int, temperature: float = 1.0
    ) -> None:
        super().__init__(
            graph,
            num_centers,
            lambda part: View(
                x=part.x.float(),
                edge_index=part.edge_index,
                edge_weight=None if part.edge_weight is None else part.edge_weight.float(),
            ),
        )
        self.temperature = temperature
        self.module = module
        self.takes_weight = "edge_weight" in inspect.signature(module.forward).parameters

    def reset_parameters(self) -> None:
        reset = getattr(self.module, "reset_parameters", None)
        if callable(reset):
            reset()

    def forward(self, ids: Tensor, fold: int | None = None) -> Tensor:
        view = self.view(fold)
        if self.takes_weight:
            logits = self.module(view.x, view.edge_index, edge_weight=view.edge_weight)
        else:
            logits = self.module(view.x, view.edge_index)
        shape = (view.x.size(0), self.num_centers)
        if logits.shape != shape:
            raise InputError(
                f"the encoder {type(self.module).__name__} returned shape {list(logits.shape)},"
                f" not [num_nodes, num_centers] = {list(shape)}"
            )
        return (logits[ids] / self.temperature).softmax(dim=-1)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({type(self.module).__name__}, num_centers={self.num_centers})"
        )
