"""The names of the package, which are imported when they are first asked for."""

import ast
import importlib
import json
import pickle
import pydoc
import subprocess
import sys
from pathlib import Path

import pytest

import resemb_gnn as rg

FOLDER = Path(rg.__file__).parent


def in_new_process(code: str) -> str:
    """What a process prints that has imported nothing yet."""
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout


def typed_places() -> dict[str, str]:
    """Where each name is from, as tools that read types see it."""
    tree = ast.parse(Path(rg.__file__).read_text())
    (block,) = [
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    froms = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    assert len(froms) == len(block.body)
    return {alias.name: node.module for node in froms for alias in node.names}


def test_the_table_says_what_the_types_say() -> None:
    assert typed_places() == rg._PLACE_OF
    assert sorted(rg._PLACE_OF) == sorted(rg.__all__)


@pytest.mark.parametrize("name", rg.__all__)
def test_every_name_is_what_stands_at_its_place(name: str) -> None:
    assert getattr(rg, name) is getattr(importlib.import_module(rg._PLACE_OF[name]), name)


def test_no_name_hides_a_module() -> None:
    """An import of the module would put it in the name's place."""
    modules = {path.stem for path in FOLDER.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert {"data", "errors", "saved"} <= modules
    assert not modules & set(rg.__all__)


def test_nothing_is_imported_before_it_is_asked_for() -> None:
    code = """if True:
        import json, sys
        import resemb_gnn as rg
        def ours(): return [name for name in sys.modules if name.startswith("resemb_gnn.")]
        eager = ours()
        listed, known = dir(rg), hasattr(rg, "ResEmbeding")
        rg.InputError
        print(json.dumps([eager, listed, known, ours(), "torch" in sys.modules]))
    """
    eager, listed, known, asked_for, torch = json.loads(in_new_process(code))
    assert eager == []
    assert {*rg.__all__, "__version__", "data", "datasets", "serving"} <= set(listed)
    assert not known
    assert asked_for == ["resemb_gnn.errors"]
    assert not torch


def test_a_module_is_there_as_an_attribute_and_a_star_takes_all_names() -> None:
    modules = sorted(path.parent.name for path in FOLDER.glob("*/__init__.py"))
    code = f"""if True:
        import resemb_gnn
        print(*[getattr(resemb_gnn, name).__name__ for name in {modules}])
        del resemb_gnn
        from resemb_gnn import *
        print(*[name for name in dir() if name[0] != '_'])
    """
    found, names = in_new_process(code).splitlines()
    assert found.split() == [f"resemb_gnn.{name}" for name in modules]
    assert names.split() == sorted(rg.__all__)


def test_help_shows_them() -> None:
    text = pydoc.plain(pydoc.render_doc(rg))
    for name in rg.__all__:
        assert name in text


def test_unknown_names() -> None:
    misspelt = "ResEmbeding"
    with pytest.raises(AttributeError, match="'resemb_gnn' has no attribute 'ResEmbeding'"):
        getattr(rg, misspelt)
    with pytest.raises(ImportError, match="cannot import name 'ResEmbeding'"):
        exec(f"from resemb_gnn import {misspelt}")
    assert not hasattr(rg, "__main__")  # which would run the program


def test_pickled_names_are_found_in_a_new_process() -> None:
    held = pickle.dumps([getattr(rg, name) for name in rg.__all__])
    code = f"import pickle\nprint(*[each.__name__ for each in pickle.loads({held!r})])"
    assert in_new_process(code).split() == list(rg.__all__)
