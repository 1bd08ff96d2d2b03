"""Layers: centre encoders, Res-embedding, jagged DIN attention, AUGRU, Dice."""

from resemb_gnn.nn.augru import AUGRU
from resemb_gnn.nn.average_encoder import AverageEncoder, ItemAverageEncoder
from resemb_gnn.nn.batch_norm import BatchNorm
from resemb_gnn.nn.center_encoder import CenterEncoder
from resemb_gnn.nn.dice import Dice
from resemb_gnn.nn.din_attention import DINAttention
from resemb_gnn.nn.full_graph_encoder import FullGraphEncoder
from resemb_gnn.nn.gat_encoder import GATEncoder
from resemb_gnn.nn.gcn_encoder import GCNEncoder
from resemb_gnn.nn.hashed_crosses import HashedCrosses
from resemb_gnn.nn.mlp import make_activation, make_mlp
from resemb_gnn.nn.res_embedding import ENCODERS, ResEmbedding

__all__ = [
    "AUGRU",
    "ENCODERS",
    "AverageEncoder",
    "BatchNorm",
    "CenterEncoder",
    "DINAttention",
    "Dice",
    "FullGraphEncoder",
    "GATEncoder",
    "GCNEncoder",
    "HashedCrosses",
    "ItemAverageEncoder",
    "ResEmbedding",
    "make_activation",
    "make_mlp",
]
