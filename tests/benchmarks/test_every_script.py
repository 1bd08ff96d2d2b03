"""Every module of benchmarks and of the tools can be imported, and every program is tested."""

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OPTIONAL = {"deepctr_torch", "fuxictr", "mutmut", "onnxruntime", "torch_rechub", "usearch"}
FILES = [
    path
    for folder in ("benchmarks", "tests/tools")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if not path.name.startswith(("test_", "__init__"))
]


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def imported(path: Path) -> set[str]:
    """Modules that a test imports, by their full names."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_it_can_be_imported_and_says_what_it_takes(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        module = importlib.import_module(name_of(path))
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] not in OPTIONAL:
            raise
        pytest.skip(f"needs {error.name}")
    assert module.__doc__
    if hasattr(module, "main"):
        with pytest.raises(SystemExit) as ended:
            module.main(["--help"])
        assert ended.value.code == 0
        assert "usage:" in capsys.readouterr().out


def test_every_program_is_run_by_a_test() -> None:
    programs = {name_of(path) for path in FILES if "\nif __name__ ==" in path.read_text()}
    tests = [
        path
        for folder in ("benchmarks", "tools")
        for path in (ROOT / "tests" / folder).glob("test_*.py")
    ]
    assert len(programs) > 15
    assert programs - set().union(*map(imported, tests)) == set()
