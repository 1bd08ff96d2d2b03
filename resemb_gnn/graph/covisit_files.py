"""The co-visit graph of a log on disk, built by DuckDB within a limit of memory."""

import os
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import scipy.sparse
from torch_geometric.data import Data

from resemb_gnn.errors import InputError, brief
from resemb_gnn.graph.covisit import check_at_least_one
from resemb_gnn.graph.covisit_parts import read_files, write_parts
from resemb_gnn.graph.covisit_query import behaviors
from resemb_gnn.graph.pair_counts import graph_of, index_type, symmetric
from resemb_gnn.io.atomic import whole_folder
from resemb_gnn.io.outputs import new_place, refuse_overlap, shared_folder
from resemb_gnn.io.parquet import check_parts, read_parquet
from resemb_gnn.io.parts import Paths, find_parts, find_places, is_parquet, shown_paths
from resemb_gnn.io.paths import expanded
from resemb_gnn.io.saved_table import whole_numbers
from resemb_gnn.optional import require

_EDGES = pl.Schema({"item": pl.Int64, "neighbor": pl.Int64, "weight": pl.Float32})


def write_covisit_graph(
    log: Paths,
    out: str | Path,
    user: str,
    item: str,
    time: str,
    window: int = 5,
    min_count: int = 1,
    top_k: int | None = None,
    label: str | None = None,
    memory_limit: int = 2 * 2**30,
    threads: int | None = None,
    temp_directory: str | Path | None = None,
) -> None:
    """Counts the co-visits of a log of any size, by DuckDB, into a folder of Parquet files.

    :func:`read_covisit_graph` reads the folder; its graph is that of
    ``covisit_graph(BehaviorLog.from_frame(log, ...))`` with the same arguments (but of a nearest
    float32 where a count exceeds 2^24). The folder holds ``items.parquet`` (``item``, ``count``;
    an item's number is its row) and ``edges/*.parquet`` (``item < neighbor``, as numbers, and
    ``weight``), in sorted order.

    The log is worked on in parts whose rows are bounded, so memory does not grow with it, unless
    one user has millions of behaviours. The disk must hold all pairs of behaviours within the
    window for a while, some 8 bytes each.

    Args:
        log: a Parquet file, a folder of such files, a pattern as ``"logs/2025-*.parquet"``, or
            several of these; they follow each other by name, and names that begin with ``_`` or
            ``.``, such as Spark's ``_SUCCESS``, are left out.
        out: the folder to write; it must not be there yet.
        user: column of the users' ids (integers or strings, or whole numbers of another type).
        item: column of the items' ids, likewise.
        time: column of times, as in ``BehaviorLog.from_frame``; so is the order of behaviours of
            one time.
        window: how many places apart two behaviours may stand.
        min_count: leave out pairs that were visited together less often.
        top_k: keep each item's so many heaviest edges; an edge stays if either end keeps it.
        label: column of 0 and 1; only rows of label 1 count. It need not be of clicks: a column
            that marks the rows of the training part keeps the rest of the log out of the graph,
            and its items in.
        memory_limit: bytes that DuckDB may take. Python with torch takes up to half a GiB besides.
        threads: DuckDB's threads, by default one a core.
        temp_directory: where parts and spilled data go, by default beside ``out``.

    Raises:
        InputError: if an argument is below 1, ``out`` exists, lies in the log or cannot be written,
            the log cannot be read or is empty, or a column, an id, a time or a label is missing or
            of the wrong kind, or a folder's name has a backslash, for which DuckDB has another
            use. Nothing is left.
        ImportError: if ``ibis`` with DuckDB is not installed.
    """
    check_at_least_one(
        window=window,
        min_count=min_count,
        top_k=top_k,
        memory_limit=memory_limit,
        threads=threads,
    )
    ibis = require("ibis", "write_covisit_graph", "engines")
    duckdb = require("duckdb", "write_covisit_graph", "engines")
    out = new_place(out)
    files = find_parts(log)
    if not is_parquet(files[0]):
        raise InputError(f"no such Parquet file or folder: {files[0]} is text")
    check_parts(files, [user, item, time, *([label] if label is not None else [])])
    if out.exists():
        raise InputError(f"{out} exists already")
    refuse_overlap(out, find_places(log))
    place = shared_folder(out.parent if temp_directory is None else temp_directory)
    for folder in (out, place):
        if os.sep != "\\" and "\\" in str(folder):
            raise InputError(f"{folder}: DuckDB takes a backslash for the end of a folder's name")
    place.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=place, prefix=".covisit-") as work,
        whole_folder(out, replace=False) as folder,
    ):
        backend = ibis.duckdb.connect(
            threads=threads or os.cpu_count(),
            memory_limit=f"{memory_limit}B",
            temp_directory=str(Path(work) / "spilled"),
            preserve_insertion_order=False,  # it would hold results back to keep them in order
        )
        try:
            try:
                rows = behaviors(read_files(backend, files), user, item, time, label)
            except duckdb.Error as error:
                raise InputError(f"{shown_paths(log)} cannot be read: {brief(error)}") from error
            parts = Path(work) / "parts"
            write_parts(backend, rows, folder, parts, window, min_count, top_k, memory_limit // 2)
        finally:
            backend.disconnect()


def read_covisit_graph(folder: str | Path) -> Data:
    """What :func:`write_covisit_graph` wrote, as the ``Data`` of :func:`~resemb_gnn.covisit_graph`.

    Raises:
        InputError: if a file is missing or damaged, or the files do not fit each other.
    """
    folder = expanded(folder)
    try:
        count = whole_numbers(read_parquet(folder / "items.parquet", ["count"])["count"])
        parts = [pl.DataFrame(schema=_EDGES)]
        parts += [_read_edges(file) for file in sorted((folder / "edges").iterdir())]
    except (InputError, OSError) as error:
        raise InputError(f"{folder} holds no co-visit graph: {error}") from error
    edges = pl.concat(parts)
    low, high = edges["item"].to_numpy(), edges["neighbor"].to_numpy()
    size, index = len(count), index_type(len(count), len(edges))
    ascends = (low[1:] > low[:-1]) | ((low[1:] == low[:-1]) & (high[1:] > high[:-1]))
    if len(edges) and not (ascends.all() and low[0] >= 0 and high.max() < size):
        raise InputError(f"{folder}: the edges are not those of its {size} items, in order")
    if not (low < high).all():
        raise InputError(f"{folder}: an edge does not go from an item to a later one")
    ptr = np.searchsorted(low, np.arange(size + 1)).astype(index)
    weights = edges["weight"].to_numpy()
    if not (np.isfinite(weights).all() and (weights > 0).all() and bool((count >= 0).all())):
        raise InputError(f"{folder}: a weight is not above 0, or a count of behaviours below 0")
    upper = scipy.sparse.csr_array((weights, high.astype(index), ptr), shape=(size, size))
    del edges, low, high, weights, parts, ascends
    return graph_of(symmetric(upper), count)


def _read_edges(file: Path) -> pl.DataFrame:
    table = read_parquet(file, _EDGES.names())
    for name in ("item", "neighbor"):
        whole_numbers(table[name])
    if not table["weight"].dtype.is_numeric() or table["weight"].null_count():
        raise InputError(f"{file}: column 'weight' does not hold numbers alone")
    return table.cast(_EDGES)
