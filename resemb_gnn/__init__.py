"""Res-embedding for click-through-rate models, on PyTorch Geometric."""

from resemb_gnn.data import Batch, BehaviorLog, Examples, Split, extend_vocabulary
from resemb_gnn.datasets.interest_delay import InterestDelayModel
from resemb_gnn.errors import InputError
from resemb_gnn.graph import (
    CountFeature,
    PermuteNodes,
    SpectralFeatures,
    covisit_edges,
    covisit_graph,
    from_ogb,
    ogb_globals,
    read_covisit_graph,
    to_ogb,
    write_covisit_graph,
)
from resemb_gnn.models import DIEN, DIN, PNN, PooledMLP, WideDeep
from resemb_gnn.nn import DINAttention, ResEmbedding
from resemb_gnn.saved import TrainedModel, load, save, train
from resemb_gnn.training import FitResult, Metrics, evaluate, fit, predict

__version__ = "0.1.0"

__all__ = [
    "DIEN",
    "DIN",
    "PNN",
    "Batch",
    "BehaviorLog",
    "CountFeature",
    "DINAttention",
    "Examples",
    "FitResult",
    "InputError",
    "InterestDelayModel",
    "Metrics",
    "PermuteNodes",
    "PooledMLP",
    "ResEmbedding",
    "SpectralFeatures",
    "Split",
    "TrainedModel",
    "WideDeep",
    "covisit_edges",
    "covisit_graph",
    "evaluate",
    "extend_vocabulary",
    "fit",
    "from_ogb",
    "load",
    "ogb_globals",
    "predict",
    "read_covisit_graph",
    "save",
    "to_ogb",
    "train",
    "write_covisit_graph",
]
