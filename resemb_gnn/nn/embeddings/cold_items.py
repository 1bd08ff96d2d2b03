"""What a Res-embedding can say of items that were not there when it was trained."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.utils import coalesce, cumsum

from resemb_gnn.data import BehaviorLog, FeatureTable
from resemb_gnn.data.feature_rows import joined_rows, missing_rows
from resemb_gnn.errors import InputError
from resemb_gnn.graph import Adjacency, ContentEncoder, FeatureExtension, covisit_graph
from resemb_gnn.graph.covisit import check_log
from resemb_gnn.io.frame import Frame
from resemb_gnn.nn.embeddings.neighbors import Neighbors, read_neighbors
from resemb_gnn.nn.encoders.average import ItemAverageEncoder
from resemb_gnn.nn.encoders.hard import HardEncoder
from resemb_gnn.nn.layers.own_precision import in_own_precision

if TYPE_CHECKING:
    from resemb_gnn.nn.embeddings.res_embedding import ResEmbedding


@in_own_precision
def embed_new(
    embedding: "ResEmbedding",
    x: Tensor | None = None,
    *,
    neighbors: Neighbors | None = None,
    weights: Tensor | Sequence[Tensor] | None = None,
    features: "FeatureTable | Frame | None" = None,
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
        embedding: the trained embedding, whose method this is.
        x: node features of the new items, ``[num_new, num_features]``, for an encoder that
            looks at them. By default they come from the neighbours and ``features``, as
            :class:`~resemb_gnn.graph.FeatureExtension` says.
        neighbors: items of the table that each new item is joined to, as a list of int64
            tensors or as a tuple of one (all of them, int64 ``[num_neighbors]``) and its
            offsets (``ptr``, int64 ``[num_new + 1]``). An item without any is encoded from its
            own features; ``None`` if all are.
        weights: weights of these edges in the form of ``neighbors`` (without the offsets); 1 by
            default. They are measured by those of the graph, such as co-visit counts: with
            ``gcn``, an item of little weight in total gets flat centre weights.
        features: what is known of the new items, a row each, if the graph has it of its own
            (:class:`~resemb_gnn.ContentFeatures`): a frame with a column a feature, or a table that
            was read from one. For an encoder that looks at node features.

    Returns:
        ``[num_new, embedding_dim]``.

    Raises:
        InputError: if a neighbour is not in the table, a part has a wrong shape or a value that
            is negative or not finite, or ``features`` lack one of the graph's or have it of
            another kind or width.
    """
    graph, size = embedding.encoder.graph, embedding.num_embeddings
    table = None if features is None else _read_features(embedding, x, features)
    if neighbors is None:
        given = table if table is not None else x
        if given is None or weights is not None:
            raise InputError("give the new items' neighbors, or their features or x alone")
        neighbors = [torch.empty(0, dtype=torch.long)] * len(given)
    rows = read_neighbors(neighbors, weights, size)
    num_new = rows.ptr.numel() - 1
    x = _features(embedding, x, rows, num_new, features=table)
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
    encoder = embedding.encoder.on(attached)
    return encoder.mix(new.to(embedding.centers.device), _grown_centers(embedding, rows))


@torch.no_grad()
@in_own_precision
def update(
    embedding: "ResEmbedding",
    log: BehaviorLog,
    window: int = 5,
    features: "FeatureTable | Frame | None" = None,
    known: Tensor | None = None,
) -> "ResEmbedding":
    """A new embedding that also holds the items and the co-visits of ``log``, not retrained.

    The log's co-visits are added to those of the graph, and its behaviours to ``count``. Items
    of the table keep their features and residuals, and all share the centres and the encoder,
    which stay as they are; a new item has a residual of zero, and node features from its
    co-visits with items of the table and from ``features``
    (:class:`~resemb_gnn.graph.FeatureExtension`). With one centre an item, a new one starts at the
    weighted mean of the centres of its neighbours in the table. So an old item moves only where its
    neighbourhood has changed, or its shrinkage by a larger count.

    This embedding stays as it is, and so do a model's own parameters: the new one takes its place
    by :meth:`~resemb_gnn.models.CTRModel.replace_embedding`. It has no folds: training goes on with
    the full graph.

    Args:
        embedding: the trained embedding, whose method this is.
        log: behaviours whose first items are those of the table
            (:func:`~resemb_gnn.data.extend_vocabulary` brings a log into that form). Two behaviours
            of a user are co-visited if both are in it.
        window: how many places apart two behaviours may stand, as in
            :func:`~resemb_gnn.covisit_graph`.
        features: what is known of the new items, a row each in the order of their numbers, as
            :meth:`embed_new` takes it.
        known: which behaviours of the log the graph holds already, bool ``[num_behaviors]``: what
            counts is co-visits of one of them and a new one, and of two new ones. ``None`` if it
            holds none of them. With the last ``window`` behaviours that each user had before, the
            graph becomes that of all behaviours.

    Raises:
        InputError: if the log has fewer items than the table, or is no ``BehaviorLog``, ``known``
            is of another shape or type, or ``features`` are of other items than the new ones, lack
            one of the graph's or have it of another kind or width.
    """
    check_log(log)
    size = embedding.num_embeddings
    if log.num_items < size:
        raise InputError(
            f"the log has {log.num_items} items, but the embedding {size}: the log's first"
            " items must be the embedding's"
        )
    table = None if features is None else _read_features(embedding, None, features)
    before = None if known is None else covisit_graph(log.select(known), window)
    old, more = embedding.encoder.graph, covisit_graph(log, window)
    edges, weights = [old.edge_index.cpu(), more.edge_index], [_edge_weight(old), more.edge_weight]
    count = more.count
    if before is not None:
        edges.append(before.edge_index)
        weights.append(-before.edge_weight)
        count = count - before.count
    edge_index, edge_weight = coalesce(
        torch.cat(edges, dim=1), torch.cat(weights), log.num_items, reduce="sum"
    )
    joined = edge_weight > 0  # two known ones may be of no count in the graph
    edge_index, edge_weight = edge_index[:, joined], edge_weight[joined]
    rows = _rows_of_new(edge_index, edge_weight, size, log.num_items)
    x = _features(embedding, None, rows, log.num_items - size, count[size:], table)
    graph = Data(
        x=None if x is None else torch.cat([old.x.cpu(), x]),
        edge_index=edge_index,
        edge_weight=edge_weight,
        num_nodes=log.num_items,
        content=_grown_content(old.get("content"), table, log.num_items - size),
    )
    if old.count is not None:
        graph.count = count + nn.functional.pad(old.count.cpu(), (0, log.num_items - size))
    centers = _grown_centers(embedding, rows)
    given = embedding.fixed_centers is not None and len(centers) > embedding.num_centers
    other = embedding.over(graph, centers if given else None)
    more_rows = (0, 0, 0, log.num_items - size)
    state = embedding.state_dict() | {
        "graph_hash": other.graph_hash,
        "centers": centers,
        "residual": nn.functional.pad(embedding.residual, more_rows),
    }
    other.load_state_dict(state)
    other._extension = embedding._extension
    for new, own in zip(other.parameters(), embedding.parameters(), strict=True):
        new.requires_grad_(own.requires_grad)
    return other.train(embedding.training)


