"""Where cold items are put: their neighbours, their content, and vectors of each kind."""

import json
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import scipy.sparse
import torch
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import Ridge
from sklearn.preprocessing import normalize
from torch import Tensor
from torch_geometric.data import Data

from resemb_gnn import BehaviorLog, ResEmbedding, covisit_graph
from resemb_gnn.data import FeatureTable, read_features
from resemb_gnn.graph import Adjacency

CONTENT_NEIGHBORS = 10
SHRINK = 10  # co-visits that content counts for beside the neighbours' mean


class World(NamedTuple):
    """A log whose first items are those of the training, and its cold rest."""

    log: BehaviorLog
    num_warm: int

    def warm(self) -> BehaviorLog:
        part = self.log.select(self.log.items < self.num_warm)
        ids = self.log.item_ids[: self.num_warm]
        return BehaviorLog(part.items, part.ptr, part.times, part.user_ids, ids)


def make_world(log: BehaviorLog, share: float, generator: torch.Generator) -> World:
    order = torch.randperm(log.num_items, generator=generator)
    number = torch.empty_like(order)
    number[order] = torch.arange(log.num_items)
    moved = BehaviorLog(
        number[log.items], log.ptr, log.times, log.user_ids, log.item_ids[order.numpy()]
    )
    return World(moved, log.num_items - round(share * log.num_items))


def covisits(world: World, revealing: Tensor, window: int) -> Adjacency:
    """Counts of the co-visits of each cold item with warm ones among the revealing users."""
    graph = covisit_graph(world.log.select(revealing[world.log.users]), window)
    source, target = graph.edge_index
    keep = (target >= world.num_warm) & (source < world.num_warm)
    size = (world.log.num_items - world.num_warm, world.num_warm)
    at = ((target[keep] - world.num_warm).numpy(), source[keep].numpy())
    return _rows(scipy.sparse.csr_array((graph.edge_weight[keep].numpy(), at), shape=size))


def content(world: World, path: str) -> FeatureTable:
    """The attributes of the world's items as a feature, a list."""
    attributes = json.loads(Path(path).read_text())
    lists = [attributes.get(str(item), []) for item in world.log.item_ids.to_list()]
    column = pl.Series("attributes", lists, dtype=pl.List(pl.Int64))
    return read_features(column.to_frame(), ["attributes"])


def content_neighbors(world: World, table: FeatureTable) -> Adjacency:
    """The warm items nearest to each cold one by their attributes, weighted by the cosine."""
    (feature,) = table
    assert feature.ptr is not None
    row = np.repeat(np.arange(len(table)), feature.ptr.diff().numpy())
    size = (len(table), feature.num_codes)
    counts = scipy.sparse.csr_array((np.ones(row.size), (row, feature.values.numpy())), shape=size)
    vectors = normalize(TfidfTransformer().fit_transform(counts))
    similarity = (vectors[world.num_warm :] @ vectors[: world.num_warm].T).toarray()
    nearest = np.argpartition(-similarity, CONTENT_NEIGHBORS)[:, :CONTENT_NEIGHBORS]
    weight = np.take_along_axis(similarity, nearest, axis=1)
    cold = np.repeat(np.arange(len(nearest)), CONTENT_NEIGHBORS)
    matrix = scipy.sparse.csr_array((weight.ravel(), (cold, nearest.ravel())), similarity.shape)
    matrix.eliminate_zeros()
    return _rows(matrix)


def scaled(rows: Adjacency, graph: Data) -> Adjacency:
    """Weights that sum to the median weighted degree of the graph in each row."""
    degree = torch.zeros(int(graph.num_nodes or 0))
    degree = degree.index_add(0, graph.edge_index[1], graph.edge_weight)
    total = rows.matmul(torch.ones(degree.numel(), 1)).flatten()
    factor = degree[degree > 0].median() / total.clamp(min=1e-12)
    return replace(rows, weight=rows.weight * factor.repeat_interleave(rows.ptr.diff()))


def _rows(matrix: "scipy.sparse.csr_array") -> Adjacency:
    ptr, index = (torch.from_numpy(each).long() for each in (matrix.indptr, matrix.indices))
    return Adjacency(ptr, index, torch.from_numpy(matrix.data).float())


@torch.no_grad()
def cold_vectors(
    emb: ResEmbedding,
    count: Tensor,
    neighbors: dict[str, Adjacency],
    features: FeatureTable | None = None,
) -> dict[str, Tensor]:
    """Vectors of all cold items by each way, ``[num_cold, embedding_dim]``."""
    table = emb.materialize().weight
    found = {}
    for name, rows in neighbors.items():
        near = (rows.index, rows.ptr)
        found[f"embed_new, {name}"] = emb.embed_new(neighbors=near, weights=rows.weight)
        found[f"mean of the neighbours, {name}"] = mean_of(rows, table)
    if features is not None:
        by_edges = neighbors["co-visits"]
        roots = neighbors["attributes"]
        roots = replace(roots, weight=roots.weight * count.sqrt()[roots.index])
        found["mean of the neighbours, attributes, by root of counts"] = mean_of(roots, table)
        found["regression to the vectors"] = regression(emb, table, features)
        found["embed_new, features"] = emb.embed_new(features=features)
        found["embed_new, features and co-visits"] = emb.embed_new(
            features=features, neighbors=(by_edges.index, by_edges.ptr), weights=by_edges.weight
        )
        total = by_edges.matmul(torch.ones(len(table), 1))
        share, mean = total / (total + SHRINK), found["mean of the neighbours, co-visits"]
        for name in ("regression to the vectors", "embed_new, features"):
            mixed = share * mean + (1 - share) * found[name]
            found[f"{name}, and mean of the neighbours, co-visits"] = mixed
    size = len(next(iter(found.values())))
    found["random"] = table.mean(dim=0) + table.std(dim=0) * torch.randn(size, table.size(1))
    share = count / count.sum()
    found["popularity mean"] = (share @ table).expand(size, -1)
    return found


def mean_of(rows: Adjacency, table: Tensor) -> Tensor:
    """The neighbours' weighted mean of the rows of a table."""
    total = rows.matmul(torch.ones(len(table), 1)).clamp(min=1e-12)
    return rows.matmul(table) / total


def regression(emb: ResEmbedding, table: Tensor, features: FeatureTable) -> Tensor:
    """Ridge regression of the trained items' vectors on their features, said of others."""
    graph = emb.encoder.graph
    ridge = Ridge(1.0, solver="sparse_cg")
    known = scipy.sparse.csr_matrix(graph.content.matrix(graph.content.table))
    ridge.fit(known, table.numpy(), graph.count.sqrt().numpy())
    asked = scipy.sparse.csr_matrix(graph.content.matrix(features))
    return torch.from_numpy(ridge.predict(asked)).float()
