"""The results file: schema, atomic replacement, resumption."""

import math
import platform
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from resemb_gnn.data import BehaviorLog, Split
from resemb_gnn.datasets import DataSource
from resemb_gnn.errors import InputError, differences, shown
from resemb_gnn.io.digests import tensor_digest
from resemb_gnn.io.json_text import read_json, write_json
from resemb_gnn.training import FitResult

SCHEMA = 1
_PACKAGES = ("resemb-gnn", "torch", "torch-geometric", "torch-scatter", "numpy", "scipy", "polars")

_PARTS = {"data": dict, "settings": dict, "runs": list, "versions": dict, "command": str}
_METRICS = {"test", "valid", "train"}
_FIGURES = {"gap", "best_epoch", "epochs", "seconds_per_epoch"}
_FIGURES |= {"examples_per_second", "num_parameters"}
_LARGEST = 1e300


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


def write_results(path: Path, results: dict[str, Any]) -> None:
    """Writes ``results`` as JSON, a run a line; a value that is not finite becomes ``null``."""
    write_json(path, map_numbers(results, to_file=True))


def read_results(path: Path) -> dict[str, Any]:
    """Reads a results file; a ``null`` metric becomes NaN.

    Raises:
        InputError: if it cannot be read, is damaged, or has another schema.
    """
    results = read_json(path)
    if not isinstance(results, dict) or results.get("schema") != SCHEMA:
        raise InputError(f"{path} is not a results file of schema {SCHEMA}")
    missing = _PARTS.keys() - results.keys()
    if missing:
        raise InputError(f"{path} lacks {', '.join(sorted(missing))}")
    for name, kind in _PARTS.items():
        if not isinstance(results[name], kind):
            raise InputError(f"{path}: {name} is {shown(results[name])}, not {kind.__name__}")
    if not isinstance(results["data"].get("name"), str):
        raise InputError(f"{path}: data has no name")
    for number, run in enumerate(results["runs"]):
        wrong = _wrong_part(run)
        if wrong is not None:
            raise InputError(f"{path}: run {number} (from 0): {wrong}")
    results["runs"] = map_numbers(results["runs"], to_file=False)
    return results


def _wrong_part(run: Any) -> str | None:
    """What of a run the report could not use; ``None`` if all can be."""
    if not isinstance(run, dict):
        return f"{shown(run)} is no run"
    if not isinstance(run.get("embedding"), str):
        return f"embedding is {shown(run.get('embedding'))}, not a name"
    seed = run.get("seed")
    if not isinstance(seed, int) or isinstance(seed, bool):
        return f"seed is {shown(seed)}, not a whole number"
    for name in sorted((_METRICS | _FIGURES) & run.keys()):
        if not _is_figure(name, run[name]):
            return f"{name} is {shown(run[name])}, not a figure"
    curve = run.get("curve") or []
    if not isinstance(curve, list):
        return f"curve is {shown(curve)}, not a list of epochs"
    for epoch in curve:
        if not isinstance(epoch, dict) or not all(_is_figure(*pair) for pair in epoch.items()):
            return f"curve holds {shown(epoch)}, not an epoch's figures"
    return None


def _is_figure(name: str, value: Any) -> bool:
    """Whether it is a number or, of a name that stands for metrics, numbers by name."""
    if name in _METRICS and isinstance(value, dict):
        return all(map(_is_number, value.values()))
    return _is_number(value)


def _is_number(value: Any) -> bool:
    if value is None:
        return True
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and abs(value) < _LARGEST


def refuse_other_settings(path: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Refuses to mix runs of different data or settings in one file, naming the differences.

    Raises:
        InputError: if a setting or the fingerprint of the data differs.
    """
    data = "data fingerprint"
    found = differences(old["settings"], new["settings"]) + differences(
        {data: old["data"].get("fingerprint")}, {data: new["data"]["fingerprint"]}
    )
    if found:
        raise InputError(f"{path} belongs to another comparison: {'; '.join(found)}")


def describe_data(source: DataSource, split: Split) -> dict[str, Any]:
    """The facts on the data and on how they were split."""
    log = source.log
    return {
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


def fingerprint(log: BehaviorLog) -> str:
    """A digest of who acted on what and when, 16 hexadecimal digits."""
    return tensor_digest(log.items, log.ptr, log.times, log.labels, log.item_category)


def versions() -> dict[str, str | None]:
    """Versions of Python and of the packages that the figures depend on."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def map_numbers(value: Any, to_file: bool) -> Any:
    """The value with the numbers in it that are not finite as ``None`` (``to_file``), or with
    ``None`` as NaN.
    """
    if isinstance(value, dict):
        return {key: map_numbers(part, to_file) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [map_numbers(part, to_file) for part in value]
    if to_file and isinstance(value, float) and not math.isfinite(value):
        return None
    if not to_file and value is None:
        return math.nan
    return value
