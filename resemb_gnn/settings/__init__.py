"""The settings: name, type, default, bounds and meaning of each, declared once, without PyTorch.

Flags, settings files, saved models, overrides and the constructors of the library read them here.
"""

from resemb_gnn.settings.compare import CompareSettings
from resemb_gnn.settings.embedding import EmbeddingSettings
from resemb_gnn.settings.fit import FitSettings
from resemb_gnn.settings.shared import DataSettings, GraphSettings, TrainingSettings

__all__ = [
    "CompareSettings",
    "DataSettings",
    "EmbeddingSettings",
    "FitSettings",
    "GraphSettings",
    "TrainingSettings",
]