def _features(
    embedding: "ResEmbedding",
    x: Tensor | None,
    rows: Adjacency,
    num_new: int,
    count: Tensor | None = None,
    features: FeatureTable | None = None,
) -> Tensor | None:
    """Node features of new items, ``None`` if the encoder has none."""
    known = embedding.encoder.graph.x
    if known is None:
        if x is not None:
            raise InputError("x was given, but this encoder has no node features")
        return None
    if x is None:
        return _extension_of(embedding)(rows, count, features).to(known.dtype)
    if x.shape != (num_new, known.size(1)):
        raise InputError(f"x has shape {list(x.shape)}, not [{num_new}, {known.size(1)}]")
    if not bool(x.isfinite().all()):
        raise InputError("x holds a value that is not finite")
    return x.detach().cpu().to(known.dtype)


def _extension_of(embedding: "ResEmbedding") -> FeatureExtension:
    if embedding._extension is None:
        embedding._extension = FeatureExtension(embedding.encoder.graph)
    return embedding._extension


def _read_features(
    embedding: "ResEmbedding", x: Tensor | None, features: "FeatureTable | Frame"
) -> FeatureTable:
    """Features of new items as the embedding's graph has them."""
    if x is not None:
        raise InputError("x are all node features of the new items: leave out x or features")
    blind = isinstance(embedding.encoder, ItemAverageEncoder | HardEncoder)
    if blind or embedding.encoder.graph.x is None:
        raise InputError("features were given, but this encoder has no node features")
    return _extension_of(embedding).read(features)


def _grown_content(
    content: ContentEncoder | None, features: FeatureTable | None, num_new: int
) -> ContentEncoder | None:
    """What a graph holds of its items' features, with those of new items, missing if not known."""
    if content is None:
        return None
    new = missing_rows(content.table, num_new) if features is None else features
    return ContentEncoder(joined_rows([content.table, new]), state=content.state())


def _grown_centers(embedding: "ResEmbedding", rows: Adjacency) -> Tensor:
    """The centres; with one an item, a new item's is the mean of those of its neighbours."""
    if not isinstance(embedding.encoder, ItemAverageEncoder):
        return embedding.centers
    device = embedding.centers.device
    known = rows.index < embedding.num_embeddings
    weight = torch.where(known, rows.weight, 0)
    index = torch.where(known, rows.index, 0)
    parts = (part.to(device) for part in (rows.ptr, index, weight))
    both = torch.cat([embedding.centers, torch.ones_like(embedding.centers[:, :1])], 1)
    both = Adjacency(*parts).matmul(both)  # in float32 at least: so the weights are
    means = both[:, :-1] / both[:, -1:].clamp(min=1e-12)
    return torch.cat([embedding.centers, means.to(embedding.centers.dtype)])


def _rows_of_new(edge_index: Tensor, edge_weight: Tensor, size: int, num_nodes: int) -> Adjacency:
    """Edges into the nodes from ``size`` on, row by row."""
    new = edge_index[1] >= size
    target, order = (edge_index[1, new] - size).sort(stable=True)
    counts = target.bincount(minlength=num_nodes - size)
    ptr = cumsum(counts)
    return Adjacency(ptr, edge_index[0, new][order], edge_weight[new][order])


def _edge_weight(graph: Data) -> Tensor:
    if graph.edge_weight is None:
        return torch.ones(graph.edge_index.size(1))
    return graph.edge_weight.cpu().float()
