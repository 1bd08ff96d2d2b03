"""Hard centres: every item belongs to one, known beforehand."""

import copy

import torch
from torch import Tensor
from torch_geometric.data import Data

from resemb_gnn.errors import InputError
from resemb_gnn.graph import check_graph
from resemb_gnn.graph.adjacency import graph_dtype
from resemb_gnn.graph.fold_graphs import nodes_of, with_attribute
from resemb_gnn.nn.encoders.center_encoder import CenterEncoder, GraphBuffers, node_features


class HardEncoder(CenterEncoder):
    r"""One centre an item, :math:`w_{ik} = 1` for :math:`k = k(i)` and 0 otherwise; nothing is
    learnt but the centres themselves.

    Args:
        graph: co-visit graph.
        center: centre :math:`k(i)` of each item, int64 ``[num_nodes]``, from 0.
        fold_center: the centres as the examples of each fold see them, if the graph has
            ``fold_graphs`` and they differ.

    Raises:
        InputError: if ``center`` is not one whole number from 0 for each node, ``fold_center`` not
            one such tensor for each fold, or the graph unusable.
    """

    one: Tensor

    def __init__(
        self, graph: Data, center: Tensor, fold_center: list[Tensor] | None = None
    ) -> None:
        check_graph(graph)
        num_folds = len(graph.get("fold_graphs") or [])
        every = [*(fold_center or [center] * num_folds), center]
        if len(every) != num_folds + 1:
            raise InputError(f"fold_center has {len(every) - 1} parts, the graph {num_folds} folds")
        for part in every:
            if not _are_numbers(part, int(graph.num_nodes or 0)):
                raise InputError(
                    f"center must hold one whole number from 0 for each of {graph.num_nodes} nodes"
                )
        num_centers = 1 + max(int(part.max()) for part in every)
        graph = copy.copy(graph)
        *parts, graph.center = (own.long() for own in every)
        graph.fold_graphs = with_attribute(graph.get("fold_graphs") or [], "center", parts)
        super().__init__(graph, num_centers, _centers)
        # No parameter of this encoder tells in which type the weights are wanted.
        self.register_buffer("one", torch.ones(()), persistent=False)

    @classmethod
    def kmeans(cls, graph: Data, num_centers: int, seed: int = 0) -> "HardEncoder":
        """Centres of the node features by k-means (scikit-learn).

        The clusters are those of the full graph's features; examples of a fold see each item in
        the cluster nearest to its features in the fold's graph.

        Args:
            graph: co-visit graph with node features ``x``.
            num_centers: number of clusters, at most ``num_nodes``.
            seed: seed of the start.

        Raises:
            InputError: if there are more clusters than items, or the graph has no ``x`` or is
                unusable.
        """
        check_graph(graph)
        x = node_features(graph).cpu()
        if num_centers > (graph.num_nodes or 0):
            raise InputError(f"num_centers={num_centers} is more than {graph.num_nodes} items")
        from sklearn.cluster import KMeans  # takes a second to import

        found = KMeans(num_centers, n_init=1, random_state=seed).fit(x.numpy())
        folds = [
            torch.from_numpy(
                found.predict((x if part.x is None else node_features(part).cpu()).numpy())
            )
            for part in nodes_of(graph.get("fold_graphs") or [])
        ]
        return cls(graph, torch.from_numpy(found.labels_), folds or None)

    def on(self, graph: Data) -> CenterEncoder:
        """A node beyond this graph's gets the centre that most of the weight of its edges from
        this graph's nodes speaks for, and the commonest one without any.
        """
        center = self.view(None).center.cpu()
        size = center.numel()
        source, target = graph.edge_index
        weight = torch.ones(source.numel()) if graph.edge_weight is None else graph.edge_weight
        weight = weight.to(graph_dtype())
        voter = (source < size) & (target >= size)
        votes = weight.new_zeros(int(graph.num_nodes or 0) - size, self.num_centers)
        at = (target[voter] - size, center[source[voter]])
        votes = votes.index_put(at, weight[voter], accumulate=True)
        chosen = votes.argmax(dim=1)
        chosen[votes.sum(dim=1) == 0] = center.bincount().argmax()
        graph = copy.copy(graph)
        graph.center = torch.cat([center, chosen])
        return super().on(graph)

    @property
    def item_groups(self) -> Tensor | None:
        return self.view(None).center

    def forward(self, ids: Tensor, fold: int | None = None) -> Tensor:
        center = self.view(fold).center.index_select(0, ids)
        return torch.nn.functional.one_hot(center, self.num_centers).to(self.one.dtype)

    def mix(
        self, ids: Tensor, centers: Tensor, fold: int | None = None, sparse: bool = False
    ) -> Tensor:
        return torch.nn.functional.embedding(self.view(fold).center.index_select(0, ids), centers)


def _are_numbers(center: object, size: int) -> bool:
    """Whether this is a tensor of one whole number from 0 a node."""
    if not isinstance(center, Tensor) or center.is_floating_point() or center.is_complex():
        return False
    return center.shape == (size,) and not bool((center < 0).any())


def _centers(graph: Data) -> GraphBuffers:
    return GraphBuffers(center=graph.center)
