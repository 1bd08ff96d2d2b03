"""Behaviour logs, splits, negatives and jagged batches."""

from resemb_gnn.data.behavior_log import BehaviorLog
from resemb_gnn.data.examples import Batch, Examples
from resemb_gnn.data.features import Feature, Features, FeatureTable, read_features
from resemb_gnn.data.negatives import NegativeSampler
from resemb_gnn.data.split import Split, split_log
from resemb_gnn.data.vocabulary import extend_vocabulary

__all__ = [
    "Batch",
    "BehaviorLog",
    "Examples",
    "Feature",
    "FeatureTable",
    "Features",
    "NegativeSampler",
    "Split",
    "extend_vocabulary",
    "read_features",
    "split_log",
]
