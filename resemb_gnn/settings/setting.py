"""How a setting is declared, and how its values are read and checked, wherever they come from."""

import os
from collections.abc import Callable, Iterable
from dataclasses import MISSING, Field, dataclass, field, fields
from types import UnionType
from typing import Any, get_args, get_origin

from resemb_gnn.errors import InputError, shown, unknown_choice

# Of whole numbers, and of others, which meet float32 weights.
_HIGHEST = {int: 2**63 - 1, float: 3.4028234663852886e38}
_KINDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def setting(
    default: Any,
    text: str,
    choices: tuple[str, ...] | None = None,
    lowest: float | None = None,
    highest: float | None = None,
    group: str | None = None,
    rare: bool = False,
    name_of: Callable[[str], str] | None = None,
) -> Any:
    """A field of a :class:`Settings` class.

    Args:
        default: its default; ``dataclasses.MISSING`` if it must be given.
        text: what it means, for the help.
        choices: the words that it may be.
        lowest: the lowest number; ``None`` for any above 0.
        highest: the highest number; ``None`` for what PyTorch takes.
        group: under which heading of the help it stands.
        rare: whether most people do without it: ``--help-all`` lists it, and ``--help`` does not.
        name_of: gives a word its one spelling, or refuses it with an ``InputError``.
    """
    bounds = {"choices": choices, "lowest": lowest, "highest": highest, "name_of": name_of}
    metadata: dict[str, Any] = {"help": text, "group": group, "rare": rare}
    return field(default=default, metadata=metadata | bounds)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Base class: a frozen dataclass whose fields are made by :func:`setting`. Its values are
    converted to their types where that loses nothing, so that what is trained can be saved.

    Raises:
        InputError: if a value is of another type, an unknown choice or out of range.
    """

    def __post_init__(self) -> None:
        for spec in fields(self):
            object.__setattr__(self, spec.name, convert(spec, getattr(self, spec.name)))

    def refuse_unread(self, given: Iterable[str]) -> None:
        """Refuses settings that were asked for by name and that nothing will read.

        Raises:
            InputError: naming the first of them.
        """

    def without(self, names: set[str]) -> dict[str, Any]:
        """The settings by name, but for ``names``, as JSON gives them back: lists for tuples."""
        every = {spec.name: getattr(self, spec.name) for spec in fields(self)}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in every.items()
            if name not in names
        }


def value_type(spec: "Field[Any]") -> type:
    """What a value, or one of several, of a setting is: ``str``, ``int``, ``float`` or ``bool``."""
    kind = _kinds(spec)[0]
    if get_origin(kind) is tuple:
        kind = get_args(kind)[0]
    assert isinstance(kind, type)
    return kind


def takes_several(spec: "Field[Any]") -> bool:
    """Whether a setting holds a tuple of values, or may do so."""
    return any(get_origin(kind) is tuple for kind in _kinds(spec))


def takes_one(spec: "Field[Any]") -> bool:
    """Whether a setting holds a single value, or may do so."""
    return any(get_origin(kind) is not tuple for kind in _kinds(spec))


def may_be_none(spec: "Field[Any]") -> bool:
    """Whether a setting may be ``None``."""
    return type(None) in get_args(spec.type)


def _kinds(spec: "Field[Any]") -> list[Any]:
    """The types that a setting may have besides ``None``, as ``str`` and ``tuple[str, ...]``."""
    union = isinstance(spec.type, UnionType)
    kinds = get_args(spec.type) if union else (spec.type,)
    return [kind for kind in kinds if kind is not type(None)]


def is_required(spec: "Field[Any]") -> bool:
    """Whether a setting has no default."""
    return spec.default is MISSING


def parse(spec: "Field[Any]", text: str) -> Any:
    """One value of a setting from text: of a flag, a settings file or an override.

    Raises:
        InputError: naming the setting, if the text is none of its values.
    """
    kind = value_type(spec)
    if kind is str:
        return _checked(spec, text)
    try:
        value = {"true": True, "false": False}[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError):
        raise _wrong_kind(spec, text) from None
    return _checked(spec, value)


def convert(spec: "Field[Any]", value: Any) -> Any:
    """A setting's value from Python or JSON, in the setting's own type: a whole ``float`` for an
    ``int``, a number of NumPy's or PyTorch's for Python's, a path for its text. Of several equal
    values one is kept.

    Raises:
        InputError: naming the setting, if it is of another type or out of range.
    """
    if value is None and may_be_none(spec):
        return None
    if not takes_several(spec):
        return _checked(spec, _converted(spec, value))
    if isinstance(value, str) or not isinstance(value, Iterable):
        if takes_one(spec):
            return _checked(spec, _converted(spec, value))
        raise InputError(f"{spec.name} must be several values, not {shown(value)}")
    every = tuple(dict.fromkeys(_checked(spec, _converted(spec, one)) for one in value))
    if takes_one(spec) and not every:
        raise InputError(f"{spec.name} has no value")
    return every[0] if takes_one(spec) and len(every) == 1 else every


def check_values(settings: type[Settings], **values: Any) -> None:
    """Refuses values that the settings of these names cannot have; ``None`` passes.

    For the constructors of the library, whose arguments are settings of the command line.

    Raises:
        InputError: naming the first of them.
    """
    for spec in fields(settings):
        if values.get(spec.name) is not None:
            _checked(spec, values[spec.name])


def _converted(spec: "Field[Any]", value: Any) -> Any:
    kind = value_type(spec)
    if not isinstance(value, str | int | float) and getattr(value, "ndim", None) == 0:
        value = value.item()  # of NumPy's or PyTorch's
    if kind is str:
        if isinstance(value, os.PathLike):
            value = os.fspath(value)
        fits = isinstance(value, str)
    elif kind is bool:
        fits = isinstance(value, bool)
    else:
        fits = isinstance(value, int | float) and not isinstance(value, bool)
        if fits and kind is int and isinstance(value, float):
            fits = value.is_integer()
    if not fits:
        raise _wrong_kind(spec, value)
    try:
        return kind(value)
    except OverflowError:  # a whole number beyond all floats
        return value


def _checked(spec: "Field[Any]", value: Any) -> Any:
    choices, name_of = spec.metadata["choices"], spec.metadata["name_of"]
    if name_of is not None:
        value = name_of(value)
    if choices is not None and value not in choices:
        raise unknown_choice(f"{spec.name}={shown(value)}", value, choices)
    if isinstance(value, int | float) and not isinstance(value, bool):
        lowest = spec.metadata["lowest"]
        highest = spec.metadata["highest"] or _HIGHEST.get(value_type(spec))
        if lowest is None and not value > 0:
            raise InputError(f"{spec.name} must be above 0, not {shown(value)}")
        if lowest is not None and not value >= lowest:
            raise InputError(f"{spec.name} must be at least {lowest}, not {shown(value)}")
        if highest is not None and value > highest:
            raise InputError(f"{spec.name} must be at most {highest}, not {shown(value)}")
    return value


def _wrong_kind(spec: "Field[Any]", value: Any) -> InputError:
    return InputError(f"{spec.name} must be {_KINDS[value_type(spec)]}, not {shown(value)}")
