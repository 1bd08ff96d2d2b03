"""Training, evaluation and metrics."""

from resemb_gnn.training.adam_ar import AdamAR
from resemb_gnn.training.fit import (
    Epoch,
    FitResult,
    Metrics,
    evaluate,
    fit,
    predict,
    seed_everything,
    training_step,
)
from resemb_gnn.training.metrics import auc, gauc, log_loss
from resemb_gnn.training.optimizer import TableAdam

__all__ = [
    "AdamAR",
    "Epoch",
    "FitResult",
    "Metrics",
    "TableAdam",
    "auc",
    "evaluate",
    "fit",
    "gauc",
    "log_loss",
    "predict",
    "seed_everything",
    "training_step",
]
