"""Comparisons of embeddings over seeds, their results file and report."""

from resemb_gnn.experiment.comparison import compare
from resemb_gnn.experiment.settings import CompareSettings

__all__ = ["CompareSettings", "compare"]
