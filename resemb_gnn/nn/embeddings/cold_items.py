"""Items that were not there when an embedding was trained."""

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.utils import coalesce

from resemb_gnn.data import BehaviorLog
from resemb_gnn.errors import InputError
from resemb_gnn.graph import Adjacency, FeatureExtension, covisit_graph
from resemb_gnn.graph.covisit import check_log
from resemb_gnn.nn.encoders.average import ItemAverageEncoder
from resemb_gnn.nn.encoders.center_encoder import CenterEncoder
from resemb_gnn.nn.layers.own_precision import in_own_precision

Neighbors = Sequence[Tensor] | tuple[Tensor, Tensor]


class ColdItems(nn.Module):
    """What a :class:`~resemb_gnn.ResEmbedding` can say of items that it was not trained on."""

    encoder: CenterEncoder
    centers: nn.Parameter
    residual: nn.Parameter
    num_embeddings: int
    _extension: FeatureExtension | None = None

    @in_own_precision
    def embed_new(
        self,
        x: Tensor | None = None,
        *,
        neighbors: Neighbors,
        weights: Tensor | Sequence[Tensor] | None = None,
    ) -> Tensor:
        r"""Embeddings of items that are not in the table, from their centres alone.

        .. math::
            e_{new} = \sum_{k=1}^{K} w_{new,k} c_k

        The weights are the encoder's on the graph to which the new items are attached by edges
        from their neighbours to them (and none back, so that no item of the table changes, nor
        what it counts for; new items do not see each other). With ``gcn``, for instance,

        .. math::
            w_{new} = \mathrm{softmax}\left(\left(\left(\frac{x_{new}}{d} + \sum_j
                      \frac{a_j}{\sqrt{d\, d_j}} x_j\right) W + b\right) / \tau\right),
                      \qquad d = 1 + \sum_j a_j

        with :math:`a_j` the ``weights`` and :math:`d_j` the degrees in the graph, as PyG's
        ``GCNConv`` has it; ``average`` and ``gat`` take the mean and the attention over the
        neighbours and the item itself. ``average`` with one centre an item has no centre for a new
        one, so that the weighted mean of the neighbours' centres remains; a ``HardEncoder`` takes
        the centre that most of the weight speaks for.

        The graph is encoded anew in each call: hand over many items at once. Differentiable in
        centres and encoder.

        Args:
            x: node features of the new items, ``[num_new, num_features]``, for an encoder that
                looks at them. By default they come from the neighbours, as
                :class:`~resemb_gnn.graph.FeatureExtension` says.
            neighbors: items of the table that each new item is joined to, as a list of int64
                tensors or as a tuple of one (all of them, int64 ``[num_neighbors]``) and its
                offsets (``ptr``, int64 ``[num_new + 1]``). An item without any is encoded from its
                own features.
            weights: weights of these edges in the form of ``neighbors`` (without the offsets); 1 by
                default. They are measured by those of the graph, such as co-visit counts: with
                ``gcn``, an item of little weight in total gets flat centre weights.

        Returns:
            ``[num_new, embedding_dim]``.

        Raises:
            InputError: if a neighbour is not in the table, or a part has a wrong shape or a value
                that is negative or not finite.
        """
        graph, size = self.encoder.graph, self.num_embeddings
        rows = _read_neighbors(neighbors, weights, size)
        num_new = rows.ptr.numel() - 1
        x = self._features(x, rows, num_new)
        new = torch.arange(size, size + num_new)
        edges = torch.stack([rows.index, new.repeat_interleave(rows.ptr.diff())])
        weight = None
        if graph.edge_weight is not None or weights is not None:
            weight = torch.cat([_edge_weight(graph), rows.weight])
        attached = Data(
            x=None if x is None else torch.cat([graph.x.cpu(), x]),
            edge_index=torch.cat([graph.edge_index.cpu(), edges], dim=1),
            edge_weight=weight,
            num_nodes=size + num_new,
        )
        encoder = self.encoder.on(attached)
        return encoder.mix(new.to(self.centers.device), self._grown_centers(rows))

    @torch.no_grad()
    @in_own_precision
    def update(self, log: BehaviorLog, window: int = 5) -> Self:
        """A new embedding that also holds the items and the co-visits of ``log``, not retrained.

        The log's co-visits are added to those of the graph, and its behaviours to ``count``. Items
        of the table keep their features and residuals, and all share the centres and the encoder,
        which stay as they are; a new item has a residual of zero, and node features from its
        co-visits with items of the table (:class:`~resemb_gnn.graph.FeatureExtension`). With one
        centre an item, a new one starts at the weighted mean of the centres of its neighbours in
        the table. So an old item moves only where its neighbourhood has changed, or its shrinkage
        by a larger count.

        This embedding stays as it is, and so do a model's own parameters: put the new one in its
        place (``model.embedding``, and what else was made for a number of items). It has no folds:
        training goes on with the full graph.

        Args:
            log: behaviours that the graph does not hold yet, whose first items are those of the
                table (:func:`~resemb_gnn.data.extend_vocabulary` brings a log into that form). Two
                behaviours of a user are co-visited if both are in it.
            window: how many places apart two behaviours may stand, as in
                :func:`~resemb_gnn.covisit_graph`.

        Raises:
            InputError: if the log has fewer items than the table, or is no ``BehaviorLog``.
        """
        check_log(log)
        size = self.num_embeddings
        if log.num_items < size:
            raise InputError(
                f"the log has {log.num_items} items, but the embedding {size}: the log's first"
                " items must be the embedding's"
            )
        old, more = self.encoder.graph, covisit_graph(log, window)
        edge_index, edge_weight = coalesce(
            torch.cat([old.edge_index.cpu(), more.edge_index], dim=1),
            torch.cat([_edge_weight(old), more.edge_weight]),
            log.num_items,
            reduce="sum",
        )
        rows = _rows_of_new(edge_index, edge_weight, size, log.num_items)
        x = self._features(None, rows, log.num_items - size, more.count[size:])
        graph = Data(
            x=None if x is None else torch.cat([old.x.cpu(), x]),
            edge_index=edge_index,
            edge_weight=edge_weight,
            num_nodes=log.num_items,
        )
        if old.count is not None:
            graph.count = more.count + nn.functional.pad(old.count.cpu(), (0, log.num_items - size))
        other = self._over(graph)
        more_rows = (0, 0, 0, log.num_items - size)
        state = self.state_dict() | {
            "graph_hash": other.graph_hash,
            "centers": self._grown_centers(rows),
            "residual": nn.functional.pad(self.residual, more_rows),
        }
        other.load_state_dict(state)
        other._extension = self._extension
        for new, own in zip(other.parameters(), self.parameters(), strict=True):
            new.requires_grad_(own.requires_grad)
        return other.train(self.training)

    def _over(self, graph: Data) -> Self:
        """An embedding over another graph with the settings of this one, drawn anew."""
        raise NotImplementedError

    def _features(
        self, x: Tensor | None, rows: Adjacency, num_new: int, count: Tensor | None = None
    ) -> Tensor | None:
        """Node features of new items, ``None`` if the encoder has none."""
        known = self.encoder.graph.x
        if known is None:
            if x is not None:
                raise InputError("x was given, but this encoder has no node features")
            return None
        if x is None:
            if self._extension is None:
                self._extension = FeatureExtension(self.encoder.graph)
            return self._extension(rows, count).to(known.dtype)
        if x.shape != (num_new, known.size(1)):
            raise InputError(f"x has shape {list(x.shape)}, not [{num_new}, {known.size(1)}]")
        if not bool(x.isfinite().all()):
            raise InputError("x holds a value that is not finite")
        return x.detach().cpu().to(known.dtype)

    def _grown_centers(self, rows: Adjacency) -> Tensor:
        """The centres; with one an item, a new item's is the mean of those of its neighbours."""
        if not isinstance(self.encoder, ItemAverageEncoder):
            return self.centers
        device = self.centers.device
        known = rows.index < self.num_embeddings
        weight = torch.where(known, rows.weight, 0)
        index = torch.where(known, rows.index, 0)
        parts = (part.to(device) for part in (rows.ptr, index, weight))
        both = torch.cat([self.centers, torch.ones_like(self.centers[:, :1])], 1)
        both = Adjacency(*parts).matmul(both)  # in float32 at least: so the weights are
        means = both[:, :-1] / both[:, -1:].clamp(min=1e-12)
        return torch.cat([self.centers, means.to(self.centers.dtype)])


