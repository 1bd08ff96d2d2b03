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
  ..., by root of counts     the same, weighted by the root of their training behaviours besides
  regression to the vectors  ridge regression of the trained items' vectors on their attributes
  embed_new, features        from the attributes as features of the graph that the model is trained
                             on (ContentFeatures); these rows only with --features
  ..., and mean of the neighbours, co-visits
                             the vector before the comma and that one, which counts as much as its
                             revealed co-visits against 10
  random                     normal, with mean and standard deviation of the trained rows' columns
  popularity mean            the trained rows' mean weighted by training behaviours

Writes cold_items.json and cold_items.md: test AUC over seeds; a seed draws the cold items, the
revealing users, start and batches.
"""

import argparse
import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.accuracy.cold_vectors import (
    World,
    cold_vectors,
    content,
    content_neighbors,
    covisits,
    make_world,
    scaled,
)
from benchmarks.runs import FIRST
from benchmarks.tables import table
from resemb_gnn import DIN, BehaviorLog, Examples, ResEmbedding, covisit_graph, evaluate
from resemb_gnn.datasets import load_source
from resemb_gnn.experiment import CompareSettings
from resemb_gnn.experiment.results import write_results
from resemb_gnn.graph import ContentFeatures, NodeFeatures
from resemb_gnn.io.atomic import write_atomically
from resemb_gnn.pipeline.embeddings import make_embedding
from resemb_gnn.pipeline.facts import versions
from resemb_gnn.pipeline.task import fit_with
from resemb_gnn.settings.names import ENCODERS


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
        data=arguments.data, epochs=arguments.epochs, quiet=quiet, use_features=False, **FIRST
    )
    generator = torch.Generator().manual_seed(seed)
    world = make_world(log, arguments.share, generator)
    revealing = torch.rand(log.num_users, generator=generator) < arguments.revealed
    split = world.warm().split()
    graph = covisit_graph(split.history, settings.window, folds=settings.folds)
    graph = NodeFeatures()(graph)
    known = cold = None
    if arguments.attributes:
        known = content(world, arguments.attributes)
    if known is not None and arguments.features:
        graph = ContentFeatures(known[torch.arange(world.num_warm)])(graph)
        cold = known[torch.arange(world.num_warm, log.num_items)]
    torch.manual_seed(seed)
    emb = make_embedding(arguments.encoder, graph, settings)
    assert isinstance(emb, ResEmbedding)
    result = fit_with(settings, DIN(emb, attention_normalization="none"), split, seed=seed)
    neighbors = {"co-visits": covisits(world, revealing, settings.window)}
    if known is not None:
        near = content_neighbors(world, known)
        neighbors["attributes"] = near
        neighbors["attributes, scaled"] = scaled(near, graph)
    test = cold_examples(world, revealing, np.random.default_rng(seed))
    vectors = cold_vectors(emb, graph.count.float(), neighbors, cold)
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
    parser.add_argument(
        "--features", action="store_true", help="the attributes as features of the graph, too"
    )
    parser.add_argument("--encoder", choices=ENCODERS, default="gcn")
    parser.add_argument("--share", type=float, default=0.1, help="of the items, held out")
    parser.add_argument("--revealed", type=float, default=0.1, help="of the users")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--out", default="benchmarks/accuracy/results/cold-items")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    arguments = parser.parse_args(argv)
    if arguments.features and not arguments.attributes:
        parser.error("--features needs --attributes")
    log = load_source(arguments.data).log
    names = {name: Path(getattr(arguments, name) or "").name for name in ("data", "attributes")}
    settings = {name: value for name, value in vars(arguments).items() if name != "out"} | names
    contents: dict[str, Any] = {"settings": settings, "versions": versions(), "runs": []}
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
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
        + (" --features" if settings["features"] else "")
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
