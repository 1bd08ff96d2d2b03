"""The results file: schema, atomic replacement, resumption."""

from pathlib import Path
from typing import Any

from resemb_gnn.errors import InputError, differences, shown
from resemb_gnn.io.json_text import map_numbers, read_json, write_json
from resemb_gnn.settings import CompareSettings
from resemb_gnn.settings.shared import EARLIER

SCHEMA = 1

_PARTS = {"data": dict, "settings": dict, "runs": list, "versions": dict, "command": str}
_METRICS = {"test", "valid", "train"}
_FIGURES = {"gap", "best_epoch", "epochs", "seconds_per_epoch"}
_FIGURES |= {"examples_per_second", "num_parameters"}
_LARGEST = 1e300


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
    baseline = results.get("baseline", "")
    if not isinstance(baseline, str):
        raise InputError(f"{path}: baseline is {shown(baseline)}, not a name")
    over_users = results.get("over_users", {})
    if not _is_nested(over_users, depth=3):
        raise InputError(f"{path}: over_users is {shown(over_users)}, not figures by embedding")
    for name in {"runs", "over_users"} & results.keys():
        results[name] = map_numbers(results[name], to_file=False)
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
    ranking = run.get("ranking", {})
    if not isinstance(ranking, dict) or not all(
        name == "among" or _is_number(value) for name, value in ranking.items()
    ):
        return f"ranking is {shown(ranking)}, not figures"
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


def _is_nested(value: Any, depth: int) -> bool:
    """Whether it is numbers by name, by name and so on, so many times."""
    if not depth:
        return _is_number(value)
    return isinstance(value, dict) and all(_is_nested(one, depth - 1) for one in value.values())


def _is_number(value: Any) -> bool:
    if value is None:
        return True
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and abs(value) < _LARGEST


def refuse_other_settings(path: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Refuses to mix runs of different data or settings in one file, naming the differences. A
    setting that the old file does not name, since it came later, has what was done before, or its
    default.

    Raises:
        InputError: if a setting, how the log is split, or the fingerprint of the data or of a table
            of features differs.
    """
    usual = CompareSettings().identity() | EARLIER
    later = (new["settings"].keys() & usual.keys()) - old["settings"].keys()
    before = old["settings"] | {name: usual[name] for name in later}
    found = differences(before, new["settings"])
    found += differences(_fingerprints(old["data"]), _fingerprints(new["data"]))
    if found:
        raise InputError(f"{path} belongs to another comparison: {'; '.join(found)}")


def _fingerprints(data: dict[str, Any]) -> dict[str, Any]:
    features = data.get("feature_fingerprints", {})
    own = {f"fingerprint of the features of {name}": value for name, value in features.items()}
    split = data.get("split") or {}
    return {"data fingerprint": data.get("fingerprint"), "split": split.get("by")} | own
