"""Settings read from a YAML file, as strictly as from flags."""

from dataclasses import Field, fields
from pathlib import Path
from typing import Any, NoReturn

import yaml

from resemb_gnn.cli.synonyms import nearest_setting
from resemb_gnn.errors import InputError, brief, shown
from resemb_gnn.settings.setting import (
    Settings,
    convert,
    may_be_none,
    parse,
    takes_one,
    takes_several,
    value_type,
)

LONGEST = 2**20  # bytes; PyYAML takes a second for so many
_DEEPEST = 2  # a list in the mapping; PyYAML's time and stack grow with the depth
_NULL = "tag:yaml.org,2002:null"


def read_settings_file(path: str | Path, settings: type[Settings]) -> dict[str, Any]:
    """The settings that a YAML file gives: a mapping from names of fields to values.

    A value is read as it would be behind a flag: ``1e-3`` is a number where a number is wanted,
    and ``on`` is text where text is wanted. Nothing but plain scalars and lists of them is
    accepted; no tag is ever followed.

    Args:
        path: the file.
        settings: the settings.

    Raises:
        InputError: if the file cannot be read, or a key is unknown or comes twice, or a value is of
            another kind or out of range; it names file and line, and the nearest known name.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(LONGEST + 1)
        if len(data) > LONGEST:
            raise InputError(f"{path} is longer than {LONGEST:,} bytes: no settings file")
        text = data.decode()
        _refuse_extras(path, text)
        root = yaml.compose(text, yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        message = " ".join(str(error).split())
        raise InputError(f"{path} is not YAML: {brief(ValueError(message))}") from error
    if root is None:
        return {}
    if not isinstance(root, yaml.MappingNode):
        _refuse(path, root, "the file must hold NAME: VALUE lines")
    known = {spec.name: spec for spec in fields(settings)}
    found: dict[str, Any] = {}
    for key, value in root.value:
        name = key.value if isinstance(key, yaml.ScalarNode) else "?"
        if name not in known:
            _refuse(path, key, f"unknown setting {shown(name)}{nearest_setting(name, known)}")
        if name in found:
            _refuse(path, key, f"{name!r} comes twice")
        try:
            found[name] = convert(known[name], _read(value, known[name]))
        except InputError as error:
            _refuse(path, value, str(error))
    return found


def _read(node: yaml.Node, spec: "Field[Any]") -> Any:
    """What a node holds for a setting; errors are told without their place."""
    if isinstance(node, yaml.ScalarNode) and node.tag == _NULL and may_be_none(spec):
        return None
    if takes_several(spec) and not (takes_one(spec) and isinstance(node, yaml.ScalarNode)):
        if not isinstance(node, yaml.SequenceNode):
            raise InputError(f"{spec.name} must be a list, as [first, second]")
        return tuple(_read_scalar(part, spec) for part in node.value)
    if isinstance(node, yaml.ScalarNode) and node.tag == _NULL:
        raise InputError(f"{spec.name} has no value")
    return _read_scalar(node, spec)


def _read_scalar(node: yaml.Node, spec: "Field[Any]") -> Any:
    if not isinstance(node, yaml.ScalarNode) or node.tag == _NULL:
        raise InputError(f"{spec.name} must be a single value")
    kind = value_type(spec)
    if kind is not str and node.style is not None:
        raise InputError(f"{spec.name}: {shown(node.value)} in quotes is text")
    return parse(spec, node.value)


def _refuse_extras(path: str | Path, text: str) -> None:
    """Tags, anchors and aliases, and lists or mappings within others: settings need none."""
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEEPEST:
            _refuse(path, event, "lists and mappings must not be nested so deeply")
        if not isinstance(event, yaml.NodeEvent):
            continue
        tag = getattr(event, "tag", None)
        if tag is not None:
            _refuse(path, event, f"the YAML tag {shown(tag)} is not accepted")
        if event.anchor is not None:
            _refuse(path, event, f"the YAML anchor {shown(event.anchor)} is not accepted")


def _refuse(path: str | Path, node: Any, message: str) -> NoReturn:
    raise InputError(f"{path}, line {node.start_mark.line + 1}: {message}")
