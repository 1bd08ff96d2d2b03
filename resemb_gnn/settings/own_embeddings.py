"""Embeddings and click models of one's own, known by name for a while as the package's are."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

from resemb_gnn.errors import InputError, shown
from resemb_gnn.settings.embedding import SHARED, EmbeddingSettings, Shared
from resemb_gnn.settings.names import MODELS

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
    own = {
        name: Shared(_with_all(build), {"own": ()}, every, reads_features=True)
        for name, build in builders.items()
    }
    with _known(SHARED, own, "an embedding"):
        yield


@contextmanager
def own_models(builders: Mapping[str, Callable[..., Any]]) -> Iterator[None]:
    """Within, settings may name these click models.

    Args:
        builders: by name, what makes each, given what the package's are.

    Raises:
        InputError: as :func:`own_embeddings`.
    """
    with _known(MODELS, builders, "a click model"):
        yield


@contextmanager
def _known(every: dict[str, Any], own: Mapping[str, Any], what: str) -> Iterator[None]:
    for name in own:
        if name in every:
            raise InputError(f"{shown(name)} is {what} of the package: choose another name")
        if not _NAME.fullmatch(name):
            raise InputError(f"{shown(name)} is no name of letters, digits, - and _")
    every.update(own)
    try:
        yield
    finally:
        for name in own:
            del every[name]


def _with_all(build: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    return lambda shared, own, graph, settings, item_category: build(graph, settings)
