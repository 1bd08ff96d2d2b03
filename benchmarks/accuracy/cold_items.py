"""Items held out of training entirely: AUC of their vectors by embed_new, and of simpler ones.

    python -m benchmarks.accuracy.cold_items --data Beauty.txt --attributes ATTRIBUTES.json

A random tenth of the items is taken out of the log with all their behaviours; a DIN over a
Res-embedding is trained on what is left, with the settings of `resemb-gnn compare`. Then the items
come back: a share of the users (`--revealed`) shows with which items of the training they are
visited together (window 5) and tells nothing else, and the behaviours of all other users with them
are the test: positives with the trained items that the user acted on before as history, each with
one negative, another held-out item that the user did not act on. So the model must rank cold items
among each other, which no vector that is the same for all of them can do.

Vectors of cold items:
  embed_new, co-visits       from the revealed co-visits and their counts
  embed_new, attributes      from the 10 trained items of the nearest attributes (TF-IDF, cosine),
                             with no behaviour at all; only with --attributes
  ..., scaled                the same with an item's weights scaled to the median total of the
                             trained items, since gcn divides by it as a degree
  mean of the neighbours     weighted mean of the same ones' whole embeddings
  random                     normal, with mean and standard deviation of the trained rows' columns
  popularity mean            the trained rows' mean weighted by training behaviours

Writes cold_items.json and cold_items.md: test AUC over seeds; a seed draws the cold items, the
revealing users, start and batches.
"""

import argparse
import copy
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
import torch
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.preprocessing import normalize
from torch import Tensor, nn
from torch_geometric.data import Data

from benchmarks.tables import table
from resemb_gnn import DIN, BehaviorLog, Examples, ResEmbedding, covisit_graph, evaluate
from resemb_gnn.datasets import load_source
from resemb_gnn.experiment import CompareSettings
from resemb_gnn.experiment.results import write_results
from resemb_gnn.graph import Adjacency, NodeFeatures
from resemb_gnn.io.atomic import write_atomically
from resemb_gnn.pipeline.embeddings import make_embedding
from resemb_gnn.pipeline.facts import versions
from resemb_gnn.pipeline.task import fit_with
from resemb_gnn.settings.names import ENCODERS

CONTENT_NEIGHBORS = 10


class World(NamedTuple):
    """A log whose first items are those of the training, and its cold rest.

    ``number`` is the new number of each item of the log that was given.
    """

    log: BehaviorLog
    num_warm: int
    number: Tensor

    def warm(self) -> BehaviorLog:
        part = self.log.select(self.log.items < self.num_warm)
        ids = self.log.item_ids[: self.num_warm]
        return BehaviorLog(part.items, part.ptr, part.times, part.user_ids, ids)


def make_world(log: BehaviorLog, share: float, generator: torch.Generator) -> World:
    order = torch.randperm(log.num_items, generator=generator)
    number = torch.empty_like(order)
    number[order] = torch.arange(log.num_items)
    moved = BehaviorLog(
        number[log.items], log.ptr, log.times, log.user_ids, log.item_ids[order.numpy()]
    )
    return World(moved, log.num_items - round(share * log.num_items), number)


def covisits(world: World, revealing: Tensor, window: int) -> Adjacency:
    """Counts of the co-visits of each cold item with warm ones among the revealing users."""
    graph = covisit_graph(world.log.select(revealing[world.log.users]), window)
    source, target = graph.edge_index
    keep = (target >= world.num_warm) & (source < world.num_warm)
    size = (world.log.num_items - world.num_warm, world.num_warm)
    at = ((target[keep] - world.num_warm).numpy(), source[keep].numpy())
    return _rows(scipy.sparse.csr_array((graph.edge_weight[keep].numpy(), at), shape=size))


