"""The command that writes the best items of many users."""

import polars as pl

from resemb_gnn.cli.command_settings import RecommendSettings
from resemb_gnn.cli.model_commands import load_model
from resemb_gnn.cli.outputs import new_table
from resemb_gnn.errors import InputError
from resemb_gnn.io.frame import naming, read_columns
from resemb_gnn.io.tables import write_table
from resemb_gnn.pipeline.progress import Stages


def run_recommend(settings: RecommendSettings) -> None:
    """``resemb-gnn recommend``: the items that a model scores highest for each user."""
    out = new_table(settings.out, settings.replace)
    values = _values(settings.context_values or ())
    with Stages(1, settings.quiet) as stages:
        trained = load_model(settings, stages)
    columns = trained.settings
    users = _ids(settings.users, settings.user or columns.user or "user")
    items = _ids(settings.candidates, settings.item or columns.item or "item")
    with naming(settings.model):
        table = trained.recommend(
            users,
            settings.k,
            candidates=items,
            include_seen=settings.include_seen,
            retrieve=settings.retrieve,
            context=values,
            progress=not settings.quiet,
        )
    write_table(table, out)
    asked = len(trained.histories.user_ids) if users is None else users.n_unique()
    print(f"{settings.out} holds {len(table):,} items for {asked:,} users", end="")
    fewer = asked - table.filter(pl.col("rank") == settings.k).height
    print(f", fewer than {settings.k} for {fewer:,} of them." if fewer else ".")


def _ids(path: str | None, column: str) -> pl.Series | None:
    return None if path is None else read_columns(path, [column])[column]


def _values(pairs: tuple[str, ...]) -> dict[str, str | None]:
    """The context's values by name, as a CSV would hold them: an empty one is missing."""
    found: dict[str, str | None] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        if name in found:
            raise InputError(f"{name!r} comes twice in --context-values")
        found[name] = value or None
    return found
