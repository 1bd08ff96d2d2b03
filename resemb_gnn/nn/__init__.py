"""Layers: centre encoders, Res-embedding, jagged DIN attention, AUGRU, Dice."""

from resemb_gnn.nn.augru import AUGRU
from resemb_gnn.nn.average_encoder import AverageEncoder, ItemAverageEncoder
from resemb_gnn.nn.batch_norm import BatchNorm
from resemb_gnn.nn.center_encoder import CenterEncoder
from resemb_gnn.nn.center_weights import NORMALIZATIONS, CenterWeights, entmax
from resemb_gnn.nn.dice import Dice
from resemb_gnn.nn.din_attention import DINAttention
from resemb_gnn.nn.full_graph_encoder import FullGraphEncoder
from resemb_gnn.nn.gat_encoder import GATEncoder
from resemb_gnn.nn.gcn_encoder import GCNEncoder
from resemb_gnn.nn.hard_encoder import HardEncoder
from resemb_gnn.nn.hashed_crosses import HashedCrosses
from resemb_gnn.nn.lightgcn_embedding import LightGCNEmbedding
from resemb_gnn.nn.make_encoder import ENCODERS
from resemb_gnn.nn.mlp import make_activation, make_mlp
from resemb_gnn.nn.plain_embedding import PlainEmbedding
from resemb_gnn.nn.res_embedding import ResEmbedding
from resemb_gnn.nn.residual import ResidualOptions
from resemb_gnn.nn.skip_encoder import SkipEncoder
from resemb_gnn.nn.table_options import TableOptions

__all__ = [
    "AUGRU",
    "ENCODERS",
    "NORMALIZATIONS",
    "AverageEncoder",
    "BatchNorm",
    "CenterEncoder",
    "CenterWeights",
    "DINAttention",
    "Dice",
    "FullGraphEncoder",
    "GATEncoder",
    "GCNEncoder",
    "HardEncoder",
    "HashedCrosses",
    "ItemAverageEncoder",
    "LightGCNEmbedding",
    "PlainEmbedding",
    "ResEmbedding",
    "ResidualOptions",
    "SkipEncoder",
    "TableOptions",
    "entmax",
    "make_activation",
    "make_mlp",
]
