"""Data flow one way: a folder imports only from those above it, and no two files import each other.

Names that are only annotated (``if TYPE_CHECKING``) do not count. What stands at a place that is
named by a text, ``"module:name"``, is imported when it is used and counts as if it were at once;
``settings/`` alone names what is below it.
"""

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "resemb_gnn"
# Top to bottom; what stands beside the folders is above all of them.
FOLDERS = (
    "settings", "io", "data", "datasets", "graph", "nn/layers", "nn/encoders", "nn/embeddings",
    "nn", "models", "training", "theory", "pipeline", "experiment", "serving", "saved", "cli",
)  # fmt: skip
FILES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))


def folder_of(path: Path) -> str:
    """The folder of the list that a file belongs to; "" beside them."""
    found = [name for name in FOLDERS if path.is_relative_to(name)]
    return max(found, key=len, default="")


def imported(path: Path) -> Iterator[Path]:
    """The files of the package that a file imports, also within functions."""
    tree = ast.parse((ROOT / path).read_text())
    skipped = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.ImportFrom | ast.Import):
            modules = [alias.name for alias in node.names]
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, "imports are written in full"
                modules = [f"{node.module}.{name}" for name in modules]
        elif isinstance(node, ast.Constant) and path.parts[0] != "settings":
            modules = re.findall(r"^(resemb_gnn\.[a-z_.]+):\w+$", str(node.value))
        else:
            continue
        for module in modules:
            parts = module.split(".")
            if parts[0] != "resemb_gnn":
                continue
            # The longest part of the name that is a file or a folder.
            for end in range(len(parts), 0, -1):
                place = ROOT.joinpath(*parts[1:end])
                for file in (place.with_suffix(".py"), place / "__init__.py"):
                    if file.is_file():
                        yield file.relative_to(ROOT)
                        break
                else:
                    continue
                break


@pytest.mark.parametrize("path", FILES, ids=str)
def test_a_file_imports_from_its_folder_or_above(path: Path) -> None:
    if path in (Path("__init__.py"), Path("__main__.py")):
        return
    own = folder_of(path)
    allowed = ["", *FOLDERS[: FOLDERS.index(own) + 1]] if own else [""]
    for other in imported(path):
        assert other != Path("__init__.py"), f"{path} imports the whole package"
        assert folder_of(other) in allowed, f"{path} imports {other}, which stands below it"


def test_no_circle_of_files() -> None:
    graph = {path: set(imported(path)) - {path} for path in FILES}
    list(TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle


def test_the_list_of_folders_is_complete() -> None:
    assert {path.parts[0] for path in FILES if len(path.parts) > 1} <= {
        name.split("/")[0] for name in FOLDERS
    }


def test_places_that_are_named_count() -> None:
    named = set(imported(Path("cli/commands.py")))
    assert {Path("cli/model_commands.py"), Path("cli/compare.py"), Path("cli/graph.py")} <= named
