"""A table written as a file, whole or not at all."""

from pathlib import Path

import polars as pl

from resemb_gnn.atomic import publish, temporary_file


def write_table(table: pl.DataFrame, path: Path) -> None:
    """Writes CSV where the name ends in ``.csv``, and Parquet otherwise."""
    with temporary_file(path.parent, path.name) as file:
        if path.suffix == ".csv":
            table.write_csv(file)
        else:
            table.write_parquet(file)
        publish(file, path)
