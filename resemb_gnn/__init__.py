"""Res-embedding for click-through-rate models, on PyTorch Geometric.

Every name is imported when it is first asked for, so that the command line can read its arguments
without the seconds that PyTorch and PyTorch Geometric take.
"""

from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resemb_gnn.data import Batch, BehaviorLog, Examples, Split, extend_vocabulary
    from resemb_gnn.datasets.interest_delay import InterestDelayModel
    from resemb_gnn.errors import InputError
    from resemb_gnn.experiment.own_parts import compare
    from resemb_gnn.graph import (
        ContentFeatures,
        CountFeature,
        PermuteNodes,
        SpectralFeatures,
        covisit_edges,
        covisit_graph,
        from_ogb,
        ogb_globals,
        read_covisit_graph,
        to_ogb,
        write_covisit_graph,
    )
    from resemb_gnn.models import DIEN, DIN, PNN, PooledMLP, SASRec, WideDeep
    from resemb_gnn.nn import DINAttention, ResEmbedding
    from resemb_gnn.saved import TrainedModel, load, save, train
    from resemb_gnn.training import FitResult, Metrics, evaluate, fit, predict

__version__ = "0.2.0"

__all__ = [
    "DIEN",
    "DIN",
    "PNN",
    "Batch",
    "BehaviorLog",
    "ContentFeatures",
    "CountFeature",
    "DINAttention",
    "Examples",
    "FitResult",
    "InputError",
    "InterestDelayModel",
    "Metrics",
    "PermuteNodes",
    "PooledMLP",
    "ResEmbedding",
    "SASRec",
    "SpectralFeatures",
    "Split",
    "TrainedModel",
    "WideDeep",
    "compare",
    "covisit_edges",
    "covisit_graph",
    "evaluate",
    "extend_vocabulary",
    "fit",
    "from_ogb",
    "load",
    "ogb_globals",
    "predict",
    "read_covisit_graph",
    "save",
    "to_ogb",
    "train",
    "write_covisit_graph",
]

# Where each stands: as in the imports above, which are for tools that read types.
_PLACES = {
    "resemb_gnn.data": ("Batch", "BehaviorLog", "Examples", "Split", "extend_vocabulary"),
    "resemb_gnn.datasets.interest_delay": ("InterestDelayModel",),
    "resemb_gnn.errors": ("InputError",),
    "resemb_gnn.experiment.own_parts": ("compare",),
    "resemb_gnn.graph": (
        "ContentFeatures",
        "CountFeature",
        "PermuteNodes",
        "SpectralFeatures",
        "covisit_edges",
        "covisit_graph",
        "from_ogb",
        "ogb_globals",
        "read_covisit_graph",
        "to_ogb",
        "write_covisit_graph",
    ),
    "resemb_gnn.models": ("DIEN", "DIN", "PNN", "PooledMLP", "SASRec", "WideDeep"),
    "resemb_gnn.nn": ("DINAttention", "ResEmbedding"),
    "resemb_gnn.saved": ("TrainedModel", "load", "save", "train"),
    "resemb_gnn.training": ("FitResult", "Metrics", "evaluate", "fit", "predict"),
}
_PLACE_OF = {name: place for place, names in _PLACES.items() for name in names}


if not TYPE_CHECKING:  # for these tools, any name would be there

    def __getattr__(name: str) -> Any:
        """A public name, or a module of the package."""
        if name in _PLACE_OF:
            # Kept, so that it is looked up but once.
            found = globals()[name] = getattr(import_module(_PLACE_OF[name]), name)
            return found
        if not name.startswith("_") and find_spec(f"{__name__}.{name}") is not None:
            return import_module(f"{__name__}.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """All names, imported or not."""
    modules = {module.name for module in iter_modules(__path__) if module.name[0] != "_"}
    return sorted({*globals(), *__all__, *modules})
