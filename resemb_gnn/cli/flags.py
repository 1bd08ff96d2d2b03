"""Flags made from the fields of a settings class."""

import argparse
from collections.abc import Collection, Mapping
from dataclasses import Field, fields
from functools import partial
from types import MappingProxyType
from typing import Any

from resemb_gnn.errors import InputError
from resemb_gnn.settings.setting import Settings, is_required, parse, takes_several, value_type


def flag_name(name: str) -> str:
    """The flag of a setting: ``--batch-size`` of ``batch_size``."""
    return "--" + name.replace("_", "-")


def add_settings(
    parser: argparse.ArgumentParser,
    settings: type[Settings],
    positional: str = "",
    needs: Collection[str] = (),
    rare: bool = True,
) -> None:
    """One flag a field of a settings class, with its default, choices and help.

    A flag that is not given leaves nothing behind, so that a settings file, and then the class's
    default, can take its place.

    Args:
        parser: where to.
        settings: the settings.
        positional: name of a field that is given by its place instead of by a flag.
        needs: names of fields that must be given although they have a default.
        rare: whether the help lists those, too, that most people do without.
    """
    groups: dict[str | None, Any] = {None: parser}
    for spec in fields(settings):
        group = spec.metadata["group"]
        if group not in groups:
            groups[group] = parser.add_argument_group(group)
        hidden = spec.metadata["rare"] and not rare
        text = argparse.SUPPRESS if hidden else _help(spec, needed=spec.name in needs)
        options: dict[str, Any] = {"default": argparse.SUPPRESS, "help": text}
        kind = value_type(spec)
        if kind is bool:
            options["action"] = argparse.BooleanOptionalAction
        else:
            options["type"] = partial(_value, spec)
            words = spec.metadata["choices"]
            options["metavar"] = "{" + ",".join(words) + "}" if words else kind.__name__.upper()
            if takes_several(spec):
                options["nargs"] = "+"
        if spec.name == positional:
            options |= {"nargs": "?", "metavar": spec.name.upper()}
            groups[group].add_argument(spec.name, **options)
        else:
            groups[group].add_argument(flag_name(spec.name), **options)


def make_settings(
    settings: type[Settings],
    given: dict[str, Any],
    positional: str = "",
    needs: Mapping[str, str] = MappingProxyType({}),
) -> Any:
    """The settings with the values that flags or a file gave, and the class's defaults.

    Args:
        settings: their class.
        given: the values by name.
        positional: name of the field that is given by its place.
        needs: fields that must be given although they have a default, and what to say if one is
            not.

    Raises:
        InputError: if one is missing or cannot be had, or nothing will read it.
    """
    for spec in fields(settings):
        if spec.name not in given and (is_required(spec) or spec.name in needs):
            name = spec.name.upper() if spec.name == positional else flag_name(spec.name)
            raise InputError(f"{name} is missing: {needs.get(spec.name, spec.metadata['help'])}")
    made = settings(**given)
    made.refuse_unread(given)
    return made


def _value(spec: "Field[Any]", text: str) -> Any:
    try:
        return parse(spec, text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _help(spec: "Field[Any]", needed: bool) -> str:
    text = str(spec.metadata["help"]).replace("%", "%%")
    if needed or is_required(spec):
        return text + " (required)"
    if spec.default is None or spec.default is False or spec.default == ():
        return text
    shown = spec.default
    shown = " ".join(shown) if isinstance(shown, tuple) else "yes" if shown is True else shown
    return f"{text} (default: {shown})"
