"""Training, evaluation and metrics."""

from resemb_gnn.training.adam_ar import AdamAR
from resemb_gnn.training.checks import check_device
from resemb_gnn.training.distributed import is_first
from resemb_gnn.training.evaluation import Metrics, evaluate, predict
from resemb_gnn.training.fit import fit
from resemb_gnn.training.metrics import auc, gauc, log_loss
from resemb_gnn.training.optimizer import ModelAdam
from resemb_gnn.training.ranking import Ranking, evaluate_ranking, rank_catalogue
from resemb_gnn.training.result import FitResult
from resemb_gnn.training.run import seed_everything
from resemb_gnn.training.state import Epoch
from resemb_gnn.training.step import training_step

__all__ = [
    "AdamAR",
    "Epoch",
    "FitResult",
    "Metrics",
    "ModelAdam",
    "Ranking",
    "auc",
    "check_device",
    "evaluate",
    "evaluate_ranking",
    "fit",
    "gauc",
    "is_first",
    "log_loss",
    "predict",
    "rank_catalogue",
    "seed_everything",
    "training_step",
]
