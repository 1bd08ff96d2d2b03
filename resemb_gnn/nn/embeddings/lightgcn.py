"""A learnt table propagated over the co-visit graph."""

from itertools import chain

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from resemb_gnn.errors import InputError
from resemb_gnn.graph import check_graph, symmetric_adjacency
from resemb_gnn.nn.embeddings.item_embedding import ItemEmbedding
from resemb_gnn.nn.encoders.center_encoder import GraphBuffers, graph_buffers_of
from resemb_gnn.nn.encoders.graph_guard import guard_graph
from resemb_gnn.nn.layers.mean_square import mean_square
from resemb_gnn.nn.layers.propagate import propagate
from resemb_gnn.nn.layers.unique_ids import unique_ids


class LightGCNEmbedding(ItemEmbedding):
    r"""Item embeddings as the mean of the layers of a linear graph convolution (He et al.,
    "LightGCN", SIGIR 2020), over items instead of users and items.

    .. math::
        E = \frac{1}{L + 1} \sum_{l=0}^{L} \tilde A^l E^{(0)}, \qquad
        \tilde A = D^{-1/2} A D^{-1/2}

    with a learnt table :math:`E^{(0)}`, edges weighted by co-visits and no self-loops. The whole
    table is propagated at each step: the neighbourhood of a batch is most of the graph anyway.

    With a graph of ``folds``, ``fold=`` embeds as in :class:`~resemb_gnn.ResEmbedding`.

    Args:
        graph: co-visit graph.
        embedding_dim: width of the embeddings.
        num_layers: :math:`L`, at least 1.
        std: standard deviation of the table at the start.
        l2: :math:`\lambda` of :meth:`penalty`.

    Shapes:
        - **input:** item ids, int64 ``[*]``; fold, int or ``None``
        - **output:** embeddings ``[*, embedding_dim]``

    Raises:
        InputError: if a setting is out of its range, or the graph unusable; in ``forward``, if
            there is no such fold.
        IndexError: in ``forward``, if an id is out of range, as ``torch.nn.Embedding`` has it.
    """

    penalizes_history = True  # CTRModel hands every item of the batch to penalty()

    def __init__(
        self,
        graph: Data,
        embedding_dim: int = 32,
        num_layers: int = 2,
        *,
        std: float = 0.003,
        l2: float = 0.0,
    ) -> None:
        super().__init__()
        for name, value, low in (
            ("embedding_dim", embedding_dim, 1),
            ("num_layers", num_layers, 1),
            ("std", std, 0),
            ("l2", l2, 0),
        ):
            if not value >= low:
                raise InputError(f"{name} must be at least {low}, not {value}")
        check_graph(graph)
        self.num_embeddings = int(graph.num_nodes or 0)
        self.embedding_dim = embedding_dim
        self.num_layers = num_layers
        self.std = std
        self.l2 = l2
        self.views = nn.ModuleList(
            GraphBuffers.both_ways(symmetric_adjacency(part))
            for part in chain(graph.get("fold_graphs") or [], [graph])
        )
        self.weight = nn.Parameter(torch.empty(self.num_embeddings, embedding_dim))
        self.user_fold = graph.get("user_fold")
        guard_graph(self, graph)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the table anew."""
        nn.init.normal_(self.weight, std=self.std)

    def forward(self, ids: Tensor, fold: int | None = None) -> Tensor:
        view = graph_buffers_of(self.views, fold)
        layer: Tensor = self.weight
        total = layer
        for _ in range(self.num_layers):
            layer = propagate(view.adjacency, view.transpose, layer)
            total = total + layer
        return nn.functional.embedding(ids, total) / (self.num_layers + 1)

    def penalty(self, ids: Tensor) -> Tensor | None:
        r"""L2 penalty :math:`\lambda \cdot \mathrm{mean}_i \lVert e^{(0)}_i \rVert^2` over the
        distinct ``ids`` (``[*]``), as in the paper on the table itself; ``None`` if
        :math:`\lambda = 0`, and 0 for no ids.
        """
        if self.l2 == 0:
            return None
        unique, _ = unique_ids(ids.flatten(), self.num_embeddings)
        return self.l2 * mean_square(self.weight.index_select(0, unique))

    def extra_repr(self) -> str:
        return f"{self.num_embeddings}, {self.embedding_dim}, num_layers={self.num_layers}"
