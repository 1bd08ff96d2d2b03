"""Layers: centre encoders, Res-embedding, jagged DIN attention, AUGRU, Dice."""

from resemb_gnn.nn.embeddings.feature_embedding import TableEmbedding, width_of
from resemb_gnn.nn.embeddings.item_embedding import ItemEmbedding, as_item_embedding
from resemb_gnn.nn.embeddings.lightgcn import LightGCNEmbedding
from resemb_gnn.nn.embeddings.plain import PlainEmbedding
from resemb_gnn.nn.embeddings.res_embedding import ResEmbedding
from resemb_gnn.nn.embeddings.residual import ResidualOptions
from resemb_gnn.nn.embeddings.table_options import TableOptions
from resemb_gnn.nn.encoders.average import AverageEncoder, ItemAverageEncoder
from resemb_gnn.nn.encoders.center_encoder import CenterEncoder
from resemb_gnn.nn.encoders.center_normalization import CenterNormalization, entmax
from resemb_gnn.nn.encoders.features import FeatureEncoder
from resemb_gnn.nn.encoders.full_graph import FullGraphEncoder
from resemb_gnn.nn.encoders.gat import GATEncoder
from resemb_gnn.nn.encoders.gcn import GCNEncoder
from resemb_gnn.nn.encoders.hard import HardEncoder
from resemb_gnn.nn.encoders.semantic import SemanticEncoder
from resemb_gnn.nn.encoders.sign import SIGNEncoder
from resemb_gnn.nn.layers.augru import AUGRU
from resemb_gnn.nn.layers.batch_norm import BatchNorm
from resemb_gnn.nn.layers.dice import Dice
from resemb_gnn.nn.layers.din_attention import DINAttention
from resemb_gnn.nn.layers.hashed_crosses import HashedCrosses
from resemb_gnn.nn.layers.mlp import make_activation, make_mlp
from resemb_gnn.settings.names import CENTER_NORMALIZATIONS, ENCODERS

__all__ = [
    "AUGRU",
    "CENTER_NORMALIZATIONS",
    "ENCODERS",
    "AverageEncoder",
    "BatchNorm",
    "CenterEncoder",
    "CenterNormalization",
    "DINAttention",
    "Dice",
    "FeatureEncoder",
    "FullGraphEncoder",
    "GATEncoder",
    "GCNEncoder",
    "HardEncoder",
    "HashedCrosses",
    "ItemAverageEncoder",
    "ItemEmbedding",
    "LightGCNEmbedding",
    "PlainEmbedding",
    "ResEmbedding",
    "ResidualOptions",
    "SIGNEncoder",
    "SemanticEncoder",
    "TableEmbedding",
    "TableOptions",
    "as_item_embedding",
    "entmax",
    "make_activation",
    "make_mlp",
    "width_of",
]
