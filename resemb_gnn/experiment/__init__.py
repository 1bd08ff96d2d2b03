"""Comparisons of embeddings over seeds, their results file and report; settings of training."""

from resemb_gnn.experiment.comparison import compare
from resemb_gnn.experiment.settings import CompareSettings
from resemb_gnn.pipeline.fit_settings import FitSettings

__all__ = ["CompareSettings", "FitSettings", "compare"]
