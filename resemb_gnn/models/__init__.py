"""Click models that take any embedding module."""

from resemb_gnn.models.category import WithCategory
from resemb_gnn.models.ctr_model import CTRModel
from resemb_gnn.models.din import DIN

__all__ = ["DIN", "CTRModel", "WithCategory"]
