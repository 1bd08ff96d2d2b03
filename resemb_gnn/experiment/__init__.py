"""Comparisons of embeddings over seeds, their results file and report; settings of training."""

from resemb_gnn.experiment.comparison import compare
from resemb_gnn.experiment.fit_settings import FitSettings
from resemb_gnn.experiment.settings import CompareSettings

__all__ = ["CompareSettings", "FitSettings", "compare"]
