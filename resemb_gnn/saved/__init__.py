"""Trained models: made by the settings, saved as a folder without any pickle, and restored."""

from resemb_gnn.saved.load import load
from resemb_gnn.saved.save import save
from resemb_gnn.saved.train import train
from resemb_gnn.saved.trained_model import TrainedModel

__all__ = ["TrainedModel", "load", "save", "train"]
