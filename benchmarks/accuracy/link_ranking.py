"""Held-out co-visits to rank, by OGB's loader and evaluator."""

import contextlib
import io
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from ogb.linkproppred import Evaluator, PygLinkPropPredDataset
from torch import Tensor
from torch_geometric.data import Data

import resemb_gnn as rg
from resemb_gnn.graph import NodeFeatures
from resemb_gnn.settings.names import NEGATIVES

METRICS = ("mrr", "hits@1", "hits@3", "hits@10")
Queries = dict[str, dict[str, Tensor]]
Score = Callable[[Tensor], Tensor]  # [n] source nodes -> [n, num_nodes]


@dataclass(frozen=True)
class Task:
    """What every arm is given: the log cut in three, the training graph, the links to rank."""

    log: rg.BehaviorLog
    split: rg.Split
    graph: Data
    queries: dict[str, Queries]  # by kind of negatives, then valid and test


def make_task(log: rg.BehaviorLog, settings: dict[str, Any]) -> Task:
    """Splits by each user's last behaviours: these files have no times."""
    split = log.split(by="last")
    queries = {}
    for negatives in NEGATIVES:
        with tempfile.TemporaryDirectory() as folder, rg.ogb_globals():
            meta = rg.to_ogb(
                log,
                Path(folder) / "covisit",
                by="last",
                window=settings["window"],
                negatives=negatives,
                num_negatives=settings["num_negatives"],
                max_pairs=settings["max_pairs"],
            )
            quiet = io.StringIO()
            with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
                dataset = PygLinkPropPredDataset("ogbl-covisit", meta_dict=meta)
            queries[negatives] = dataset.get_edge_split()
    graph = rg.covisit_graph(split.history, settings["window"], folds=10)
    loaded = dataset[0]
    assert torch.equal(loaded.edge_index, graph.edge_index)  # nothing of the held-out part
    assert torch.equal(loaded.edge_weight, graph.edge_weight)
    return Task(log, split, NodeFeatures(settings["dim"])(graph), queries)


def rank(score: Score, part: dict[str, Tensor], batch_size: int = 1024) -> dict[str, float]:
    """Mean reciprocal rank and hits of the targets among their negatives, by OGB's evaluator."""
    # Its rules go by OGB's own data sets; this one has a negative list a query, as we do.
    evaluator = Evaluator("ogbl-citation2")
    lists: dict[str, list[Tensor]] = {name: [] for name in METRICS}
    columns = (part[name].split(batch_size) for name in ("source_node", "target_node"))
    negatives = part["target_node_neg"].split(batch_size)
    for source, target, negative in zip(*columns, negatives, strict=True):
        scores = score(source)
        result = evaluator.eval(
            {
                "y_pred_pos": scores.gather(1, target[:, None]).flatten(),
                "y_pred_neg": scores.gather(1, negative),
            }
        )
        for name in METRICS:
            lists[name].append(result[f"{name}_list"])
    return {name: float(torch.cat(parts).double().mean()) for name, parts in lists.items()}


def similarities(vectors: Tensor) -> dict[str, Score]:
    """The two ways to score a pair by its items' vectors."""
    unit = torch.nn.functional.normalize(vectors, dim=1)
    return {
        "dot": lambda source: vectors[source] @ vectors.T,
        "cosine": lambda source: unit[source] @ unit.T,
    }


def judge(scores: dict[str, Score], queries: dict[str, Queries]) -> dict[str, Any]:
    """For each kind of negatives: the similarity is chosen on validation, then test is ranked."""
    out = {}
    for negatives, parts in queries.items():
        valid = {name: rank(score, parts["valid"]) for name, score in scores.items()}
        best = max(valid, key=lambda name: valid[name]["mrr"])
        test = rank(scores[best], parts["test"])
        out[negatives] = {"similarity": best, "valid": valid[best], "test": test}
    return out


def facts(task: Task, settings: dict[str, Any]) -> dict[str, Any]:
    test = task.queries["uniform"]["test"]
    seen = task.split.history.item_counts() > 0
    cold = ~(seen[test["source_node"]] & seen[test["target_node"]])
    return {
        "num_users": task.log.num_users,
        "num_items": task.log.num_items,
        "train_edges": task.graph.num_edges // 2,
        "test_queries": test["source_node"].numel(),
        "max_pairs_note": f"{settings['max_pairs']:,} new pairs drawn at random, both ways round",
        "cold_test": float(cold.float().mean()),
    }
