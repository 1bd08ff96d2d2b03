"""Behaviour logs, splits, negatives and jagged batches."""

from resemb_gnn.data.batch import Batch
from resemb_gnn.data.behavior_log import BehaviorLog
from resemb_gnn.data.examples import Examples
from resemb_gnn.data.features import Feature, Features, FeatureTable, read_features
from resemb_gnn.data.negatives import NegativeSampler
from resemb_gnn.data.split import Split, split_log
from resemb_gnn.data.time_features import TIME_FEATURES, first_times, last_times, time_columns
from resemb_gnn.data.vocabulary import extend_vocabulary

__all__ = [
    "TIME_FEATURES",
    "Batch",
    "BehaviorLog",
    "Examples",
    "Feature",
    "FeatureTable",
    "Features",
    "NegativeSampler",
    "Split",
    "extend_vocabulary",
    "first_times",
    "last_times",
    "read_features",
    "split_log",
    "time_columns",
]
