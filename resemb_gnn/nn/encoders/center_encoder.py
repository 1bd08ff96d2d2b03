"""What the encoders of the co-visit graph share: which centres an item belongs to."""

import copy
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from resemb_gnn.errors import InputError
from resemb_gnn.graph import Adjacency, check_graph
from resemb_gnn.graph.adjacency import graph_dtype
from resemb_gnn.nn.encoders.center_normalization import CenterNormalization
from resemb_gnn.nn.layers.own_precision import in_own_precision


class GraphBuffers(nn.Module):
    """What an encoder needs of one graph: buffers that are rebuilt from it and not saved. Floating
    numbers are of PyTorch's default type, as parameters are.
    """

    ptr: Tensor
    index: Tensor
    weight: Tensor
    back_ptr: Tensor  # of the transposed matrix
    back_index: Tensor
    back_weight: Tensor
    x: Tensor
    propagated: Tensor
    edge_index: Tensor
    edge_weight: Tensor | None
    center: Tensor

    def __init__(self, **buffers: Tensor | None) -> None:
        super().__init__()
        dtype = torch.get_default_dtype()
        for name, value in buffers.items():
            if value is not None and value.is_floating_point():
                value = value.to(dtype)
            self.register_buffer(name, value, persistent=False)

    @classmethod
    def both_ways(cls, adjacency: Adjacency) -> "GraphBuffers":
        """A view with an adjacency and its transpose, for propagation over the whole graph."""
        back = adjacency.transpose()
        return cls(
            **vars(adjacency), back_ptr=back.ptr, back_index=back.index, back_weight=back.weight
        )

    @property
    def adjacency(self) -> Adjacency:
        return Adjacency(self.ptr, self.index, self.weight)

    @property
    def transpose(self) -> Adjacency:
        return Adjacency(self.back_ptr, self.back_index, self.back_weight)


def graph_buffers_of(views: nn.ModuleList, fold: int | None) -> GraphBuffers:
    """The view of a fold's graph, or, last of them, the full graph's.

    Raises:
        InputError: if there is no such fold.
    """
    num_folds = len(views) - 1
    if fold is not None and not 0 <= fold < num_folds:
        raise InputError(f"fold={fold} is none of the {num_folds} folds of the graph")
    view = views[num_folds if fold is None else fold]
    assert isinstance(view, GraphBuffers)
    return view


def node_features(graph: Data) -> Tensor:
    """The features ``x`` of the nodes, in the type that graphs are computed in.

    Raises:
        InputError: if the graph has none.
    """
    if graph.x is None:
        raise InputError("this encoder looks at node features, but graph.x is None")
    x: Tensor = graph.x
    return x.to(graph_dtype())


class CenterEncoder(nn.Module):
    r"""Base class: maps item ids to centre weights :math:`w_i \ge 0`, :math:`\sum_k w_{ik} = 1`
    (as :class:`~resemb_gnn.nn.CenterNormalization` has them, if others than softmax are chosen).

    A subclass writes :meth:`logits`, or :meth:`forward` itself if it has none.

    Only the rows asked for are computed, with the values and the gradients that encoding the
    whole graph would give. If the graph has ``fold_graphs``, ``fold`` names the one to look at.

    Shapes:
        - **input:** ids, int64 ``[n]``; fold, int or ``None`` for the full graph
        - **output:** centre weights ``[n, num_centers]``

    Raises:
        InputError: if the graph is unusable, or, in ``forward``, there is no such fold.
        IndexError: in ``forward``, if an id is out of range, as ``torch.nn.Embedding`` has it.
    """

    def __init__(
        self,
        graph: Data,
        num_centers: int,
        view: Callable[[Data], GraphBuffers],
        normalize: CenterNormalization | None = None,
    ) -> None:
        super().__init__()
        check_graph(graph)
        self.num_centers = num_centers
        self.normalize = normalize or CenterNormalization()
        self.normalize.check(num_centers)
        self.views = nn.ModuleList(view(part) for part in _graphs(graph))
        self.make_view = view
        self.graph = _bare(graph)  # kept for items that come later, not saved

    def on(self, graph: Data) -> "CenterEncoder":
        """The same encoder, its parameters shared, looking at another graph.

        Args:
            graph: a graph with node features of the same width, if this one's has any, whose first
                nodes are the nodes of this one's.
        """
        other = copy.copy(self)
        own = list(self.view(None).buffers())  # where to, even for an encoder without parameters
        dtype = next((each.dtype for each in own if each.is_floating_point()), None)
        view = self.make_view(graph).to(device=own[0].device, dtype=dtype)
        other._modules = self._modules | {"views": nn.ModuleList([view])}
        other.graph = _bare(graph)
        return other

    def view(self, fold: int | None) -> GraphBuffers:
        """The full graph's view, or a fold's."""
        return graph_buffers_of(self.views, fold)

    @in_own_precision
    def forward(self, ids: Tensor, fold: int | None = None) -> Tensor:
        return self.normalize(self.logits(ids, fold))

    def logits(self, ids: Tensor, fold: int | None = None) -> Tensor:
        """What the centre weights are made of, temperature included: ``[n, num_centers]``."""
        raise NotImplementedError

    @in_own_precision
    def mix(
        self, ids: Tensor, centers: Tensor, fold: int | None = None, sparse: bool = False
    ) -> Tensor:
        """Weighted sum of the centres (``[num_centers, dim]``) for each id, ``[n, dim]``.

        ``sparse`` asks for a sparse gradient of ``centers`` where there is one centre an item.
        """
        return self(ids, fold) @ centers

    @property
    def item_groups(self) -> Tensor | None:
        """Centre of each item, int64 ``[num_nodes]``, if it was told from outside."""
        return None

    def reset_parameters(self) -> None:
        """Draws the parameters anew."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(num_centers={self.num_centers})"


def _graphs(graph: Data) -> Iterator[Data]:
    """The graphs without a fold, one at a time, and the full one."""
    for part in graph.get("fold_graphs") or []:
        if part.x is None:
            part = copy.copy(part)
            part.x = graph.x  # features that the log had no part in
        yield part
    yield graph


def _bare(graph: Data) -> Data:
    """The graph without its folds; the tensors are shared, but for features in whole numbers, which
    those of new items are not.
    """
    names = ("x", "edge_index", "edge_weight", "count", "content", "num_nodes")
    bare = Data(**{name: graph.get(name) for name in names})
    if bare.x is not None and not bare.x.is_floating_point():
        bare.x = bare.x.to(graph_dtype())
    return bare