def content_neighbors(world: World, log: BehaviorLog, path: str) -> Adjacency:
    """The warm items nearest to each cold one by their attributes, weighted by the cosine."""
    attributes = json.loads(Path(path).read_text())
    pairs = [
        (row, attribute)
        for row, item in enumerate(log.item_ids.to_list())
        for attribute in attributes.get(str(item), [])
    ]
    row, column = (np.array(part) for part in zip(*pairs, strict=True))
    row = world.number.numpy()[row]
    size = (log.num_items, int(column.max()) + 1)
    counts = scipy.sparse.csr_array((np.ones(row.size), (row, column)), shape=size)
    vectors = normalize(TfidfTransformer().fit_transform(counts))
    similarity = (vectors[world.num_warm :] @ vectors[: world.num_warm].T).toarray()
    nearest = np.argpartition(-similarity, CONTENT_NEIGHBORS)[:, :CONTENT_NEIGHBORS]
    weight = np.take_along_axis(similarity, nearest, axis=1)
    cold = np.repeat(np.arange(len(nearest)), CONTENT_NEIGHBORS)
    matrix = scipy.sparse.csr_array((weight.ravel(), (cold, nearest.ravel())), similarity.shape)
    matrix.eliminate_zeros()
    return _rows(matrix)


def scaled(rows: Adjacency, graph: Data) -> Adjacency:
    """Weights that sum to the median weighted degree of the graph in each row."""
    degree = torch.zeros(int(graph.num_nodes or 0))
    degree = degree.index_add(0, graph.edge_index[1], graph.edge_weight)
    total = rows.matmul(torch.ones(degree.numel(), 1)).flatten()
    factor = degree[degree > 0].median() / total.clamp(min=1e-12)
    return replace(rows, weight=rows.weight * factor.repeat_interleave(rows.ptr.diff()))


def _rows(matrix: "scipy.sparse.csr_array") -> Adjacency:
    ptr, index = (torch.from_numpy(each).long() for each in (matrix.indptr, matrix.indices))
    return Adjacency(ptr, index, torch.from_numpy(matrix.data).float())


def cold_examples(world: World, revealing: Tensor, rng: np.random.Generator) -> Examples:
    """Behaviours of the other users with cold items, each followed by a negative."""
    log, num_warm = world.log, world.num_warm
    cold, warm = log.items >= num_warm, world.warm()
    before = nn.functional.pad((~cold).long().cumsum(0), (1, 0))[:-1]  # warm ones, flat
    users = log.users
    rows = (cold & ~revealing[users] & (before > warm.ptr[users])).nonzero().flatten()
    user, target = users[rows], log.items[rows]
    acted = set(zip(users[cold].tolist(), log.items[cold].tolist(), strict=True))
    negative = []
    for name in user.tolist():
        while (name, drawn := int(rng.integers(num_warm, log.num_items))) in acted:
            pass
        negative.append(drawn)

    def twice(part: Tensor) -> Tensor:
        return part.repeat_interleave(2)

    return Examples(
        items=warm.items,
        start=twice(warm.ptr[user]),
        end=twice(before[rows]),
        target=torch.stack([target, torch.tensor(negative)], dim=1).flatten(),
        label=torch.tensor([1.0, 0.0]).repeat(rows.numel()),
        user=twice(user),
    )


@torch.no_grad()
def cold_vectors(
    emb: ResEmbedding, count: Tensor, neighbors: dict[str, Adjacency]
) -> dict[str, Tensor]:
    """Vectors of all cold items by each way, ``[num_cold, embedding_dim]``."""
    table = emb.materialize().weight
    found = {}
    for name, rows in neighbors.items():
        near = (rows.index, rows.ptr)
        found[f"embed_new, {name}"] = emb.embed_new(neighbors=near, weights=rows.weight)
        total = rows.matmul(torch.ones(len(table), 1)).clamp(min=1e-12)
        found[f"mean of the neighbours, {name}"] = rows.matmul(table) / total
    size = len(next(iter(found.values())))
    found["random"] = table.mean(dim=0) + table.std(dim=0) * torch.randn(size, table.size(1))
    share = count / count.sum()
    found["popularity mean"] = (share @ table).expand(size, -1)
    return found


def with_rows(model: nn.Module, emb: ResEmbedding, rows: Tensor) -> nn.Module:
    """The model over a table that has these rows after those of its embedding."""
    served = copy.copy(model)
    table = torch.cat([emb.materialize().weight.detach(), rows])
    embedding = nn.Embedding.from_pretrained(table)
    served._modules = model._modules | {"embedding": embedding, "features": embedding}
    return served


