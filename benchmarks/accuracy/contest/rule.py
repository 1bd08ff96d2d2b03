"""The rule of the contest in figures: README.md says why."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

ARMS = {
    "plain": "a table",
    "plain:count": "a table, and the item's count",
    "spectral": "a table started from the spectral features",
    "lightgcn": "a table propagated over the graph",
    "frozen": "the graph's features as they are",
    "linear": "a linear map of them",
    "semantic": "semantic ids: k-means codes of them",
    "mlp": "a two-layer net of them",
    "mlp:staged": "the same, then a free residual",
    "gcn": "softmax centres, held residual",
    "sign:none": "softmax centres, no residual",
    "sign:staged": "the same, then a free residual",
}
FORMS = ("gcn", "sign:none", "sign:staged", "mlp", "mlp:staged")  # the default is one of these
SEEDS = 3
EPOCHS = 12
_ALIKE = {"ema_decay": 0.999, "epochs": EPOCHS, "save_predictions": True}
_LISTS = _ALIKE | {
    "train_negatives": 4,
    "attention": "softmax",
    "lr": 0.004,
    "ranking": "99",
    "use_features": False,
}


@dataclass(frozen=True)
class DataSet:
    """A set: where it lies below the data folder, its title, and the settings of its comparison."""

    place: str
    title: str
    settings: dict[str, Any]

    def data(self, folder: Path) -> str:
        """The data as ``--data`` has them."""
        return self.place.format(folder=folder)


SETS = {
    "kuairand": DataSet("kuairand:{folder}/kuairand_pure", "KuaiRand", _ALIKE | {"lr": 0.001}),
    "beauty": DataSet("{folder}/amazon/Beauty.txt", "Beauty", _LISTS),
    "complete-journey": DataSet("complete-journey", "Complete Journey", _LISTS),
    "sports": DataSet("{folder}/amazon/Sports_and_Outdoors.txt", "Sports", _LISTS),
}
