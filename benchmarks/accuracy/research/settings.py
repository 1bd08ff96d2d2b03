"""The settings that tuning begins with, and those that it chose."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from torch import Tensor
from torch_geometric.data import Data

from resemb_gnn.experiment.run import file_name
from resemb_gnn.io.json_text import read_json
from resemb_gnn.pipeline.embeddings import make_embedding
from resemb_gnn.settings import CompareSettings
from resemb_gnn.settings.embedding import tuned_of

# Embeddings, in the order in which tables of all of them have them.
ARMS: tuple[str, ...] = ("plain", "plain:l2", "plain:adamar", "plain:meda", "plain:spectral")
ARMS += ("category", "kmeans", "average", "gcn", "gcn:staged", "gat", "sign", "sign:staged")
ARMS += ("lightgcn", "gcn:none", "sign:none", "plain:held")
# An ablation that is not searched itself: the same model without its residual.
ABLATIONS = {"sign:none": "sign:staged"}
SEEDS = 5  # seeds 0 to 4, of every arm in every cell
BUDGET = 6  # trials an arm: the first so many count, however many more stand in a file
FINALISTS = 3  # the best of these, which are trained on other data sets too
# Which of these data sets count for the choice besides Beauty, by the names of their files:
CHOSEN_ON = {
    "two": ("Sports_and_Outdoors.txt",),
    "four": ("Sports_and_Outdoors.txt", "kuairand_pure", "complete-journey"),
}


def defaults(
    arm: str, settings: CompareSettings, graph: Data, category: Tensor | None = None
) -> dict[str, Any]:
    """What an arm's tuned settings are by default; one left to its embedding is read there."""
    built = make_embedding(arm, graph, settings, category)
    values = {name: getattr(settings, name) for name in ("lr", *tuned_of(arm))}
    return {
        name: getattr(built, name) if value is None else value for name, value in values.items()
    }


def search_of(folder: Path, arm: str) -> Path:
    """The file of an arm's trials."""
    return folder / f"{file_name(arm)}.json"


def finalists(path: Path, trials: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The best of an arm's first ``BUDGET`` trials by validation AUC, best first; ``path`` is where
    they stand.

    Raises:
        SystemExit: if there are fewer trials, since arms would not be compared alike.
    """
    if len(trials) < BUDGET:
        raise SystemExit(f"{path} holds {len(trials)} trials of {BUDGET}: run tuning.py first")
    return sorted(trials[:BUDGET], key=lambda trial: -trial["valid_auc"])[:FINALISTS]


def best_trial(path: Path, chosen_on: str = "two") -> dict[str, Any]:
    """An arm's choice: the best by ``valid_auc``, or, where finals were trained, by the mean of
    that and of the finals' on the data sets of ``CHOSEN_ON``, which are its ``finals``.

    Raises:
        SystemExit: if trials or finals are missing in the file.
    """
    found = read_json(path)
    best = finalists(path, found["trials"])
    if "finals" not in found:
        return best[0]
    on = {final["data"]: final["trials"] for final in found["finals"]}
    for trial in best:
        trial["finals"] = {}
        for data in CHOSEN_ON[chosen_on]:
            same = [each for each in on.get(data, []) if each["params"] == trial["params"]]
            if not same:
                wanted = f"the final of {trial['params']} on {data}"
                raise SystemExit(f"{path} lacks {wanted}: run tuning.py first")
            trial["finals"][data] = same[0]["valid_auc"]
    return max(best, key=worth)


def worth(trial: dict[str, Any]) -> float:
    """Sum of a trial's validation AUC and those of its finals."""
    return float(trial["valid_auc"] + sum(trial["finals"].values()))


def tuned_overrides(folder: Path, arms: Iterable[str], chosen_on: str = "two") -> list[str]:
    """Each arm's best trial, as `compare --override` takes it; an ablation's is that of the whole
    model, and an arm that was not tuned keeps its defaults.
    """
    found = []
    for arm in arms:
        path = search_of(folder, ABLATIONS.get(arm, arm))
        if path.exists():
            params = best_trial(path, chosen_on)["params"]
            found += [f"{arm}.{name}={str(value).lower()}" for name, value in params.items()]
    return found
