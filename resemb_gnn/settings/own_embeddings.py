"""Embeddings of one's own, known by name for a while as the package's are."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

from resemb_gnn.errors import InputError, shown
from resemb_gnn.settings.embedding import SHARED, EmbeddingSettings, Shared

_NAME = re.compile(r"[A-Za-z0-9_-]+")


@contextmanager
def own_embeddings(builders: Mapping[str, Callable[[Any, Any], Any]]) -> Iterator[None]:
    """Within, settings may name these embeddings; they read any setting.

    Args:
        builders: by name, what makes each, given graph and settings.

    Raises:
        InputError: if a name is that of another embedding, or holds other characters than letters,
            digits, ``-`` and ``_`` (files are named after it).
    """
    every = tuple(spec.name for spec in fields(EmbeddingSettings))
    for name in builders:
        if name in SHARED:
            raise InputError(f"{shown(name)} is an embedding of the package: choose another name")
        if not _NAME.fullmatch(name):
            raise InputError(f"{shown(name)} is no name of letters, digits, - and _")
    own = {
        name: Shared(_with_all(build), {"own": ()}, every, reads_features=True)
        for name, build in builders.items()
    }
    SHARED.update(own)
    try:
        yield
    finally:
        for name in own:
            del SHARED[name]


def _with_all(build: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    return lambda shared, own, graph, settings, item_category: build(graph, settings)
