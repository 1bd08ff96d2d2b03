"""Trained models: made by the settings, saved as a folder without any pickle, and restored."""

from resemb_gnn.saved.loading import load
from resemb_gnn.saved.saving import save
from resemb_gnn.saved.trained_model import TrainedModel
from resemb_gnn.saved.training import train

__all__ = ["TrainedModel", "load", "save", "train"]
