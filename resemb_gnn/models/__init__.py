"""Click models that take any embedding module."""

from resemb_gnn.models.category import CategoryEmbedding
from resemb_gnn.models.ctr_model import CTRModel
from resemb_gnn.models.dien import DIEN
from resemb_gnn.models.din import DIN
from resemb_gnn.models.known_features import KnownFeatures
from resemb_gnn.models.pnn import PNN
from resemb_gnn.models.pooled_mlp import PooledMLP
from resemb_gnn.models.sasrec import SASRec
from resemb_gnn.models.value_weights import ValueWeights
from resemb_gnn.models.wide_deep import WideDeep

__all__ = [
    "DIEN",
    "DIN",
    "PNN",
    "CTRModel",
    "CategoryEmbedding",
    "KnownFeatures",
    "PooledMLP",
    "SASRec",
    "ValueWeights",
    "WideDeep",
]
