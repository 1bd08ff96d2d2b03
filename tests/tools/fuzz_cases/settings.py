"""Cases for tests/tools/fuzz.py: settings files in YAML."""

import random
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from resemb_gnn.cli.settings_file import read_settings_file
from resemb_gnn.experiment import CompareSettings
from resemb_gnn.settings.setting import may_be_none, takes_one, takes_several, value_type
from tests.tools.fuzz_cases.cases import ODD, Case, Expected, Refused, damage

KNOWN = {spec.name: spec for spec in fields(CompareSettings)}
ENTRIES = (
    *("epochs: !!python/object/apply:os.system ['touch proof']", "data: !include /etc/passwd"),
    *("data: &a x", "data: &a [*a, *a]", "data: *a", "<<: {epochs: 1}", "epochs: {a: 1}"),
    *("epochs: [1, [2]]", "epochs: yes", "epochs: 0x10", "epochs: 1_000", "lr: .nan", "lr: .inf"),
    *("lr: 1e400", "lr: 1e-3", "epochs: '3'", "epochs: ~", "? [a]\n: 1", "data: |\n  two\n  lines"),
    *("epochs: 2020-01-01", f"epochs: {'9' * 5000}", f"data: {'[' * 400}", "epochz: 1"),
    "- epochs",
    *(f"{'x' * 5000}: 1", "data: \"\\x00\"", "---", "...", "%YAML 9.9", "epochs: 1:30", "@: 1"),
    *("embeddings: gcn", "embeddings: [gcn, [gat]]", "embeddings: [gcm]", "data: \ud7ff\ue000"),
    *(f"data: {'{a: ' * 400}", f"{'? ' * 400}a", f"data: {'- ' * 400}a", "epochs: 010"),
)  # fmt: skip


def settings_file(rng: random.Random, folder: Path) -> Case:
    """A settings file: as PyYAML writes it, damaged, or with an odd entry."""
    names = rng.sample(list(KNOWN), rng.randint(0, 6))
    values = {name: _value(rng, KNOWN[name]) for name in names}
    style = rng.choice((None, False, True))
    unicode = rng.random() < 0.5
    data = yaml.safe_dump(values, default_flow_style=style, allow_unicode=unicode).encode()
    kind = rng.randrange(3)
    if kind == 0:
        data = damage(data, rng)
    elif kind == 1:
        lines = yaml.safe_dump(values, default_flow_style=False).splitlines() if values else []
        lines.insert(rng.randint(0, len(lines)), rng.choice(ENTRIES))
        data = "\n".join(lines).encode()
    path = folder / "settings.yaml"
    path.write_bytes(data)
    wanted = {name: tuple(one) if isinstance(one, list) else one for name, one in values.items()}
    good = Expected(wanted, valid=True)
    return Case(
        lambda: read_settings_file(path, CompareSettings),
        lambda: good if kind == 2 else _meant(data),
        str(path),
    )


def _value(rng: random.Random, spec: Any) -> Any:
    """A value that the setting may have."""
    if may_be_none(spec) and rng.random() < 0.3:
        return None
    choices = spec.metadata["choices"]
    if takes_several(spec) and not takes_one(spec):
        return rng.sample(choices, 2) if choices else []
    if choices:
        return rng.choice(choices)
    if spec.metadata["name_of"]:  # jobs
        return rng.choice(("auto", "1", "3"))
    kinds: dict[type, tuple[Any, ...]] = {
        int: (1, 7, 10**9, 2**40),
        float: (1.0, 1e-3, 0.1, 1e30, 5e-324, 3.0),
        bool: (True, False),
        str: (*ODD, "on", "~", "- a", "a: b", "#", "1e3"),
    }
    values = kinds[value_type(spec)]
    if spec.metadata["highest"] is not None:
        values = tuple(value for value in values if value <= spec.metadata["highest"])
    return rng.choice(values)


def _meant(data: bytes) -> Expected | Refused | None:
    """What PyYAML itself makes of the file, where that is a value of the setting's own kind."""
    try:
        text = data.decode()
        if any(getattr(one, "tag", None) or getattr(one, "anchor", None) for one in _events(text)):
            return Refused("a tag, an anchor or an alias")
        found = yaml.safe_load(text)
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        return Refused(f"no YAML: {error}")
    except (RecursionError, ValueError):  # a date that is none, a number of too many digits
        return None
    if found is None:
        return Expected({})
    if not isinstance(found, dict) or found.keys() - KNOWN.keys():
        return Refused("not settings by name")
    values: dict[str, Any] = {}
    for name, value in found.items():
        spec = KNOWN[name]
        if value is None and may_be_none(spec):
            values[name] = None
        elif isinstance(value, dict) or not (
            takes_several(spec) if isinstance(value, list) else takes_one(spec)
        ):
            return Refused(f"{name} is {type(value).__name__}")
        elif isinstance(value, list) and takes_one(spec):
            return None  # one of a list is that one, and none is refused
        elif isinstance(value, list) and all(isinstance(one, str) for one in value):
            values[name] = tuple(value)
        elif spec.metadata["name_of"]:
            return None  # not every word is one of its names
        elif type(value) is value_type(spec):
            values[name] = value
        else:
            return None  # read as a flag would be: 1e-3 is text to YAML 1.1
    return None if ": 0" in text else Expected(values)  # nor is 010 what YAML 1.1 takes it for


def _events(text: str) -> Any:
    return yaml.parse(text, yaml.SafeLoader)
