"""Fields of settings classes: what a flag, or a key of a settings file, is and may be."""

import os
from dataclasses import MISSING, Field, field, fields
from typing import Any, get_args, get_origin

import torch

from resemb_gnn.errors import InputError, shown

# Of whole numbers, and of others, which meet float32 weights.
_HIGHEST = {int: torch.iinfo(torch.int64).max, float: torch.finfo(torch.float32).max}


def flag(
    default: Any,
    text: str,
    choices: tuple[str, ...] | None = None,
    lowest: float | None = None,
    highest: float | None = None,
    group: str | None = None,
) -> Any:
    """A field of a settings class: its default (``MISSING`` if it must be given), help, choices,
    lowest number (none: above 0), highest (none: what PyTorch takes) and the group that it stands
    in.
    """
    metadata = {"help": text, "choices": choices, "lowest": lowest, "highest": highest}
    return field(default=default, metadata=metadata | {"group": group})


def value_type(spec: "Field[Any]") -> type:
    """What a value, or one of several, of a settings field is: ``str``, ``int``, ``float`` or
    ``bool``.
    """
    kind: Any = spec.type
    if get_origin(kind) is tuple:
        kind = get_args(kind)[0]
    if not isinstance(kind, type):  # such as str | None
        kind = next(part for part in get_args(kind) if part is not type(None))
    assert isinstance(kind, type)
    return kind


def takes_several(spec: "Field[Any]") -> bool:
    """Whether a settings field holds a tuple of values."""
    return get_origin(spec.type) is tuple


def may_be_none(spec: "Field[Any]") -> bool:
    """Whether a settings field may be ``None``."""
    return type(None) in get_args(spec.type)


def is_required(spec: "Field[Any]") -> bool:
    """Whether a settings field has no default."""
    return spec.default is MISSING


def check_settings(settings: Any) -> None:
    """Refuses unknown choices and numbers out of range; of a path keeps its text.

    Raises:
        InputError: with the name of the setting and its value.
    """
    for spec in fields(settings):
        value = getattr(settings, spec.name)
        if value_type(spec) is str and isinstance(value, os.PathLike):
            # A saved model holds its settings as JSON, which has no paths.
            object.__setattr__(settings, spec.name, os.fspath(value))
        check_value(spec, getattr(settings, spec.name))


def check_value(spec: "Field[Any]", value: Any) -> None:
    """Refuses a value that a settings field cannot have, as :func:`check_settings` does."""
    choices = spec.metadata["choices"]
    for one in value if isinstance(value, tuple) else [value]:
        if choices is not None and one is not None and one not in choices:
            raise InputError(
                f"{spec.name}={shown(one)} is unknown; choose from {', '.join(choices)}"
            )
    if isinstance(value, int | float) and not isinstance(value, bool):
        lowest = spec.metadata["lowest"]
        highest = spec.metadata["highest"] or _HIGHEST.get(value_type(spec))
        if lowest is None and not value > 0:
            raise InputError(f"{spec.name} must be above 0, not {shown(value)}")
        if lowest is not None and not value >= lowest:
            raise InputError(f"{spec.name} must be at least {lowest}, not {shown(value)}")
        if highest is not None and value > highest:
            raise InputError(f"{spec.name} must be at most {highest}, not {shown(value)}")
