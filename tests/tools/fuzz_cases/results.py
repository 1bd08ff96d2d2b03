"""Cases for tests/tools/fuzz.py: what the package itself wrote: logs, results, pictures."""

import copy
import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from resemb_gnn import BehaviorLog
from resemb_gnn.experiment.geometry import ItemGeometry
from resemb_gnn.experiment.report.text import markdown, text_table
from resemb_gnn.experiment.results import read_results
from tests.tools.fuzz_cases.cases import Case, Expected, damage, form_of_log, some_place
from tests.tools.fuzz_cases.tables import NAMES, _frame

FIGURES = {"auc": 0.7, "gauc": None, "logloss": 0.6}
RUN = {"embedding": "plain", "model": "din", "seed": 0, "test": FIGURES, "valid": FIGURES}
RUN |= {"train": FIGURES, "gap": 0.1, "best_epoch": 3, "epochs": 5, "seconds_per_epoch": 5.5}
RUN |= {"examples_per_second": 1e4, "num_parameters": 100}
RUN["ranking"] = {"among": 99, "examples": 5, "hr_10": 0.5, "mrr": None}
RUN["curve"] = [{"train_loss": 0.5, "valid": FIGURES}]
RESULTS: dict[str, Any] = {
    "schema": 1,
    "data": {"name": "log", "description": "A log.", "num_users": 5, "fingerprint": "00ff"},
    "settings": {"model": "din", "epochs": 20, "graph": None},
    "runs": [RUN, RUN | {"embedding": "gcn"}, RUN | {"embedding": "gcn", "seed": 1}],
    "over_users": {"gcn": {"auc": {"mean": 0.1, "low": None, "high": 0.2, "seeds": 2}}},
    "versions": {"python": "3.11", "torch": "2"},
    "command": "resemb-gnn compare",
}


def saved_log(rng: random.Random, folder: Path) -> Case:
    """A folder of BehaviorLog.save, one file damaged."""
    frame, expected = _frame(rng)
    while not isinstance(expected, Expected):
        frame, expected = _frame(rng)
    log = BehaviorLog.from_frame(frame, *NAMES[:3], category="category", label="label")
    folder = folder / "log"
    # A damaged table, as the last case left one, is not written over.
    shutil.rmtree(folder, ignore_errors=True)
    log.save(folder)
    found: Expected | None = Expected(form_of_log(log), valid=True)
    if rng.randrange(3):
        path = rng.choice(sorted(folder.glob("*.parquet")))
        path.write_bytes(damage(path.read_bytes(), rng))
        found = None
    ordered = found is not None  # load takes ids in any order, as extend_vocabulary leaves them
    return Case(lambda: form_of_log(BehaviorLog.load(folder), ordered), lambda: found, str(folder))


def results_file(rng: random.Random, folder: Path) -> Case:
    """results.json, damaged as text or in its structure, and the tables made of it."""
    results = copy.deepcopy(RESULTS)
    kind = rng.randrange(3)
    if kind == 0:
        parent, key = some_place(rng, results, 0.3)
        odd: tuple[Any, ...] = (None, "x", "", -1, 1e308, 10**400, True, [], {}, [1])
        odd += ({"a": [None]}, "<script>", "|\n")
        parent[key] = rng.choice(odd)
        if rng.random() < 0.2:
            del parent[key]
    data = json.dumps(results).encode()
    if kind == 1:
        data = damage(data, rng)
    path = folder / "results.json"
    path.write_bytes(data)

    def read() -> str:
        found = read_results(path)
        return markdown(found) + text_table(found)

    return Case(read, lambda: Expected(VALID, valid=True) if kind == 2 else None, str(path))


def _tables_of(results: dict[str, Any]) -> str:
    runs = [
        {
            key: {"auc": 0.7, "gauc": float("nan"), "logloss": 0.6} if value is FIGURES else value
            for key, value in run.items()
        }
        for run in results["runs"]
    ]
    return markdown(results | {"runs": runs}) + text_table(results | {"runs": runs})


VALID = _tables_of(RESULTS)


def geometry_file(rng: random.Random, folder: Path) -> Case:
    """The archive of an item picture: damaged, or with an array of another kind or shape."""
    size, centers = rng.randint(1, 5), rng.randint(1, 4)
    draw = np.random.default_rng(rng.randrange(2**32))
    parts: dict[str, Any] = {
        "items": np.arange(size),
        "most_visited": np.array(True),
        "embedding": draw.normal(size=(size, 2)).astype(np.float32),
        "central": draw.normal(size=(size, 2)).astype(np.float32),
        "main_center": draw.integers(centers, size=size),
        "centers": draw.normal(size=(centers, 2)).astype(np.float32),
        "usage": np.full(centers, 1 / centers),
        "explained": np.array([0.5, 0.2], np.float32),
        "num_items": np.array(size + 3),
    }
    kind = rng.randrange(3)
    good = {name: part.tolist() for name, part in parts.items()}
    if kind == 0:
        odd: tuple[Any, ...] = (np.array(["x"]), np.array([{}]), np.zeros((0, 2)))
        odd += (np.array(np.nan), np.array(-1), np.zeros((2, 2, 2)), np.full((size, 2), np.inf))
        odd += (np.arange(size) + 100, np.array(2**62))
        parts[rng.choice(list(parts))] = rng.choice(odd)
    path = folder / "items.npz"
    with path.open("wb") as file:
        np.savez_compressed(file, **parts)  # objects too: pickled, which must not be loaded
    if kind == 1:
        path.write_bytes(damage(path.read_bytes(), rng))

    def read() -> Any:
        found = ItemGeometry.load(path)
        assert found.effective_centers <= max(len(found.usage), 1) + 1e-6 or kind < 2
        return {name: part.tolist() for name, part in vars(found).items()}

    return Case(read, lambda: Expected(good, valid=True) if kind == 2 else None, str(path))
