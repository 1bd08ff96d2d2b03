"""Packages of the extras, imported where they are used."""

import importlib
from typing import Any


def require(name: str, purpose: str, extra: str) -> Any:
    """The module ``name``, which comes with the extra ``extra``.

    Raises:
        ImportError: if it is not installed; the message says how to get it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"{purpose} needs {name}: pip install 'resemb-gnn[{extra}]'", name=name
        ) from error