def _read_neighbors(
    neighbors: Neighbors, weights: Tensor | Sequence[Tensor] | None, size: int
) -> Adjacency:
    if isinstance(neighbors, tuple):
        if len(neighbors) != 2:
            raise InputError("neighbors as a tuple must be (values, ptr)")
        values, ptr = (part.cpu() for part in neighbors)
        steps = ptr.diff()
        if (
            ptr.dim() != 1
            or not ptr.numel()
            or int(ptr[0])
            or bool((steps < 0).any())
            or int(ptr[-1]) != values.numel()
        ):
            raise InputError(f"ptr does not cut {values.numel()} neighbours among new items")
    else:
        parts = [part.cpu().flatten() for part in neighbors]
        values = torch.cat([torch.empty(0, dtype=torch.long), *parts])
        lengths = torch.tensor([part.numel() for part in parts], dtype=torch.long)
        ptr = nn.functional.pad(lengths.cumsum(0), (1, 0))
    if values.is_floating_point() or values.dtype == torch.bool or values.dim() != 1:
        raise InputError("neighbors must be item numbers, int64 [num_neighbors]")
    values, ptr = values.long(), ptr.long()
    outside = (values < 0) | (values >= size)
    if bool(outside.any()):
        raise InputError(f"neighbour {int(values[outside][0])} is not in the table of {size} items")
    if weights is None:
        weight = torch.ones(values.numel())
    elif isinstance(weights, Tensor):
        weight = weights
    else:
        weight = torch.cat([torch.empty(0), *(part.flatten() for part in weights)])
    weight = weight.detach().cpu().float()
    if weight.shape != values.shape:
        raise InputError(f"weights have shape {list(weight.shape)}, not {list(values.shape)}")
    bad = (~weight.isfinite() | (weight < 0)).nonzero()
    if bad.numel():
        at = int(bad[0])
        raise InputError(f"weights[{at}] is {weight[at]}; weights must not be negative")
    return Adjacency(ptr, values, weight)


def _rows_of_new(edge_index: Tensor, edge_weight: Tensor, size: int, num_nodes: int) -> Adjacency:
    """Edges into the nodes from ``size`` on, row by row."""
    new = edge_index[1] >= size
    target, order = (edge_index[1, new] - size).sort(stable=True)
    counts = target.bincount(minlength=num_nodes - size)
    ptr = nn.functional.pad(counts.cumsum(0), (1, 0))
    return Adjacency(ptr, edge_index[0, new][order], edge_weight[new][order])


def _edge_weight(graph: Data) -> Tensor:
    if graph.edge_weight is None:
        return torch.ones(graph.edge_index.size(1))
    return graph.edge_weight.cpu().float()
