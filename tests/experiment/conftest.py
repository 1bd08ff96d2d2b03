"""A comparison's results as compare writes them, and a picture of items."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from resemb_gnn.experiment.geometry import ItemGeometry

AUC = {"plain": 0.734, "average": 0.768, "gcn": 0.829, "gat": 0.826}
GAP = {"plain": 0.17, "average": 0.12, "gcn": 0.05, "gat": 0.06}


def _run(embedding: str, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng([seed, len(embedding), ord(embedding[1])])
    auc = AUC[embedding] + rng.normal(scale=0.002)
    test = {"auc": auc, "gauc": auc - 0.01, "logloss": 1.3 - auc}
    best = int(rng.integers(2, 7))
    curve = [
        {
            "train_loss": 0.62 - 0.05 * epoch + rng.normal(scale=0.003),
            "valid": {
                "auc": auc + 0.004 - 0.004 * (epoch - best) ** 2,
                "gauc": auc - 0.005,
                "logloss": 0.55 + 0.01 * (epoch - best) ** 2,
            },
            "seconds": 3.1,
            "gap": GAP[embedding] * epoch / best,
        }
        for epoch in range(1, best + 3)
    ]
    return {
        "embedding": embedding,
        "model": "din",
        "seed": seed,
        "test": test,
        "valid": dict(curve[best - 1]["valid"]),
        "train": {"auc": 0.9, "gauc": 0.89, "logloss": test["logloss"] - GAP[embedding]},
        "gap": GAP[embedding] + rng.normal(scale=0.01),
        "best_epoch": best,
        "epochs": len(curve),
        "seconds_per_epoch": 3.1 + rng.normal(scale=0.1),
        "examples_per_second": 88_000.4,
        "num_parameters": 431_917 if embedding == "plain" else 448_557,
        "curve": curve,
    }


@pytest.fixture(scope="session")
def make_results() -> Callable[..., dict[str, Any]]:
    """Makes the contents of a results.json with these embeddings and seeds."""

    def make(
        embeddings: tuple[str, ...] = ("plain", "average", "gcn", "gat"), seeds: int = 3
    ) -> dict[str, Any]:
        split = {"by": "last", "negatives": "uniform", "num_negatives": 1, "train_targets": None}
        return {
            "schema": 1,
            "data": {
                "name": "Beauty.txt",
                "description": "A sequence file: a line is a user's items in time order.",
                "num_users": 22_363,
                "num_items": 12_101,
                "num_behaviors": 198_502,
                "split": split,
                "test_examples": 44_726,
            },
            "settings": {"data": "Beauty.txt", "lr": 0.001, "label": None, "use_category": True},
            "runs": [_run(name, seed) for seed in range(seeds) for name in embeddings],
            "versions": {"python": "3.12.1", "torch": "2.8.0", "torch-scatter": None},
            "command": "resemb-gnn compare --data Beauty.txt --out runs/beauty",
        }

    return make


@pytest.fixture(scope="session")
def make_geometry() -> Callable[..., ItemGeometry]:
    """Makes a picture of items around eight centres, each item half-way to its heaviest one."""

    def make(num_items: int = 200, residual: float = 0.01) -> ItemGeometry:
        rng = np.random.default_rng(0)
        centers = rng.normal(size=(8, 2)).astype(np.float32)
        main = rng.choice(8, size=num_items, p=np.arange(8, 0, -1) / 36)
        central = centers[main] / 2 + rng.normal(scale=0.1, size=(num_items, 2))
        shift = rng.normal(scale=residual, size=(num_items, 2))
        return ItemGeometry(
            items=np.arange(num_items),
            most_visited=np.array(True),
            embedding=(central + shift).astype(np.float32),
            central=central.astype(np.float32),
            main_center=main,
            centers=centers,
            usage=(np.arange(8, 0, -1) / 36).astype(np.float32),
            explained=np.array([0.4, 0.2], dtype=np.float32),
            num_items=np.array(12_101),
        )

    return make
