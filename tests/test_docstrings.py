"""The examples in public docstrings run and print what they say."""

import doctest
import importlib
import re
from pathlib import Path

import pytest

import resemb_gnn

PACKAGES = ("data", "datasets", "graph", "nn", "models", "training", "theory", "serving")
# What a newcomer meets first must show how it is used.
SHOWN = {"from_frame", "covisit_graph", "SpectralFeatures", "ResEmbedding", "DIN", "fit", "auc"}


def examples() -> dict[str, doctest.DocTest]:
    """Doctests of everything public, by name."""
    modules = [resemb_gnn, *(importlib.import_module(f"resemb_gnn.{name}") for name in PACKAGES)]
    objects = {
        getattr(module, name)
        for module in modules
        for name in module.__all__
        if callable(getattr(module, name))
    }
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [
        test
        for each in objects
        for test in finder.find(
            each, each.__name__, module=importlib.import_module(each.__module__)
        )
        if test.examples
    ]
    return {test.name: test for test in found}


EXAMPLES = examples()


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_example(name: str) -> None:
    report: list[str] = []
    result = doctest.DocTestRunner().run(EXAMPLES[name], out=report.append)
    assert result.failed == 0, "".join(report)


def test_what_is_met_first_has_an_example() -> None:
    assert {name.split(".")[-1] for name in EXAMPLES} >= SHOWN


def test_docstrings_have_no_tables_of_equals_signs() -> None:
    # The site reads them as Markdown, which has none.
    files = Path(resemb_gnn.__file__).parent.rglob("*.py")
    assert not [str(file) for file in files if re.search(r"^ *={4,}", file.read_text(), re.M)]
