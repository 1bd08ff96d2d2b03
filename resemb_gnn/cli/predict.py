"""``resemb-gnn predict``: a click probability for each row of a file."""

from pathlib import Path

import polars as pl

from resemb_gnn.cli.command_settings import PredictSettings
from resemb_gnn.cli.history import column_of, read_history
from resemb_gnn.cli.model_commands import load_model
from resemb_gnn.cli.outputs import new_table
from resemb_gnn.errors import InputError
from resemb_gnn.io.arrow import check_names
from resemb_gnn.io.frame import naming, read_columns
from resemb_gnn.io.parts import shown_paths
from resemb_gnn.io.tables import write_table
from resemb_gnn.io.times import are_dates
from resemb_gnn.pipeline.progress import Stages

SCORE = "score"  # the column that is added


def run_predict(settings: PredictSettings) -> None:
    """Writes the file's rows with their scores, in its order."""
    out = new_table(settings.out, settings.replace)
    with Stages(1, settings.quiet) as stages:
        trained = load_model(settings, stages)
    user, item, time = (column_of(settings, trained, name) for name in ("user", "item", "time"))
    if user == item:
        raise InputError(f"users and items cannot both stand in column {user!r}")
    place = shown_paths(settings.data)
    table = read_columns(settings.data, None)
    check_names(place, table.columns, [user, item, *trained.context_names])
    if settings.time is not None:
        check_names(place, table.columns, [time])
    _check_writable(place, table, out)
    history, dates = read_history(settings, trained)
    times = table[time] if history is not None and time in table.columns else None
    if settings.history is not None and times is not None and are_dates(times) != dates:
        files = f"{place} and {shown_paths(settings.history)}"
        raise InputError(f"column {time!r} holds dates in one of {files} and numbers in the other")
    with naming(place, settings.data):
        score = trained.predict(
            table[user],
            table[item],
            context=table if trained.context_names else None,
            history=history,
            times=times,
            item_features=settings.items,
            user_features=settings.users,
            unknown=settings.unknown,
            progress=not settings.quiet,
        )
    write_table(table.with_columns(score.alias(SCORE)), out)
    print(f"{settings.out} holds {len(table):,} scores", end="")
    print(f", {score.null_count():,} of them empty." if score.null_count() else ".")


def _check_writable(place: str, table: pl.DataFrame, out: Path) -> None:
    if SCORE in table.columns:
        raise InputError(
            f"the scores are written to a column {SCORE!r}: column {SCORE!r} of {place}"
            " cannot be kept; give it another name"
        )
    for column in table if out.suffix == ".csv" else ():
        try:
            column.head(1).to_frame().write_csv()
        except pl.exceptions.ComputeError as error:  # such as lists, bytes and durations
            raise InputError(
                f"column {column.name!r} of {place} holds {column.dtype}, which no CSV file can:"
                " name a .parquet by --out"
            ) from error