def run(log: BehaviorLog, arguments: argparse.Namespace, seed: int) -> dict[str, Any]:
    """One seed: test AUC of each way, and of the trained items' own test examples."""
    quiet = arguments.quiet
    settings = CompareSettings(
        data=arguments.data, epochs=arguments.epochs, quiet=quiet, use_features=False
    )
    generator = torch.Generator().manual_seed(seed)
    world = make_world(log, arguments.share, generator)
    revealing = torch.rand(log.num_users, generator=generator) < arguments.revealed
    split = world.warm().split()
    graph = covisit_graph(split.history, settings.window, folds=settings.folds)
    graph = NodeFeatures()(graph)
    torch.manual_seed(seed)
    emb = make_embedding(arguments.encoder, graph, settings)
    assert isinstance(emb, ResEmbedding)
    result = fit_with(settings, DIN(emb), split, seed=seed)
    neighbors = {"co-visits": covisits(world, revealing, settings.window)}
    if arguments.attributes:
        near = content_neighbors(world, log, arguments.attributes)
        neighbors["attributes"] = near
        neighbors["attributes, scaled"] = scaled(near, graph)
    test = cold_examples(world, revealing, np.random.default_rng(seed))
    vectors = cold_vectors(emb, graph.count.float(), neighbors)
    found = {
        name: evaluate(with_rows(result.model, emb, rows), test) for name, rows in vectors.items()
    }
    lonely = {name: int((rows.ptr.diff() == 0).sum()) for name, rows in neighbors.items()}
    return {
        "seed": seed,
        "auc": {name: metrics.auc for name, metrics in found.items()},
        "trained_items_auc": result.test.auc,
        "num_cold": log.num_items - world.num_warm,
        "without_neighbors": lonely,
        "test_positives": len(test) // 2,
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="sequence file, such as Amazon Beauty")
    parser.add_argument("--attributes", help="JSON: item id -> list of attribute numbers")
    parser.add_argument("--encoder", choices=ENCODERS, default="gcn")
    parser.add_argument("--share", type=float, default=0.1, help="of the items, held out")
    parser.add_argument("--revealed", type=float, default=0.1, help="of the users")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--out", default="benchmarks/accuracy/results/cold-items")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    arguments = parser.parse_args(argv)
    log = load_source(arguments.data).log
    names = {name: Path(getattr(arguments, name) or "").name for name in ("data", "attributes")}
    settings = {name: value for name, value in vars(arguments).items() if name != "out"} | names
    contents: dict[str, Any] = {"settings": settings, "versions": versions(), "runs": []}
    for seed in range(arguments.seeds):
        contents["runs"].append(run(log, arguments, seed))
        write_results(Path(arguments.out) / "cold_items.json", contents)
    text = markdown(contents)
    write_atomically(Path(arguments.out) / "cold_items.md", text)
    print(text)


def markdown(contents: dict[str, Any]) -> str:
    """Mean and range over the seeds."""
    runs, settings = contents["runs"], contents["settings"]
    first = runs[0]
    rows = []
    for name in first["auc"]:
        values = [run["auc"][name] for run in runs]
        lowest_to_highest = f"{min(values):.4f} to {max(values):.4f}"
        rows.append([name, f"{np.mean(values):.4f}", lowest_to_highest])
    lines = [
        f"`python -m benchmarks.accuracy.cold_items --data {settings['data']}"
        + (f" --attributes {settings['attributes']}" if settings["attributes"] else "")
        + f"`: `{settings['encoder']}`, {len(runs)} seeds, {first['num_cold']} cold items,"
        f" {first['test_positives']} test positives (seed 0), without any neighbour:"
        f" {first['without_neighbors']}. AUC of the trained items' own test:"
        f" {np.mean([run['trained_items_auc'] for run in runs]):.4f}.",
        "",
        *table(["vectors of cold items", "test AUC", "lowest to highest"], rows),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
