"""Data sets by name or path."""

import os
from typing import Any

from resemb_gnn.data import BehaviorLog
from resemb_gnn.datasets.data_source import DataSource
from resemb_gnn.datasets.sequence_file import read_sequence_file
from resemb_gnn.errors import InputError
from resemb_gnn.io.parts import Paths, find_places, shown_paths
from resemb_gnn.io.paths import expanded
from resemb_gnn.io.tables import KINDS, is_table
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
    columns = {"user": user, "item": item, "time": time, "category": category, "label": label}
    given = [f"--{name}" for name, value in columns.items() if value is not None]
    features = {name: value for name, value in features.items() if value}
    if isinstance(data, list | tuple) and len(data) == 1:
        data = data[0]
    one = os.fspath(data) if isinstance(data, str | os.PathLike) else ""
    title = shown_paths(data)
    name, colon, place = one.partition(":")
    placed = bool(colon) and name in PLACED
    places = [] if one in NAMED or placed else find_places(data)
    table = bool(places) and is_table(places, columns_named=bool(given))
    if features and not table:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in features)
        raise InputError(
            f"{flags}: features are named for a table alone, but --data is {title!r}, which brings"
            " its own where there are some"
        )
    if given and not table:
        raise InputError(f"{', '.join(given)} name columns of a table, but --data is {title!r}")
    if one in NAMED:
        named: DataSource = find(NAMED[one])()
        return named
    if placed:
        if not place:
            raise InputError(f"--data {name}: needs a folder or file, as in {name}:data/{name}")
        found: DataSource = find(PLACED[name])(expanded(place))
        return found
    for path in places:
        if not path.exists():
            raise InputError(
                f"data {str(path)!r} is neither a known data set ({', '.join(NAMED)};"
                f" {', '.join(PLACED)}, each with :FOLDER) nor a file; files may be tables"
                f" ({KINDS}, or a folder of such files) or sequence files"
            )
    if not table:
        if len(places) > 1:
            raise InputError(
                f"{shown_paths(places)} are not all tables ({KINDS}, or folders of such files), and"
                " of sequence files one is read"
            )
        path = places[0]
        return DataSource(path.name, "Sequence file, read line by line.", read_sequence_file(path))
    for name, of in (("items", "item_features"), ("users", "user_features")):
        if of in features and name not in features:
            raise InputError(
                f"--{of.replace('_', '-')} names columns of --{name}, which is missing"
            )
    if user is None or item is None or time is None:
        missing = [f"--{name}" for name in ("user", "item", "time") if columns[name] is None]
        # Why a .txt is one.
        rule = "" if is_table(places, False) else " since columns are named, else a sequence file"
        raise InputError(f"{title} is a table{rule}: name its columns by {', '.join(missing)}")
    log = BehaviorLog.from_frame(data, user, item, time, category, label, **features)
    name = shown_paths(data, folders=False)
    return DataSource(name, "Table with one behaviour a row.", log)
