"""The settings that tuning begins with, and those that it chose."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from torch import Tensor
from torch_geometric.data import Data

from resemb_gnn.experiment import CompareSettings
from resemb_gnn.experiment.arms import ARMS, make_embedding

# An ablation that is not searched itself: the same model without its residual.
ABLATIONS = {"gcn-skip-centers-only": "gcn-skip-staged"}
SEEDS = 5  # seeds 0 to 4, of every arm in every cell
BUDGET = 6  # trials an arm: the first so many count, however many more stand in a file


def defaults(
    arm: str, settings: CompareSettings, graph: Data, category: Tensor | None = None
) -> dict[str, Any]:
    """What an arm's tuned settings are by default; one left to its embedding is read there."""
    built = make_embedding(arm, graph, settings, category)
    values = {name: getattr(settings, name) for name in ARMS[arm].tuned}
    return {
        name: getattr(built, name) if value is None else value for name, value in values.items()
    }


def best_trial(path: Path) -> dict[str, Any]:
    """The best by validation AUC among an arm's first ``BUDGET`` trials.

    Raises:
        SystemExit: if fewer stand in the file, since arms would not be compared alike.
    """
    trials = json.loads(path.read_text())["trials"]
    if len(trials) < BUDGET:
        raise SystemExit(f"{path} holds {len(trials)} trials of {BUDGET}: run tuning.py first")
    best: dict[str, Any] = max(trials[:BUDGET], key=lambda trial: trial["valid_auc"])
    return best


def tuned_overrides(folder: Path, arms: Iterable[str]) -> list[str]:
    """Each arm's best trial, as `compare --override` takes it; an ablation's is that of the whole
    model, and an arm that was not tuned keeps its defaults.
    """
    found = []
    for arm in arms:
        path = folder / f"{ABLATIONS.get(arm, arm)}.json"
        if path.exists():
            params = best_trial(path)["params"]
            found += [f"{arm}.{name}={str(value).lower()}" for name, value in params.items()]
    return found
