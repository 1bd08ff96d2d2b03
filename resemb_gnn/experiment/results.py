"""The results file: schema, atomic replacement, resumption."""

import hashlib
import json
import math
import os
import platform
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

from resemb_gnn.data import BehaviorLog
from resemb_gnn.errors import InputError

SCHEMA = 1
_PACKAGES = ("resemb-gnn", "torch", "torch-geometric", "torch-scatter", "numpy", "scipy", "polars")


def write_atomically(path: Path, text: str) -> None:
    """Replaces a file as a whole: a reader, or a crash, sees the old text or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


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
    differences = [
        f"{name} was {before.get(name)!r} and is {after.get(name)!r}"
        for before, after in (
            (old["settings"], new["settings"]),
            (
                {"data fingerprint": old["data"].get("fingerprint")},
                {"data fingerprint": new["data"]["fingerprint"]},
            ),
        )
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]
    if differences:
        raise InputError(f"{path} belongs to another comparison: {'; '.join(differences)}")


def fingerprint(log: BehaviorLog) -> str:
    """A digest of who acted on what and when, 16 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=8)
    for part in (log.items, log.ptr, log.times, log.labels, log.item_category):
        if part is not None:
            digest.update(part.contiguous().numpy().tobytes())
    return digest.hexdigest()


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
