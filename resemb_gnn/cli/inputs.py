"""What a command's tables lack, told by their headers: before PyTorch, which takes seconds to
import.
"""

from collections.abc import Iterator
from typing import Any

from resemb_gnn.cli.command_settings import HistorySettings, ModelDataSettings
from resemb_gnn.io.data_places import check_data, named_data
from resemb_gnn.io.parts import Paths, find_places, is_table
from resemb_gnn.settings import DataSettings
from resemb_gnn.settings.shared import FEATURE_SETTINGS

# The settings that name a table, and those that name its columns, where these are given: what is
# taken over from a saved model is not known yet.
_OF_LOG = {
    "data": ("user", "item", "time", "category", "label", "context"),
    "items": ("item", "item_features"),
    "users": ("user", "user_features"),
}
_OF_HISTORY = {
    "data": ("user", "item", "time"),
    "history": ("user", "item", "time", "label"),
    "items": ("item",),
    "users": ("user",),
    "candidates": ("item",),
}


def check_tables(settings: Any) -> None:
    """Refuses tables that are not there, or lack columns that the settings name.

    Args:
        settings: those of any command.

    Raises:
        InputError: naming the file and the column, or the setting that is missing.
    """
    if isinstance(settings, DataSettings):
        columns = {name: getattr(settings, name) for name in _OF_LOG["data"][:-1]}
        check_data(settings.data, columns, {n: getattr(settings, n) for n in FEATURE_SETTINGS})
    for table, paths, wanted in _tables(settings):
        # They import polars, which no other message needs.
        from resemb_gnn.io.arrow import check_id_name, check_names
        from resemb_gnn.io.tables import headers

        for place, names in headers(paths):
            if isinstance(settings, DataSettings) and table != "data":
                check_id_name(f"the table of {table}, {place}", names, wanted[0], table)
            check_names(place, names, wanted)


def _tables(settings: Any) -> Iterator[tuple[str, Paths, list[str]]]:
    """The tables that are to be read, each with the setting that names it and its columns."""
    known: dict[str, tuple[str, ...]] = {}
    if isinstance(settings, DataSettings | ModelDataSettings):
        known = _OF_LOG
    elif isinstance(settings, HistorySettings):
        known = _OF_HISTORY
    for table, names in known.items():
        paths = getattr(settings, table, None)
        given = [getattr(settings, name, None) or () for name in names]
        columns = [one for some in given for one in ([some] if isinstance(some, str) else some)]
        if paths is not None and columns and _is_table(paths):
            yield table, paths, columns


def _is_table(paths: Paths) -> bool:
    """Whether columns can be looked for: what else is wrong is said with the data's own words."""
    places = [] if named_data(paths) is not None else find_places(paths)
    return bool(places) and is_table(places, True) and all(place.exists() for place in places)
