"""Item vectors with the items' own ids, and the items nearest to one."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import nn

from resemb_gnn.errors import InputError, shown
from resemb_gnn.io.atomic import whole_files
from resemb_gnn.io.digests import changed_file, write_digests
from resemb_gnn.io.ids import find_ids, id_column, parse_ids
from resemb_gnn.io.outputs import shared_folder
from resemb_gnn.io.paths import expanded
from resemb_gnn.io.saved_table import (
    distinct_ids,
    float_vectors,
    read_saved,
    refuse_other_table,
    write_saved,
)
from resemb_gnn.nn.evaluating import evaluating
from resemb_gnn.optional import require

TABLE, INDEX, DIGESTS = "items.parquet", "items.usearch", "items.sha256"
FILES = (TABLE, INDEX, DIGESTS)


class ItemIndex:
    """Items by cosine similarity of their vectors.

    With an index of ``usearch`` (Malkov and Yashunin, "Efficient and Robust Approximate Nearest
    Neighbor Search Using Hierarchical Navigable Small World Graphs", 2018), the search is
    approximate and its time hardly grows with the items; without one, or where it finds too few
    (among many equal vectors), the search is exact and goes through all of them. A vector of zeros
    has a similarity of 0 to any other.

    Args:
        item_ids: the items' own ids, ``[num_items]``, none of them twice.
        vectors: float32 ``[num_items, dim]``.
        index: a ``usearch.index.Index`` that holds the vectors divided by their norms under the
            row numbers, or ``None`` for the exact search.

    Raises:
        InputError: if the parts do not fit each other, or an id is missing or comes twice.
    """

    def __init__(self, item_ids: pl.Series, vectors: "np.ndarray", index: Any = None) -> None:
        if vectors.ndim != 2 or len(vectors) != len(item_ids):
            raise InputError(
                f"the vectors have shape {list(vectors.shape)}, but there are {len(item_ids)} ids"
            )
        item_ids = parse_ids(item_ids)
        if item_ids.n_unique() < len(item_ids):
            raise InputError(f"id {item_ids.filter(item_ids.is_duplicated())[0]!r} comes twice")
        self.item_ids = item_ids.alias("item_id")
        self.vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        self.index = index
        self._unit = _unit(self.vectors)

    @classmethod
    def of(cls, embedding: nn.Module, item_ids: pl.Series) -> "ItemIndex":
        """The exact search among an embedding's rows; arguments as of :func:`export_embeddings`."""
        return cls(item_ids, _rows(embedding))

    @classmethod
    def load(cls, folder: str | Path, exact: bool = False) -> "ItemIndex":
        """What :func:`export_embeddings` wrote.

        Args:
            folder: the folder.
            exact: search exactly, though an index is there. Without an index the search is exact
                as well.

        Raises:
            InputError: if the table is missing or damaged, or it and the index are not those that
                were exported together.
            ImportError: if there is an index, but no ``usearch`` to read it (``exact=True`` does
                without).
        """
        folder = expanded(folder)
        path = folder / TABLE
        table = read_saved(path, "item_id", "vector")
        item_ids = distinct_ids(path, table["item_id"])
        vectors = float_vectors(path, table["vector"])
        index_path = folder / INDEX
        index = None
        if not exact and index_path.exists():
            usearch = require("usearch.index", f"the index {index_path}", "serve")
            # usearch takes its file on trust: a damaged one ends the process.
            if not _are_those_exported(folder):
                raise InputError(
                    f"{index_path} is damaged or does not belong to {path}: {DIGESTS} has another"
                    " SHA-256; export again, or search exactly"
                )
            index = usearch.Index.restore(str(index_path))
            if index is None or len(index) != len(item_ids):
                raise InputError(f"{index_path} does not belong to {path}")
        return cls(item_ids, vectors, index)

    def similar(self, item_id: int | str, k: int = 10) -> pl.DataFrame:
        """The ``k`` items most similar to an item, itself left out.

        Returns:
            ``item_id`` and ``similarity`` (cosine), most similar first; fewer than ``k`` rows if
            there are fewer items.

        Raises:
            InputError: if the id is unknown or ``k`` below 1.
        """
        _check_number(k)
        found = find_ids(id_column([item_id], "item"), self.item_ids)[0]
        if found is None:
            raise InputError(f"item {shown(item_id)} is unknown")
        # One more than asked for, since the item itself is among them, or a twin in its place.
        nearest = self.search(self.vectors[found], k + 1)
        return nearest.filter(pl.col("item_id") != self.item_ids[found]).head(k)

    def search(self, vector: "np.ndarray", k: int = 10) -> pl.DataFrame:
        """The ``k`` items most similar to a vector (``[dim]``), such as a cold item's; returns what
        :meth:`similar` does.

        Raises:
            InputError: if the vector has another width or holds a value that is not finite, or
                ``k`` is below 1.
        """
        _check_number(k)
        if vector.shape != self.vectors.shape[1:]:
            raise InputError(
                f"the vector has shape {list(vector.shape)}, not {list(self.vectors.shape[1:])}"
            )
        if not np.isfinite(vector).all():
            raise InputError("the vector holds a value that is not finite")
        query = _unit(np.asarray(vector, dtype=np.float32)[None])[0]
        k = min(k, len(self.item_ids))
        rows = np.empty(0, dtype=np.int64)
        if self.index is not None:
            rows = self.index.search(query, k).keys.astype(np.int64)
        if len(rows) < k:  # no index, or one that lost its way: among many equal vectors it may
            every = self._unit @ query
            rows = np.argpartition(-every, k - 1)[:k]
        # The index' own distances are rounded; so many are quickly computed again.
        similarity = self._unit[rows] @ query
        order = np.lexsort((rows, -similarity))
        return pl.DataFrame(
            {"item_id": self.item_ids[rows[order]], "similarity": similarity[order]}
        )


def export_embeddings(
    embedding: nn.Module, item_ids: pl.Series, folder: str | Path, *, index: bool = True
) -> ItemIndex:
    """Writes an embedding's rows for serving.

    ``items.parquet`` has a row an item: ``item_id`` and ``vector`` (a fixed-size list of float32).
    ``items.usearch`` is an index of the vectors, divided by their norms, under their row numbers;
    ``items.sha256`` holds the SHA-256 of both, for ``sha256sum -c``. They take the place of what
    was exported to the folder before when all are written; if that fails, it stays.

    Args:
        embedding: :class:`~resemb_gnn.ResEmbedding`, ``torch.nn.Embedding``, or any module with
            ``num_embeddings`` that maps item numbers to vectors.
        item_ids: the items' own ids in the order of their numbers (``log.item_ids``).
        folder: where to; made if it is not there.
        index: write the index too.

    Returns:
        The index that :meth:`ItemIndex.load` would read back.

    Raises:
        InputError: if there are not as many ids as items, an id is missing or comes twice, nothing
            can be written to the folder, or an ``items.parquet`` of something else is there.
        ImportError: if ``usearch`` is not installed and ``index`` is not ``False``; nothing is
            written.
    """
    usearch = require("usearch.index", "index=True", "serve") if index else None
    folder = shared_folder(folder)
    refuse_other_table(folder / TABLE, {"item_id", "vector"})
    vectors = _rows(embedding)
    found = ItemIndex(item_ids, vectors)
    table = pl.DataFrame(
        {"item_id": found.item_ids},
    ).with_columns(vector=pl.Series(vectors, dtype=pl.Array(pl.Float32, vectors.shape[1])))
    with whole_files(folder, FILES) as new:
        write_saved(table, new / TABLE)
        if usearch is not None:
            # Inner products of unit vectors are cosines, and zeros stay zeros.
            found.index = usearch.Index(ndim=vectors.shape[1], metric="ip", dtype="f32")
            found.index.add(np.arange(len(vectors)), found._unit)
            found.index.save(str(new / INDEX))
            write_digests(new / DIGESTS, (TABLE, INDEX))
    return found


def _check_number(k: int) -> None:
    if k < 1:
        raise InputError(f"k must be at least 1, not {k}")


def _are_those_exported(folder: Path) -> bool:
    try:
        return changed_file(folder / DIGESTS, (TABLE, INDEX)) is None
    except OSError:
        return False


@torch.no_grad()
def _rows(embedding: nn.Module) -> "np.ndarray":
    ids = torch.arange(int(embedding.num_embeddings))  # type: ignore[arg-type]
    ids = ids.to(next(embedding.parameters()).device)
    with evaluating(embedding):
        return torch.cat([embedding(part) for part in ids.split(8192)]).float().cpu().numpy()


def _unit(vectors: "np.ndarray") -> "np.ndarray":
    norm = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norm > 0, norm, 1)
