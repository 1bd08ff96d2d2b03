"""The settings that tuning chose, as `resemb-gnn compare --override` takes them."""

import json
from collections.abc import Iterable
from pathlib import Path


def tuned_overrides(folder: Path, arms: Iterable[str]) -> list[str]:
    """Each arm's best trial; an arm that was not tuned keeps its defaults."""
    found = []
    for arm in arms:
        path = folder / f"{arm}.json"
        if path.exists():
            best = json.loads(path.read_text())["best"]
            found += [f"{arm}.{name}={str(value).lower()}" for name, value in best.items()]
    return found
