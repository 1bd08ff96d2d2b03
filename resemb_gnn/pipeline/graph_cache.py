"""Co-visit graphs with their node features, kept in a folder for runs to come."""

import hashlib
import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch_geometric.data import Data

from resemb_gnn.data import BehaviorLog
from resemb_gnn.errors import InputError, brief
from resemb_gnn.graph import check_graph
from resemb_gnn.graph.fold_graphs import FoldGraphs
from resemb_gnn.io.atomic import publish, temporary_file
from resemb_gnn.io.digests import tensor_digest
from resemb_gnn.io.outputs import shared_folder

FORMAT = 1  # to be raised when the files, or the graphs and features of the same log, change
_OF_GRAPH = ("edge_index", "edge_weight", "count", "x", "user_fold")
_OF_FOLD = ("edge_index", "edge_weight", "count", "x")  # of one that has edges of its own


def graph_fingerprint(log: BehaviorLog, **settings: Any) -> str:
    """Names a graph by what it is made of: the positive behaviours of a log, in their order and by
    user, the number of items, and settings.
    """
    log = log.positives()
    told = [FORMAT, log.num_items, tensor_digest(log.items, log.ptr), sorted(settings.items())]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def kept_graph(folder: str | Path, fingerprint: str, make: Callable[[], Data]) -> Data:
    """The graph that a folder keeps under a fingerprint, or else the one that ``make`` makes, which
    is then kept. A file is written whole or not at all, so several processes may share the folder.

    Warns:
        UserWarning: if the file is damaged or something else; it is replaced.

    Raises:
        InputError: if the folder cannot be written.
    """
    path = shared_folder(folder) / f"graph-{fingerprint}.safetensors"
    if path.exists():
        try:
            return _read(path, fingerprint)
        except (SafetensorError, InputError, KeyError, ValueError, OSError) as error:
            warnings.warn(
                f"{path} is damaged, or no graph of this version ({brief(error)}): it is made anew",
                stacklevel=2,
            )
    graph = make()
    _write(path, fingerprint, graph)
    return graph


def _write(path: Path, fingerprint: str, graph: Data) -> None:
    # Each in memory of its own, as the format wants them.
    tensors = {name: part.contiguous() for name, part in _tensors(graph)}
    told = {"graph": f"{fingerprint} {tensor_digest(*tensors.values())}"}
    with temporary_file(path.parent, path.name) as file:
        save_file(tensors, file.name, told)
        # safetensors may have put another file in the place of the one that is open.
        with open(file.name, "rb") as written:
            publish(written, path)


def _tensors(graph: Data) -> Iterator[tuple[str, Tensor]]:
    """All tensors of a graph and its folds by name."""
    for name in _OF_GRAPH:
        if graph.get(name) is not None:
            yield name, graph[name]
    folds = graph.get("fold_graphs")
    if isinstance(folds, FoldGraphs):
        yield "folds.count", torch.stack([part.count for part in folds.nodes])
        yield "folds.x", torch.stack([part.x for part in folds.nodes])
        for fold, (places, remaining) in enumerate(zip(folds.places, folds.remaining, strict=True)):
            yield f"fold.{fold}.places", places
            yield f"fold.{fold}.remaining", remaining
    else:
        for fold, part in enumerate(folds or ()):
            yield from ((f"fold.{fold}.{name}", part[name]) for name in _OF_FOLD)


def _read(path: Path, fingerprint: str) -> Data:
    with safe_open(path, framework="pt") as file:
        names = list(file.keys())
        told = file.metadata() or {}
        tensors = {name: file.get_tensor(name) for name in names}
    parts = {name: tensors[name] for name in _OF_GRAPH if name in tensors}
    graph = Data(**parts, num_nodes=parts["count"].numel())
    folds = 1 + max((int(name.split(".")[1]) for name in names if name[:5] == "fold."), default=-1)
    if "folds.count" in tensors:
        graph.fold_graphs = FoldGraphs(
            graph.edge_index,
            graph.edge_weight,
            [tensors[f"fold.{fold}.places"] for fold in range(folds)],
            [tensors[f"fold.{fold}.remaining"] for fold in range(folds)],
            tensors["folds.count"],
        ).with_attribute("x", list(tensors["folds.x"]))
    elif folds:
        graph.fold_graphs = [
            Data(
                **{name: tensors[f"fold.{fold}.{name}"] for name in _OF_FOLD},
                num_nodes=graph.num_nodes,
            )
            for fold in range(folds)
        ]
    digest = tensor_digest(*(part for _, part in _tensors(graph)))
    if told.get("graph") != f"{fingerprint} {digest}":
        raise InputError("its values are not those that were written")
    check_graph(graph)
    return graph
