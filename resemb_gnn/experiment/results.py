"""The results file: schema, atomic replacement, resumption."""

import json
import math
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from resemb_gnn.atomic import write_atomically
from resemb_gnn.data import BehaviorLog, digest
from resemb_gnn.errors import InputError, differences

SCHEMA = 1
_PACKAGES = ("resemb-gnn", "torch", "torch-geometric", "torch-scatter", "numpy", "scipy", "polars")


def write_results(path: Path, results: dict[str, Any]) -> None:
    """Writes ``results`` as JSON; a value that is not finite becomes ``null``."""
    text = json.dumps(_map_numbers(results, to_file=True), indent=1, allow_nan=False)
    write_atomically(path, text + "\n")


def read_results(path: Path) -> dict[str, Any]:
    """Reads a results file; a ``null`` metric becomes NaN.

    Raises:
        InputError: if it cannot be read, is damaged, or has another schema.
    """
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    if not isinstance(results, dict) or results.get("schema") != SCHEMA:
        raise InputError(f"{path} is not a results file of schema {SCHEMA}")
    missing = {"data", "settings", "runs", "versions", "command"} - results.keys()
    if missing:
        raise InputError(f"{path} lacks {', '.join(sorted(missing))}")
    results["runs"] = _map_numbers(results["runs"], to_file=False)
    return results


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


def fingerprint(log: BehaviorLog) -> str:
    """A digest of who acted on what and when, 16 hexadecimal digits."""
    return digest(log.items, log.ptr, log.times, log.labels, log.item_category)


def versions() -> dict[str, str | None]:
    """Versions of Python and of the packages that the figures depend on."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def _map_numbers(value: Any, to_file: bool) -> Any:
    if isinstance(value, dict):
        return {key: _map_numbers(part, to_file) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_map_numbers(part, to_file) for part in value]
    if to_file and isinstance(value, float) and not math.isfinite(value):
        return None
    if not to_file and value is None:
        return math.nan
    return value
