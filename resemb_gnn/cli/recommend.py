"""The command that writes the best items of many users."""

import contextlib

import polars as pl
from torch import Tensor

from resemb_gnn.cli.command_settings import RecommendSettings
from resemb_gnn.cli.history import column_of, read_history
from resemb_gnn.cli.model_commands import load_model
from resemb_gnn.cli.outputs import new_table
from resemb_gnn.errors import InputError
from resemb_gnn.io.frame import naming, read_columns
from resemb_gnn.io.ids import parse_ids
from resemb_gnn.io.tables import write_table
from resemb_gnn.pipeline.progress import Stages
from resemb_gnn.saved.extended import with_history
from resemb_gnn.saved.recommending import best_items, check_counts, context_row, known_numbers


def run_recommend(settings: RecommendSettings) -> None:
    """``resemb-gnn recommend``: the items that a model scores highest for each user."""
    out = new_table(settings.out, settings.replace)
    values = _values(settings.context_values or ())
    check_counts(settings.k, settings.retrieve)
    with Stages(1, settings.quiet) as stages:
        trained = load_model(settings, stages)
    context = context_row(trained, values)
    history, _ = read_history(settings, trained)
    user, item = (column_of(settings, trained, name) for name in ("user", "item"))
    users, items = _ids(settings.users, user), _ids(settings.candidates, item)
    if history is not None:
        trained = with_history(trained, history, users)
    asked = _numbers(settings.users, users, "user", trained.histories.user_ids)
    candidates = _numbers(settings.candidates, items, "item", trained.item_ids)
    with naming(settings.model):
        table = best_items(
            trained,
            asked,
            candidates,
            settings.k,
            include_seen=settings.include_seen,
            retrieve=settings.retrieve,
            context=context,
            progress=not settings.quiet,
        )
    write_table(table, out)
    print(f"{settings.out} holds {len(table):,} items for {len(asked):,} users", end="")
    fewer = len(asked) - table.filter(pl.col("rank") == settings.k).height
    print(f", fewer than {settings.k} for {fewer:,} of them." if fewer else ".")


def _ids(path: str | None, column: str) -> pl.Series | None:
    if path is None:
        return None
    ids = read_columns(path, [column])[column]
    with naming(path, path):
        return parse_ids(ids)


def _numbers(path: str | None, ids: pl.Series | None, name: str, known: pl.Series) -> Tensor:
    """The model's numbers of a file's ids, or of all that are known: here, where lines of the file
    can be told of those that are not.
    """
    with contextlib.nullcontext() if path is None else naming(path, path):
        return known_numbers(ids, name, known)


def _values(pairs: tuple[str, ...]) -> dict[str, str | None]:
    """The context's values by name, as a CSV would hold them: an empty one is missing."""
    found: dict[str, str | None] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        if name in found:
            raise InputError(f"{name!r} comes twice in --context-values")
        found[name] = value or None
    return found
