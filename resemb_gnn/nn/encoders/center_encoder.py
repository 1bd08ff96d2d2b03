"""What the encoders of the co-visit graph share: which centres an item belongs to."""

import copy
from collections.abc import Callable

from torch import Tensor, nn
from torch_geometric.data import Data

from resemb_gnn.graph import Adjacency
from resemb_gnn.nn.encoders.center_weights import CenterWeights


class View(nn.Module):
    """What an encoder needs of one graph: buffers that are rebuilt from it and not saved."""

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
        for name, value in buffers.items():
            self.register_buffer(name, value, persistent=False)

    @classmethod
    def both_ways(cls, adjacency: Adjacency) -> "View":
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


class CenterEncoder(nn.Module):
    r"""Base class: maps item ids to centre weights :math:`w_i \ge 0`, :math:`\sum_k w_{ik} = 1`
    (as :class:`~resemb_gnn.nn.CenterWeights` has them, if others than softmax are chosen).

    A subclass writes :meth:`logits`, or :meth:`forward` itself if it has none.

    Only the rows asked for are computed, with the values and the gradients that encoding the
    whole graph would give. If the graph has ``fold_graphs``, ``fold`` names the one to look at.

    Shapes:
        - **input:** ids, int64 ``[n]``; fold, int or ``None`` for the full graph
        - **output:** centre weights ``[n, num_centers]``
    """

    def __init__(
        self,
        graph: Data,
        num_centers: int,
        view: Callable[[Data], View],
        normalize: CenterWeights | None = None,
    ) -> None:
        super().__init__()
        self.num_centers = num_centers
        self.normalize = normalize or CenterWeights()
        self.normalize.check(num_centers)
        graphs = [copy.copy(part) for part in graph.get("fold_graphs") or []]
        for part in graphs:
            if part.x is None:
                part.x = graph.x  # features that the log had no part in
        self.views = nn.ModuleList(view(part) for part in [*graphs, graph])
        self.make_view = view
        self.graph = _bare(graph)  # kept for items that come later, not saved

    def on(self, graph: Data) -> "CenterEncoder":
        """The same encoder, its parameters shared, looking at another graph.

        Args:
            graph: a graph with node features of the same width, if this one's has any, whose first
                nodes are the nodes of this one's.
        """
        other = copy.copy(self)
        view = self.make_view(graph).to(next(self.view(None).buffers()).device)
        other._modules = self._modules | {"views": nn.ModuleList([view])}
        other.graph = _bare(graph)
        return other

    def view(self, fold: int | None) -> View:
        """The full graph's view, or a fold's."""
        view = self.views[-1 if fold is None else fold]
        assert isinstance(view, View)
        return view

    def forward(self, ids: Tensor, fold: int | None = None) -> Tensor:
        return self.normalize(self.logits(ids, fold))

    def logits(self, ids: Tensor, fold: int | None = None) -> Tensor:
        """What the centre weights are made of, temperature included: ``[n, num_centers]``."""
        raise NotImplementedError

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


def _bare(graph: Data) -> Data:
    """The graph without its folds; the tensors are shared."""
    names = ("x", "edge_index", "edge_weight", "count", "num_nodes")
    return Data(**{name: graph.get(name) for name in names})
