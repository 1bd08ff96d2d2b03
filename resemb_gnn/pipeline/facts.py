"""What results and saved models say of a run: data, figures and versions."""

import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from importlib import metadata
from math import isnan
from typing import Any

from resemb_gnn.data import BehaviorLog, Split
from resemb_gnn.data.feature_rows import table_digest
from resemb_gnn.datasets import DataSource
from resemb_gnn.io.digests import tensor_digest
from resemb_gnn.training import FitResult

_PACKAGES = ("resemb-gnn", "torch", "torch-geometric", "torch-scatter", "numpy", "scipy", "polars")


def training_figures(result: FitResult) -> dict[str, Any]:
    """What results and saved models say of how training went."""
    return {
        "test": asdict(result.test),
        "valid": asdict(result.valid),
        "train": asdict(result.train),
        "gap": result.gap,
        "best_epoch": result.best_epoch,
        "epochs": len(result.curve),
        "seconds_per_epoch": result.seconds_per_epoch,
        "num_parameters": result.num_parameters,
    }


_UNDEFINED = {
    "auc": "AUC is undefined where all examples have one label.",
    "gauc": "GAUC is undefined where no user has both a positive and a negative example.",
}


def shown_figure(value: float) -> str:
    """A metric in four digits, or that it is undefined."""
    return "undefined" if isnan(value) else f"{value:.4f}"


def why_undefined(metrics: Iterable[Mapping[str, float]]) -> list[str]:
    """A sentence for each metric (``auc``, ``gauc``) that some examples do not define."""
    every = [one for one in metrics if not isnan(one["logloss"])]  # else a score is no number
    return [why for name, why in _UNDEFINED.items() if any(isnan(one[name]) for one in every)]


def describe_data(source: DataSource, split: Split) -> dict[str, Any]:
    """The facts on the data and on how they were split, and on the features, if there are some."""
    log = source.log
    facts: dict[str, Any] = {
        "name": source.name,
        "description": source.description,
        "num_users": log.num_users,
        "num_items": log.num_items,
        "num_behaviors": log.num_behaviors,
        "num_categories": log.num_categories,
        "split": split.settings,
        "train_examples": len(split.train),
        "valid_examples": len(split.valid),
        "test_examples": len(split.test),
        "fingerprint": fingerprint(log),
    }
    if log.features is not None:
        facts["feature_fingerprints"] = feature_fingerprints(log)
        facts["features"] = [
            {"of": place} | facts
            for place, table in log.features.tables()
            for facts in table.summary()
        ]
    return facts


def fingerprint(log: BehaviorLog) -> str:
    """A digest of who acted on what and when, 16 hexadecimal digits."""
    return tensor_digest(log.items, log.ptr, log.times, log.labels, log.item_category)


def feature_fingerprints(log: BehaviorLog) -> dict[str, str]:
    """A digest of the features of items, users and context each, as far as there are some."""
    tables = () if log.features is None else log.features.tables()
    return {place: table_digest(table) for place, table in tables}


def versions() -> dict[str, str | None]:
    """Versions of Python and of the packages that the figures depend on."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found
