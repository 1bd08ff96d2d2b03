"""Packages of the extra ``serve``, imported where they are used."""

import importlib
from typing import Any


def require(name: str, purpose: str) -> Any:
    """The module ``name``.

    Raises:
        ImportError: if it is not installed; the message says how to get it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"{purpose} needs {name}: pip install 'resemb-gnn[serve]'", name=name
        ) from error
