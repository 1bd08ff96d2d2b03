"""Data sets by name or path."""

from typing import Any

from resemb_gnn.data import BehaviorLog
from resemb_gnn.datasets.data_source import DataSource
from resemb_gnn.datasets.sequence_file import read_sequence_file
from resemb_gnn.io.data_places import check_data, named_data
from resemb_gnn.io.parts import Paths, find_places, shown_paths
from resemb_gnn.io.paths import expanded
from resemb_gnn.settings.names import NAMED, PLACED, find


def load_source(
    data: Paths,
    *,
    user: str | None = None,
    item: str | None = None,
    time: str | None = None,
    category: str | None = None,
    label: str | None = None,
    **features: Any,
) -> DataSource:
    """A named data set, a table, or a sequence file.

    Args:
        data: ``"complete-journey"``; a published data set and where its files are, as
            ``"kuairand:FOLDER"`` (docs/data.md lists them); or the path of a table (which needs
            ``user``, ``item`` and ``time``): a ``.csv``, a ``.tsv``, each also ``.gz``, a
            ``.parquet``, a folder of such files, a pattern as ``"logs/2025-*.parquet"``, or several
            of these in a list; or of a sequence file (any other ending: a user a line, then item
            ids in time order). A ``.txt`` is a table, with tabs, where columns are named, and a
            sequence file otherwise.
        user: column of the users' ids.
        item: column of the items' ids.
        time: column of times.
        category: column of the items' categories.
        label: column of click labels.
        **features: of a table, ``items``, ``users``, ``context``, ``item_features``,
            ``user_features``, ``time_features``, ``kinds`` and ``list_separator`` as
            :meth:`~resemb_gnn.BehaviorLog.from_frame` has them; ``None`` for none.

    Raises:
        InputError: if there is no such data set or file, a column is not named, or the file
            cannot be used.
    """
    columns: dict[str, Any] = {
        "user": user,
        "item": item,
        "time": time,
        "category": category,
        "label": label,
    }
    table = check_data(data, columns, features)
    if (named := named_data(data)) is not None:
        name, place = named
        found: DataSource = find(PLACED[name])(expanded(place)) if place else find(NAMED[name])()
        return found
    if not table:
        (path,) = find_places(data)
        return DataSource(path.name, "Sequence file, read line by line.", read_sequence_file(path))
    features = {name: value for name, value in features.items() if value}
    log = BehaviorLog.from_frame(data, **columns, **features)
    name = shown_paths(data, folders=False)
    return DataSource(name, "Table with one behaviour a row.", log)
