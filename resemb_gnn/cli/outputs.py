"""What the commands have in common where they write."""

from pathlib import Path
from typing import Any

from resemb_gnn.cli.command_settings import ModelSettings
from resemb_gnn.errors import InputError
from resemb_gnn.io.data_places import read_places
from resemb_gnn.io.outputs import new_file, refuse_overlap
from resemb_gnn.io.parts import Paths, find_places, fits_pattern, shown_paths
from resemb_gnn.io.paths import expanded

_ENDINGS = (".csv", ".parquet", ".pq")


def refuse_own_input(settings: Any, config: str | None) -> None:
    """Refuses an ``--out`` that is among what the command reads.

    Args:
        settings: those of any command.
        config: the settings file that some of them stood in.

    Raises:
        InputError: naming both places.
    """
    out = getattr(settings, "out", None)
    if out is None:
        return
    read = [] if config is None else [expanded(config)]
    if isinstance(settings, ModelSettings):
        read.append(expanded(settings.model))
    data = getattr(settings, "data", None)
    read += [] if data is None else read_places(data)
    kinds = ("items", "users", "candidates", "history")
    named = (getattr(settings, name, None) for name in kinds)
    # Of export, candidates are no table but a form of the scorer.
    tables: list[Paths] = [table for table in named if isinstance(table, str | tuple)]
    read += [place for table in tables for place in find_places(table)]
    refuse_overlap(expanded(out), read)
    for paths in tables if data is None else [data, *tables]:
        if fits_pattern(expanded(out), paths):
            raise InputError(
                f"{out} would be read the next time, as it fits {shown_paths(paths)}: choose"
                " another place"
            )


def new_table(out: str | Path, replace: bool) -> Path:
    """Where a table is to be written.

    Raises:
        InputError: if it has another ending, is there and is not to be replaced, or cannot be
            written.
    """
    if Path(out).suffix not in _ENDINGS:
        raise InputError(f"--out {out} must end in {' or '.join(_ENDINGS)}")
    place = new_file(out, replace)
    if place.suffix != Path(out).suffix:  # by which the kind of file is chosen
        raise InputError(f"--out {out} is a link to {place}, another kind of file")
    return place
