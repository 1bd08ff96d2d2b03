"""Product graphs of the Open Graph Benchmark as item graphs."""

import contextlib
import io
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.data.data import DataEdgeAttr, DataTensorAttr
from torch_geometric.data.storage import GlobalStorage
from torch_geometric.utils import remove_self_loops, subgraph, to_undirected

from resemb_gnn.data import BehaviorLog
from resemb_gnn.errors import InputError
from resemb_gnn.graph.adjacency import check_graph
from resemb_gnn.graph.covisit import check_log
from resemb_gnn.io.ids import find_ids, parse_ids
from resemb_gnn.io.paths import expanded

_RAW = ("edge", "node-feat", "node-label", "num-node-list", "num-edge-list")
_FILES = ("RELEASE_v1.txt", *(f"raw/{name}.csv.gz" for name in _RAW))


@contextlib.contextmanager
def ogb_globals() -> Iterator[None]:
    """Lets PyTorch read the pickles of OGB's data sets while it is open.

    OGB 1.3.6 calls ``torch.load`` as it was before PyTorch 2.6, which since then refuses the
    classes of PyG and NumPy that these files hold. Nothing else is let in.
    """
    allowed: list[Any] = [DataEdgeAttr, DataTensorAttr, GlobalStorage, np.ndarray, np.dtype]
    # What NumPy pickles scalars and arrays as; its module's name changed between versions.
    allowed += [value.__reduce__()[0] for value in (np.int64(0), np.empty(0))]
    allowed += [type(np.dtype(name)) for name in ("int64", "float32", "float64")]
    with torch.serialization.safe_globals(allowed):
        yield


def from_ogb(
    root: str | Path, log: BehaviorLog | None = None, *, name: str = "ogbn-products"
) -> Data:
    """Reads a product graph of the Open Graph Benchmark (Hu et al., NeurIPS 2020) as item graph.

    The files are read by ``ogb`` (which keeps a processed copy among them), and never
    downloaded: unpack the benchmark's archive as ``root/ogbn_products`` beforehand.

    With a log, the nodes are the log's items, found by the ids in
    ``mapping/nodeidx2asin.csv.gz``: the edges between them are kept, and an item that the graph
    lacks stands alone, with features of zero. So ``ResEmbedding(from_ogb(root, split.history))``
    takes the place of an embedding on the co-visit graph. Without a log, the graph has no
    ``count``, which shrinkage needs: set it, or ask for ``shrinkage=None``.

    Args:
        root: folder that holds ``ogbn_products`` with its ``raw``, ``mapping`` and so on.
        log: a log whose item ids are the graph's (for ogbn-products, Amazon's ASINs), usually
            ``split.history``; ``None`` for the whole graph.
        name: ``"ogbn-products"`` or another of OGB's graphs with one kind of node, stored as CSV
            with node features.

    Returns:
        ``Data`` with ``edge_index`` int64 ``[2, num_edges]``, undirected, coalesced, without
        self-loops; ``x`` float32 ``[num_nodes, num_features]``; ``num_nodes``; with a log also
        ``count`` int64 ``[num_nodes]``, the log's behaviours of each item.

    Raises:
        InputError: if a file is missing or damaged, or no item of the log is in the graph.
        ImportError: if ``ogb`` is not installed.
    """
    if log is not None:
        check_log(log)
    root = expanded(root)
    folder = root / name.replace("-", "_")
    older = folder.with_name(f"{folder.name}_pyg")  # OGB prefers it
    if older.exists():
        folder = older
    for part in _FILES:  # OGB asks on standard input, or downloads, if one is missing
        if not (folder / part).is_file():
            raise InputError(f"{folder / part} is missing: is this {name} as OGB publishes it?")
    data = _load(root, name)
    size = int(data.num_nodes or 0)
    if data.x is None or not data.x.is_floating_point():
        raise InputError(f"{name} in {folder} has no node features of floating point")
    edge_index, _ = remove_self_loops(data.edge_index)
    graph = Data(x=data.x.float(), edge_index=edge_index, num_nodes=size)
    check_graph(graph)  # before indices are used as such
    if log is not None:
        graph = _nodes_of(log, graph, _node_of_item(folder, log, size))
    graph.edge_index = to_undirected(graph.edge_index, num_nodes=graph.num_nodes)
    return graph


def _load(root: Path, name: str) -> Data:
    try:
        # Only here: importing ogb starts a thread that asks PyPI for its newest version.
        from ogb.nodeproppred import PygNodePropPredDataset
    except ImportError as error:
        raise ImportError("from_ogb needs the package ogb: pip install ogb") from error
    quiet = io.StringIO()
    try:
        with ogb_globals(), contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
            data: Data = PygNodePropPredDataset(name, root=str(root))[0]
    except (OSError, EOFError, ValueError, RuntimeError, pickle.UnpicklingError) as error:
        raise InputError(f"{name} in {root} cannot be read: {error}") from error
    return data


def _node_of_item(folder: Path, log: BehaviorLog, size: int) -> Tensor:
    """Number of the node of each item of the log, -1 if there is none, ``[num_items]``."""
    paths = sorted((folder / "mapping").glob("nodeidx2*.csv.gz"))
    if not paths:
        raise InputError(f"{folder / 'mapping'} has no nodeidx2*.csv.gz: no ids of the nodes")
    try:
        table = pl.read_csv(paths[0], infer_schema=False, glob=False)
        node = table.to_series(0).str.strip_chars().cast(pl.Int64)
        item = table.to_series(1)
    except (pl.exceptions.PolarsError, OSError, IndexError) as error:
        raise InputError(f"{paths[0]} cannot be read: {error}") from error
    if node.null_count() or not node.is_between(0, size - 1).all():
        raise InputError(f"{paths[0]} names nodes outside 0..{size - 1}")
    if item.null_count() or (item == "").any() or item.n_unique() < len(item):
        raise InputError(f"{paths[0]} names an item twice, or none")
    place = find_ids(log.item_ids, parse_ids(item))
    if place.null_count() == len(place):
        first = log.item_ids[0]
        raise InputError(f"no item of {log!r} is in {paths[0]}, item {first!r} neither")
    found = node.gather(place)
    return found.fill_null(-1).to_torch()


def _nodes_of(log: BehaviorLog, graph: Data, node: Tensor) -> Data:
    """The graph with the log's items as nodes, of which item i was ``node[i]`` or, at -1, none."""
    item = (node >= 0).nonzero().flatten()
    item_of = torch.full((int(graph.num_nodes or 0),), -1)
    item_of[node[item]] = item
    edge_index, _ = subgraph(node[item], graph.edge_index, num_nodes=graph.num_nodes)
    x = graph.x.new_zeros(log.num_items, graph.x.size(1))
    x[item] = graph.x[node[item]]
    return Data(
        x=x, edge_index=item_of[edge_index], count=log.item_counts(), num_nodes=log.num_items
    )
