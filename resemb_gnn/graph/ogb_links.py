"""The co-visit graph as a link prediction data set of the Open Graph Benchmark."""

import gzip
import os
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor
from torch_geometric.data import Data

from resemb_gnn.data import BehaviorLog, NegativeSampler
from resemb_gnn.data.split import TEST, TRAIN, VALID, split_parts
from resemb_gnn.errors import InputError, unknown_choice
from resemb_gnn.graph.covisit import check_log, covisit_graph
from resemb_gnn.io.atomic import temporary_folder
from resemb_gnn.io.outputs import new_place
from resemb_gnn.io.paths import expanded
from resemb_gnn.settings.names import NEGATIVES

NAME = "ogbl-covisit"
_VERSION = 1  # OGB's loaders ask on standard input unless RELEASE_v{version}.txt is there
_HELD_OUT = {"valid": VALID, "test": TEST}


def to_ogb(
    log: BehaviorLog,
    root: str | Path,
    by: str = "time",
    *,
    valid_from: float | str | date | None = None,
    test_from: float | str | date | None = None,
    window: int = 5,
    min_count: int = 1,
    negatives: str = "uniform",
    num_negatives: int = 100,
    max_pairs: int | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    r"""Writes the co-visit graph as a link prediction data set in the layout of the Open Graph
    Benchmark (Hu et al., NeurIPS 2020): which items will be visited together next?

    Behaviours are cut as in :func:`~resemb_gnn.data.split_log`, and :math:`A^{(p)}` is the
    :func:`~resemb_gnn.covisit_graph` of all behaviours up to the end of part :math:`p`. A co-visit
    forms with the later of its two behaviours, so the edges of the parts are

    .. math::
        E_\text{train} = A^{(\text{train})}, \quad
        E_\text{valid} = A^{(\text{valid})} \setminus A^{(\text{train})}, \quad
        E_\text{test} = A^{(\text{test})} \setminus A^{(\text{valid})}

    Validation and test hold new pairs only: one that was seen before is looked up, not predicted.
    An item may be new there, too. Training edges are those of ``covisit_graph(split.history)``.

    ``ogb`` loads the folder; :func:`~resemb_gnn.ogb_globals` lets PyTorch read its pickles::

        meta = rg.to_ogb(log, "covisit")
        with rg.ogb_globals():
            dataset = PygLinkPropPredDataset("ogbl-covisit", meta_dict=meta)
        dataset[0]                # edge_index, edge_weight, node_count: the training graph
        dataset.get_edge_split()  # {"train": ..., "valid": ..., "test": ...}

    A part of the split has ``source_node``, ``target_node`` (int64 ``[n]``) and ``weight`` (float32
    ``[n]``, the pair's count up to the end of the part); each pair stands in it both ways round.
    Validation and test also have ``target_node_neg`` (int64 ``[n, num_negatives]``), against
    which OGB's ``Evaluator`` ranks the target, as in ogbl-citation2: items that the source is
    joined to in no part, nor itself, drawn independently. Nodes are numbered as the log's items;
    ``mapping/`` holds their ids.

    Args:
        log: the log; of a labelled log its positive rows count.
        root: folder to write; it must not exist, or be empty. It appears as a whole or not at all.
        by: ``"time"`` or ``"last"``.
        valid_from: as in :func:`~resemb_gnn.data.split_log`.
        test_from: likewise.
        window: as in :func:`~resemb_gnn.covisit_graph`.
        min_count: likewise; an edge forms when its count reaches it.
        negatives: ``"uniform"`` over all items, or ``"popularity"``: in proportion to an item's
            training behaviours.
        num_negatives: negatives a pair and direction.
        max_pairs: keep so many pairs of validation and of test, drawn at random; ``None``: all.
        seed: seed of negatives and of the pairs kept.

    Returns:
        OGB's ``meta_dict``, which ``meta_dict.pt`` holds, too. ``dir_path`` in it is ``root`` as it
        was given, but for ``~``: set it anew when the folder moves.

    Raises:
        InputError: if the log is none, ``root`` is in use or cannot be written, an argument is out
            of its range, a part has no edge, or an item that is asked about leaves no negative.
    """
    check_log(log)
    given, root = expanded(root), new_place(root)
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise InputError(f"{root} exists and is not an empty folder")
    if negatives not in NEGATIVES:
        raise unknown_choice(f"negatives={negatives!r}", negatives, NEGATIVES)
    for name, value in (("num_negatives", num_negatives), ("max_pairs", max_pairs)):
        if value is not None and value < 1:
            raise InputError(f"{name} must be at least 1, not {value}")
    part, points = split_parts(log, by, valid_from, test_from)
    graphs = [
        covisit_graph(log.select(part <= end), window, min_count) for end in (TRAIN, VALID, TEST)
    ]
    train, everything = graphs[TRAIN], graphs[TEST]
    weight = train.count if negatives == "popularity" else torch.ones_like(train.count)
    split = {"train": _links(train.edge_index[0], train.edge_index[1], train.edge_weight)}
    rngs = {name: np.random.default_rng([seed, end]) for name, end in _HELD_OUT.items()}
    for (name, rng), (before, after) in zip(rngs.items(), pairwise(graphs), strict=True):
        split[name] = _new_pairs(before, after, max_pairs, rng)
    for name, links in split.items():
        if not links["source_node"].numel():
            raise InputError(f"the split by {by} leaves no co-visit in the {name} part of {log!r}")
    for name, rng in rngs.items():
        drawn = _negatives(split[name], everything, weight, num_negatives, rng, log)
        split[name]["target_node_neg"] = drawn
    settings = {"by": by, **points, "window": window, "min_count": min_count}
    settings |= {"negatives": negatives, "num_negatives": num_negatives}
    settings |= {"max_pairs": max_pairs, "seed": seed}
    meta = _meta_dict(given, by)
    _write(root, train, split, meta, _readme(log, settings), log.item_ids)
    return meta


def _links(source: Tensor, target: Tensor, weight: Tensor) -> dict[str, Tensor]:
    return {"source_node": source, "target_node": target, "weight": weight}


def _new_pairs(
    before: Data, after: Data, max_pairs: int | None, rng: np.random.Generator
) -> dict[str, Tensor]:
    """The edges that ``after`` has more than ``before``, both ways round."""
    size = int(after.num_nodes or 0)
    old, new = (graph.edge_index[0] * size + graph.edge_index[1] for graph in (before, after))
    keep = ~torch.isin(new, old, assume_unique=True) & (after.edge_index[0] < after.edge_index[1])
    kept = keep.nonzero().flatten()
    if max_pairs is not None and kept.numel() > max_pairs:
        kept = kept[torch.from_numpy(rng.permutation(kept.numel())[:max_pairs]).sort().values]
    (low, high), weight = after.edge_index[:, kept], after.edge_weight[kept]
    return _links(torch.cat([low, high]), torch.cat([high, low]), weight.repeat(2))


def _negatives(
    pairs: dict[str, Tensor],
    graph: Data,
    weight: Tensor,
    num: int,
    rng: np.random.Generator,
    log: BehaviorLog,
) -> Tensor:
    # To the sampler an item is a user whose history is its neighbours and the item itself.
    own = torch.arange(log.num_items)
    source = torch.cat([graph.edge_index[0], own])
    neighbor = torch.cat([graph.edge_index[1], own])
    drawable = (weight > 0).long()
    taken = torch.zeros_like(drawable).scatter_add_(0, source, drawable[neighbor])
    full = pairs["source_node"][taken[pairs["source_node"]] == drawable.sum()]
    if full.numel():
        item = log.item_ids[int(full[0])]
        raise InputError(
            f"no negative is left for item {item!r}: it is joined to every item that can be drawn"
        )
    sampler = NegativeSampler(neighbor, source, weight)
    end = torch.full_like(pairs["source_node"], source.numel())
    return sampler.draw(pairs["source_node"], end, pairs["target_node"], num, rng)


def _meta_dict(root: Path, by: str) -> dict[str, Any]:
    return {
        "version": _VERSION,
        "dir_path": str(root),
        "binary": "True",
        "task type": "link prediction",
        "eval metric": "mrr",
        "add_inverse_edge": "False",
        "split": by,
        "download_name": "covisit",
        "url": "",
        "has_node_attr": "False",
        "has_edge_attr": "False",
        "additional node files": "node_count",
        "additional edge files": "edge_weight",  # the loader drops the weights without it
        "is hetero": "False",
    }


def _readme(log: BehaviorLog, settings: dict[str, Any]) -> str:
    lines = "".join(f"- {name}: {value}\n" for name, value in settings.items())
    return (
        f"# {NAME}\n\nItem co-visit graph of {log!r}, written by resemb_gnn's to_ogb with\n\n"
        f"{lines}"
        "\nnodeidx2itemid.csv.gz: number of each node and its item's id.\n"
    )


def _write(
    root: Path,
    graph: Data,
    split: dict[str, dict[str, Tensor]],
    meta: dict[str, Any],
    readme: str,
    item_ids: pl.Series,
) -> None:
    """Writes the files beside ``root`` and moves them there when they are complete.

    Not by OGB's ``DatasetSaver``, which asks on standard input, prints and leaves weights out.
    """
    try:
        with temporary_folder(root.parent, root.name) as temporary:
            folder = temporary / "data"  # with the usual permissions, unlike the temporary one
            for name in ("raw", "processed", "mapping", f"split/{meta['split']}"):
                (folder / name).mkdir(parents=True)
            np.savez_compressed(
                folder / "raw" / "data.npz",
                edge_index=graph.edge_index.numpy(),
                edge_weight=graph.edge_weight.numpy(),
                node_count=graph.count.numpy(),
                num_nodes_list=np.array([graph.num_nodes]),
                num_edges_list=np.array([graph.num_edges]),
            )
            torch.save(split, folder / "split" / meta["split"] / "split_dict.pt")
            with gzip.open(folder / "mapping" / "nodeidx2itemid.csv.gz", "wb") as file:
                numbers = pl.Series("node idx", range(len(item_ids)), dtype=pl.Int64)
                table = pl.DataFrame([numbers, item_ids.alias("item id")])
                file.write(table.write_csv().encode())
            (folder / "mapping" / "README.md").write_text(readme, encoding="utf-8")
            release = folder / f"RELEASE_v{meta['version']}.txt"
            release.write_text(f"# Release note for {NAME}\n\n### v{meta['version']}\n")
            torch.save(meta, folder / "meta_dict.pt")
            os.replace(folder, root)  # takes the place of an empty folder, and of no other
    except OSError as error:
        raise InputError(f"{root} cannot be written: {error}") from error
