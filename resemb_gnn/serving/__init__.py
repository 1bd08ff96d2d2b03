"""What a server needs of a trained model: vectors with an index, and the whole scorer."""

from resemb_gnn.serving.anchors import AnchorScores
from resemb_gnn.serving.candidates import CandidateScorer
from resemb_gnn.serving.export import export_scorer
from resemb_gnn.serving.item_index import ItemIndex, export_embeddings
from resemb_gnn.serving.scorer import Scorer

__all__ = [
    "AnchorScores",
    "CandidateScorer",
    "ItemIndex",
    "Scorer",
    "export_embeddings",
    "export_scorer",
]
