"""The rule of the contest in figures: README.md says why."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ARMS = {
    "plain": "a table",
    "plain:count": "a table, and the item's count",
    "plain:adamar": "a table whose rows decay between updates",
    "plain:meda": "a table drawn anew each epoch",
    "plain:item2vec": "a table started from item2vec's vectors, in closed form",
    "spectral": "a table started from the spectral features",
    "spectral:held": "the same, held to its start",
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
    """A set: where it lies below the data folder, its title, the settings of its comparison, and
    the arms that are trained, with how many seeds of each.
    """

    place: str
    title: str
    settings: dict[str, Any]
    arms: tuple[str, ...] = tuple(ARMS)
    seeds: int = SEEDS

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


@dataclass(frozen=True, kw_only=True)
class Beside(DataSet):
    """What is run beside the contest, and chooses nothing: the set ``of`` once more with one thing
    changed, some arms, mostly a seed of each.
    """

    of: str


def _beside(
    of: str,
    title: str,
    arms: tuple[str, ...],
    changed: dict[str, Any],
    place: str | None = None,
    seeds: int = 1,
) -> Beside:
    settings = SETS[of].settings | changed
    return Beside(place or SETS[of].place, title, settings, arms, seeds, of=of)


_READERS = ("spectral", "mlp", "sign:none")  # of the graph, each in another way
_KNOWN = {"use_features": True, "use_category": False}  # the reader makes it of the attributes
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
    "kuairand-softmax": _beside(
        "kuairand",
        "KuaiRand with softmax attention, as the library has it unless told otherwise",
        tuple(ARMS),
        {"attention": "softmax"},
        seeds=SEEDS,
    ),
    "beauty-attributes": _beside(
        "beauty",
        "Beauty with the items' attributes",
        ("plain", "mlp", "mlp:held", "gcn", "sign:none"),
        _KNOWN,
        f"s3rec:{SETS['beauty'].place}",
        SEEDS,
    ),
    "sports-attributes": _beside(
        "sports",
        "Sports with the items' attributes",
        ("plain", "mlp", "mlp:held"),
        _KNOWN,
        f"s3rec:{SETS['sports'].place}",
        SEEDS,
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
    **{
        f"beauty-negatives-{seed}": _beside(
            "beauty",
            f"Beauty with other negatives in validation and test (draw {seed} of 0 to 2)",
            ("plain", "mlp:held"),
            {"split_seed": seed},
        )
        for seed in (1, 2)
    },
    "beauty-catalogue": _beside(
        "beauty",
        "Beauty, ranked among all items, for 2,000 drawn users",
        ("plain", "spectral", "mlp:held", "sign:none"),
        {"ranking": "all", "ranking_users": 2000},
    ),
}
for _name in ("beauty-attributes", "sports-attributes"):
    BESIDE[f"{_name}-nodes"] = replace(
        BESIDE[_name],
        of=_name,
        title=f"{BESIDE[_name].title}, which are node features of the graph, too",
        arms=("mlp:held",),
        settings=BESIDE[_name].settings | {"graph_features": "all"},
    )
EVERY: dict[str, DataSet] = {**SETS, **BESIDE}
