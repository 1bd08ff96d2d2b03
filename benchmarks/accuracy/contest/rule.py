"""The rule of the contest in figures: README.md says why."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

ARMS = {
    "plain": "a table",
    "plain:count": "a table, and the item's count",
    "plain:item2vec": "a table started from item2vec's vectors, in closed form",
    "spectral": "a table started from the spectral features",
    "lightgcn": "a table propagated over the graph",
    "frozen": "the graph's features as they are",
    "linear": "a linear map of them",
    "semantic": "semantic ids: k-means codes of them",
    "semantic-prefix": "the same, by prefixes of the codes",
    "mlp": "a two-layer net of them",
    "mlp:held": "a two-layer net of them, held residual: the default",
    "mlp:staged": "the same, then a free residual",
    "gcn": "softmax centres, held residual",
    "sign:none": "softmax centres, no residual",
    "sign:staged": "the same, then a free residual",
}
FORMS = ("gcn", "sign:none", "sign:staged", "mlp", "mlp:staged", "mlp:held")  # the default is one
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
    "kuairand": DataSet(
        "kuairand:{folder}/kuairand_pure", "KuaiRand", _ALIKE | {"lr": 0.001, "attention": "none"}
    ),
    "beauty": DataSet("{folder}/amazon/Beauty.txt", "Beauty", _LISTS),
    "complete-journey": DataSet("complete-journey", "Complete Journey", _LISTS),
    "sports": DataSet("{folder}/amazon/Sports_and_Outdoors.txt", "Sports", _LISTS),
}


@dataclass(frozen=True)
class Beside(DataSet):
    """What is run beside the contest, and chooses nothing: a set once more with one thing changed.

    Args:
        of: the set.
        arms: the arms that are trained.
        seeds: how many seeds of each.
    """

    of: str
    arms: tuple[str, ...]
    seeds: int = 1


def _beside(of: str, title: str, arms: tuple[str, ...], changed: dict[str, Any]) -> Beside:
    data = changed.pop("place", SETS[of].place)
    return Beside(data, title, SETS[of].settings | changed, of, arms)


_READERS = ("spectral", "mlp", "sign:none")  # of the graph, each in another way
_S3REC = "s3rec:{folder}/amazon/"
BESIDE = {
    "beauty-permuted": _beside(
        "beauty",
        "Beauty, the graph's nodes permuted (counts too): the control",
        _READERS,
        {"graph": "permuted-with-counts"},
    ),
    "kuairand-permuted": _beside(
        "kuairand",
        "KuaiRand, the graph's nodes permuted (counts too): the control",
        _READERS,
        {"graph": "permuted-with-counts"},
    ),
    "beauty-attributes": _beside(
        "beauty",
        "Beauty with the items' attributes",
        ("plain", "mlp", "gcn", "sign:none"),
        {"place": f"{_S3REC}Beauty.txt", "use_features": True, "use_category": False},
    ),
    "sports-attributes": _beside(
        "sports",
        "Sports with the items' attributes",
        ("plain", "mlp"),
        {"place": f"{_S3REC}Sports_and_Outdoors.txt", "use_features": True, "use_category": False},
    ),
    **{
        f"beauty-{model}": _beside(
            "beauty",
            f"Beauty with {title} in the place of DIN",
            ("plain", "spectral", "mlp:held"),
            {"model": model},
        )
        for model, title in {"sasrec": "SASRec", "pnn": "PNN"}.items()
    },
    "beauty-catalogue": _beside(
        "beauty",
        "Beauty, ranked among all items, for 2,000 drawn users",
        ("plain", "spectral", "mlp", "sign:none"),
        {"ranking": "all", "ranking_users": 2000},
    ),
}
