"""The co-visit query on DuckDB in parts on disk, each of which fits the memory, whatever the log.

1. The log is cut by users: a part's pairs are formed by themselves.
2. Their pairs are cut by ranges of their lower item, each range of so many behaviours that its
   pairs are bounded: a part is counted by itself.
3. With ``top_k`` the edges, from both ends, are cut in the same ranges: an item's neighbours lie
   together and are ranked; what is kept is cut by its lower item again.

The parts are passes of one query, that of :mod:`resemb_gnn.graph.covisit_query`.
"""

import glob
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow.parquet as pq

from resemb_gnn.graph.covisit_query import (
    both_ways,
    count_pairs,
    heaviest,
    number_items,
    pairs,
    part_of,
    with_numbers,
)

if TYPE_CHECKING:
    from ibis.expr.types import Column, Table

Counted: TypeAlias = "Iterator[tuple[int, Table]]"  # edges, part by part

# Bytes that a row may take while its part is worked on: the sorted window of a user's behaviours
# and the items after each; a pair's entry in the hash table of counts and in the sort after it.
BEHAVIOR_BYTES = 256
PAIR_BYTES = 64
MAX_PARTS = 4096  # of a table; files are small beyond


def write_parts(
    backend: Any,
    log: "Table",
    folder: Path,
    work: Path,
    window: int,
    min_count: int,
    top_k: int | None,
    memory: int,
) -> None:
    """Writes ``items.parquet`` and ``edges/``, sorted, of a checked log on an Ibis DuckDB backend.

    Args:
        backend: the connection.
        log: what :func:`~resemb_gnn.graph.covisit_query.behaviors` returned.
        folder: where the results go.
        work: folder for the parts, which are deleted as they have been used.
        window: how many places apart two behaviours may stand.
        min_count: least count of a pair.
        top_k: heaviest edges to keep of an item, or ``None`` for all.
        memory: bytes that the rows of one part may take.
    """
    items_path = folder / "items.parquet"
    items = number_items(log).order_by("number").select("item", "count")
    _copy(backend, items, items_path)
    items = read_files(backend, [items_path], file_row_number=True)
    items = items.rename(number="file_row_number")
    rows = int(log.count().execute())
    bounds = _bounds(items_path, 2 * window * PAIR_BYTES, memory)

    users = _Parts(backend, work / "users")
    numbers = with_numbers(log, items)
    if int(items.count().execute()) < 2**31:
        numbers = numbers.mutate(item=numbers.item.cast("int32"))  # half the bytes of a pair
    number_of_parts = min(-(-rows * BEHAVIOR_BYTES // memory), MAX_PARTS)
    # Ibis gives DuckDB's unsigned hash a sign, hence abs() of the remainder.
    users.add(numbers, (numbers.user.hash() % number_of_parts).abs())
    met = _Parts(backend, work / "pairs")
    for _, part in users:
        found = pairs(part, window)
        met.add(found, part_of(found.item, bounds))
    counted: Counted = ((number, count_pairs(part, min_count)) for number, part in met)
    if top_k is not None:
        counted = _heaviest(backend, counted, work, bounds, top_k)
    (folder / "edges").mkdir()
    for number, edges in counted:
        edges = edges.order_by("item", "neighbor")
        _copy(backend, edges, folder / "edges" / f"part-{number:05d}.parquet")


def read_files(backend: Any, files: Iterable[Path], **options: Any) -> "Table":
    """Parquet files, of these very names, with the columns that they hold.

    DuckDB would take ``*``, ``?`` and ``[`` in a folder's name for a pattern, and ``user=3`` for a
    column.
    """
    paths = [glob.escape(str(file)) for file in files]
    return backend.read_parquet(paths, hive_partitioning=False, **options)


def _copy(backend: Any, table: "Table", path: Path, options: str = "") -> None:
    """Writes a table as Parquet; Ibis' own ``to_parquet`` alters a path with a backslash."""
    quoted = str(path).replace("'", "''")
    query = backend.compile(table)
    backend.con.execute(f"COPY ({query}) TO '{quoted}' (FORMAT parquet{options})")


def _heaviest(
    backend: Any,
    counted: Counted,
    work: Path,
    bounds: Sequence[int],
    top_k: int,
) -> Counted:
    ends, kept = _Parts(backend, work / "ends"), _Parts(backend, work / "kept")
    for _, edges in counted:
        edges = both_ways(edges)
        ends.add(edges, part_of(edges.item, bounds))
    for _, part in ends:
        best = heaviest(part, top_k)
        kept.add(best, part_of(best.item, bounds))
    return ((number, part.distinct()) for number, part in kept)


class _Parts:
    """A table on disk in numbered parts; to iterate over them deletes each after its turn."""

    def __init__(self, backend: Any, folder: Path) -> None:
        self.backend = backend
        self.folder = folder
        folder.mkdir(parents=True)
        self.tables = 0

    def add(self, table: "Table", part: "Column") -> None:
        """Adds rows, each to the part that ``part`` gives it."""
        pattern = f"{self.tables}-{{uuid}}"
        options = f", PARTITION_BY (part), APPEND, FILENAME_PATTERN '{pattern}'"
        _copy(self.backend, table.mutate(part=part), self.folder, options)
        self.tables += 1

    def __iter__(self) -> "Iterator[tuple[int, Table]]":
        folders = {int(f.name.partition("=")[2]): f for f in self.folder.glob("part=*")}
        for number, folder in sorted(folders.items()):
            yield number, read_files(self.backend, folder.iterdir())
            shutil.rmtree(folder)


def _bounds(items_path: Path, row_bytes: int, memory: int) -> list[int]:
    """First numbers of the ranges of items, but the first, whose rows stay within ``memory``.

    A range may be larger by one item's rows.
    """
    bounds: list[int] = []
    seen = taken = 0
    total = 0
    file = pq.ParquetFile(items_path)
    for batch in file.iter_batches(columns=["count"]):
        total += int(np.asarray(batch["count"]).sum()) * row_bytes
    memory = max(memory, total // MAX_PARTS)
    for batch in file.iter_batches(columns=["count"]):
        part = (taken + np.asarray(batch["count"]).cumsum() * row_bytes) // memory
        before = np.concatenate([[taken // memory], part[:-1]])
        bounds += (seen + np.flatnonzero(part > before)).tolist()
        taken += int(np.asarray(batch["count"]).sum()) * row_bytes
        seen += len(batch)
    return [bound for bound in bounds if bound > 0]
