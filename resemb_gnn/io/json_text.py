"""JSON that must be plain: no name twice in an object, no NaN, no endless nesting; and documents
that are written a record a line.
"""

import json
import math
from pathlib import Path
from typing import Any

from resemb_gnn.errors import InputError, shown
from resemb_gnn.io.atomic import write_atomically


def parse_json(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: if it is not JSON, nested too deeply, an object has a name twice, or a number is
            not finite or has more digits than Python converts.
    """
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read_json(path: Path) -> Any:
    """The value in a UTF-8 file of JSON.

    Raises:
        InputError: naming the file, if it cannot be read or is not JSON as in :func:`parse_json`.
    """
    try:
        return parse_json(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, MemoryError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error


def write_json(path: Path, contents: dict[str, Any], depth: int = 1) -> None:
    """Replaces a file by one JSON document, laid out so that a search finds a record on its line.

    The objects of the first ``depth`` levels have an entry a line; a list of objects in them has
    one object a line; all else stands on the line where it begins.

    Raises:
        ValueError: if a number in it is not finite.
    """
    write_atomically(path, _laid_out(contents, depth) + "\n")


def _laid_out(value: Any, depth: int) -> str:
    if isinstance(value, dict) and value and depth > 0:
        lines = [f"{json.dumps(key)}: {_laid_out(part, depth - 1)}" for key, part in value.items()]
        return "{\n" + ",\n".join(lines) + "\n}"
    if isinstance(value, list) and value and all(isinstance(part, dict) for part in value):
        return "[\n" + ",\n".join(_laid_out(part, 0) for part in value) + "\n]"
    return json.dumps(value, allow_nan=False)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {shown(twice)} comes twice in an object")
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


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
