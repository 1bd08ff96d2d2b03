"""Settings files are read as flags would be, and refused with the line that is wrong."""

import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from resemb_gnn import InputError
from resemb_gnn.cli.settings_file import read_settings_file
from resemb_gnn.settings import CompareSettings
from resemb_gnn.settings.setting import Settings as Base
from resemb_gnn.settings.setting import setting


@dataclass(frozen=True, kw_only=True)
class Settings(Base):
    """One field of each kind."""

    size: int = setting(3, "a whole number")
    rate: float | None = setting(None, "a number")
    name: str = setting("a", "text")
    mode: str = setting("fast", "a choice", choices=("fast", "slow"))
    deep: bool = setting(False, "yes or no")
    parts: tuple[str, ...] = setting((), "several")


def read(tmp_path: Path, text: str) -> dict[str, object]:
    path = tmp_path / "settings.yaml"
    path.write_text(text, encoding="utf-8")
    return read_settings_file(path, Settings)


def test_values_are_read_as_behind_a_flag(tmp_path: Path) -> None:
    text = "# mine\nsize: 12\nrate: 1e-3\nname: on\nmode: slow\ndeep: True\nparts: [7, b]\n"
    assert read(tmp_path, text) == {
        "size": 12, "rate": 1e-3, "name": "on", "mode": "slow", "deep": True, "parts": ("7", "b"),
    }  # fmt: skip
    assert read(tmp_path, "rate: null\nname: ''\n") == {"rate": None, "name": ""}
    assert read(tmp_path, "") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("size: 1\nsiez: 2", r"line 2: unknown setting 'siez'; did you mean size\?"),
        ("zzzzzzzz: 2", r"line 1: unknown setting 'zzzzzzzz'$"),
        ("size: 1\nname: b\nsize: 2", r"line 3: 'size' comes twice"),
        ("size: ten", r"line 1: size must be a whole number, not 'ten'"),
        ("size: 1.5", r"line 1: size must be a whole number, not '1.5'"),
        ("size: '3'", r"line 1: size: '3' in quotes is text"),
        ("size: [3]", r"line 1: size must be a single value"),
        ("size: 0", r"line 1: size must be above 0, not 0"),
        ("size:", r"line 1: size has no value"),
        ("\nrate: {a: 1}", r"line 2: rate must be a single value"),
        ("mode: slwo", r"line 1: mode='slwo' is unknown; choose from fast, slow"),
        ("deep: yes", r"line 1: deep must be true or false, not 'yes'"),
        ("deep: 1", r"line 1: deep must be true or false"),
        ("parts: a", r"line 1: parts must be a list"),
        ("parts: [a, [b]]", r"line 1: lists and mappings must not be nested"),
        ("parts: [a, ~]", r"line 1: parts must be a single value"),
        ("- size", r"line 1: the file must hold NAME: VALUE"),
        ("? [a]\n: 1", r"line 1: unknown setting"),
        ("size: 1\nname: !!python/name:os.system", r"line 2: the YAML tag 'tag:yaml.org,2002:pyth"),
        ("name: !include x", r"line 1: the YAML tag '!include'"),
        ("name: &a b", r"line 1: the YAML anchor 'a'"),
        ("size: 1\nparts: [a", r"is not YAML: .*line 2"),
        ("size: 1\n---\nsize: 2", r"is not YAML: .*single document"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as told:
        read(tmp_path, text)
    assert str(told.value).count("settings.yaml") == 1


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_settings_file(tmp_path / "none.yaml", Settings)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(InputError, match=r"binary\.yaml"):
        read_settings_file(tmp_path / "binary.yaml", Settings)


@given(
    st.builds(
        Settings,
        size=st.integers(1, 10**9),
        rate=st.none() | st.floats(1e-30, 1e30),
        name=st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"])),
        mode=st.sampled_from(["fast", "slow"]),
        deep=st.booleans(),
        parts=st.lists(st.sampled_from(["a", "true", "1", "- b"]), max_size=3).map(tuple),
    )
)
def test_what_pyyaml_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, settings: Settings
) -> None:
    path = tmp_path_factory.mktemp("yaml") / "settings.yaml"
    values = asdict(settings) | {"parts": list(settings.parts)}
    path.write_text(yaml.safe_dump(values, allow_unicode=True), encoding="utf-8")
    assert Settings(**read_settings_file(path, Settings)) == settings


@pytest.mark.parametrize(
    "value",
    ["[" * 5000, "{a: " * 5000, "? " * 5000, "9" * 5000, "&" + "a" * 5000, "!" + "a" * 5000],
)
def test_long_and_deep_values_are_refused_at_once_and_briefly(tmp_path: Path, value: str) -> None:
    started = time.monotonic()
    with pytest.raises(InputError, match="line 1") as caught:
        read(tmp_path, f"size: {value}")
    assert time.monotonic() - started < 5  # PyYAML alone takes minutes for the deepest
    assert len(str(caught.value)) < 1000 + len(str(tmp_path))


def test_a_file_too_long_for_settings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="longer than 1,048,576 bytes"):
        read(tmp_path, "# \n" * 2**19)


def test_every_default_of_compare_can_stand_in_a_file(tmp_path: Path) -> None:
    values = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(CompareSettings()).items()
    }
    assert values.keys() == {spec.name for spec in fields(CompareSettings)}
    path = tmp_path / "settings.yaml"
    path.write_text(yaml.safe_dump(values))
    assert CompareSettings(**read_settings_file(path, CompareSettings)) == CompareSettings()
