"""Layers: centre encoders, Res-embedding, jagged DIN attention, Dice."""

from resemb_gnn.nn.center_encoder import (
    AverageEncoder,
    CenterEncoder,
    FullGraphEncoder,
    GATEncoder,
    GCNEncoder,
    ItemAverageEncoder,
)
from resemb_gnn.nn.dice import Dice
from resemb_gnn.nn.din_attention import DINAttention
from resemb_gnn.nn.mlp import make_activation, make_mlp
from resemb_gnn.nn.res_embedding import ENCODERS, ResEmbedding

__all__ = [
    "ENCODERS",
    "AverageEncoder",
    "CenterEncoder",
    "DINAttention",
    "Dice",
    "FullGraphEncoder",
    "GATEncoder",
    "GCNEncoder",
    "ItemAverageEncoder",
    "ResEmbedding",
    "make_activation",
    "make_mlp",
]
