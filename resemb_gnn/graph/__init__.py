"""The item co-visit graph, its features and its normalised adjacency."""

from resemb_gnn.graph.adjacency import (
    Adjacency,
    check_graph,
    gcn_adjacency,
    mean_adjacency,
    plain_adjacency,
    symmetric_adjacency,
)
from resemb_gnn.graph.content_encoder import ContentEncoder
from resemb_gnn.graph.content_features import ContentFeatures
from resemb_gnn.graph.content_regression import ContentRegression
from resemb_gnn.graph.count_feature import CountFeature
from resemb_gnn.graph.covisit import covisit_graph
from resemb_gnn.graph.covisit_files import read_covisit_graph, write_covisit_graph
from resemb_gnn.graph.covisit_query import covisit_edges
from resemb_gnn.graph.feature_extension import FeatureExtension
from resemb_gnn.graph.graph_summary import QUANTILES, GraphSummary, edge_list, summarize_graph
from resemb_gnn.graph.node_features import NodeFeatures
from resemb_gnn.graph.ogb_links import to_ogb
from resemb_gnn.graph.ogb_products import from_ogb, ogb_globals
from resemb_gnn.graph.permute_nodes import PermuteNodes
from resemb_gnn.graph.spectral_features import SpectralFeatures

__all__ = [
    "QUANTILES",
    "Adjacency",
    "ContentEncoder",
    "ContentFeatures",
    "ContentRegression",
    "CountFeature",
    "FeatureExtension",
    "GraphSummary",
    "NodeFeatures",
    "PermuteNodes",
    "SpectralFeatures",
    "check_graph",
    "covisit_edges",
    "covisit_graph",
    "edge_list",
    "from_ogb",
    "gcn_adjacency",
    "mean_adjacency",
    "ogb_globals",
    "plain_adjacency",
    "read_covisit_graph",
    "summarize_graph",
    "symmetric_adjacency",
    "to_ogb",
    "write_covisit_graph",
]
