"""Comparisons of embeddings over seeds, their results file and report; settings of training."""

from resemb_gnn.experiment.comparison import compare
from resemb_gnn.settings import CompareSettings, FitSettings

__all__ = ["CompareSettings", "FitSettings", "compare"]
