"""Do item embeddings trained on clicks know which items will be visited together next?

    python -m benchmarks.accuracy.link_prediction --data Beauty.txt

Writes the co-visit graph with `to_ogb`, reads it with OGB's own loader, and ranks the co-visits
that the held-out behaviours add (none of them is in the training graph) among negatives, by OGB's
`Evaluator`. Results go to results/link_prediction: results.json, which a second run resumes, and
README.md. One thread; set OMP_NUM_THREADS=1. Several processes may share the work, each with
other `--arms`.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.nn import LightGCN
from torch_geometric.utils import to_undirected

import resemb_gnn as rg
from benchmarks.accuracy.link_ranking import (
    Score,
    Task,
    facts,
    judge,
    make_task,
    rank,
    similarities,
)
from benchmarks.runs import FIRST_FIT, RunFile
from benchmarks.tables import mean_and_std, table
from resemb_gnn.datasets import read_sequence_file
from resemb_gnn.experiment.results import SCHEMA
from resemb_gnn.graph import Adjacency, symmetric_adjacency
from resemb_gnn.io.atomic import write_atomically
from resemb_gnn.nn.layers.propagate import propagate
from resemb_gnn.pipeline.embeddings import make_embedding
from resemb_gnn.pipeline.facts import fingerprint, versions
from resemb_gnn.settings import EmbeddingSettings
from resemb_gnn.settings.names import NEGATIVES

DETERMINISTIC = ("popularity", "spectral")
LIGHTGCN = ("lightgcn", "lightgcn-users")
CLICKS = ("plain", "plain:spectral", "average", "gcn", "gat")
ARMS = (*DETERMINISTIC, *LIGHTGCN, *CLICKS)
ABOUT = {
    "popularity": "training behaviours of the target",
    "spectral": "spectral features of the training graph, untrained",
    "lightgcn": "LightGCN (PyG's) on the training co-visit graph, BPR loss on its edges",
    "lightgcn-users": "LightGCN on the graph of users and items, BPR loss on behaviours",
    "plain": "DIN on clicks, plain table",
    "plain:spectral": "DIN on clicks, plain table started from the spectral features",
    "average": "DIN on clicks, Res-embedding",
    "gcn": "DIN on clicks, Res-embedding",
    "gat": "DIN on clicks, Res-embedding",
}
LIGHTGCN_GRID = [(layers, lr) for layers in (1, 3) for lr in (1e-2, 1e-3)]


def click_vectors(arm: str, task: Task, seed: int, settings: dict[str, Any]) -> Tensor:
    """Item vectors of an embedding that DIN was trained with; the epoch by validation AUC."""
    torch.manual_seed(seed)
    options = EmbeddingSettings(embedding_dim=settings["dim"], num_centers=settings["num_centers"])
    embedding = make_embedding(arm, task.graph, options)
    model = rg.DIN(embedding, attention_normalization="none")
    epochs = settings["epochs"]
    rg.fit(model, task.split, epochs=epochs, seed=seed, progress=False, **FIRST_FIT)
    table = embedding.materialize() if isinstance(embedding, rg.ResEmbedding) else embedding
    assert isinstance(table, torch.nn.Embedding)
    return table.weight.detach()


class SymmetricLGConv(torch.nn.Module):
    """PyG's `LGConv` for a normalised adjacency that is its own transpose: a fifth of the time a
    step, since autograd would transpose the sparse matrix anew each time.
    """

    def forward(self, x: Tensor, adjacency: Adjacency, edge_weight: None = None) -> Tensor:
        return propagate(adjacency, adjacency, x)


def lightgcn(graph: Data, dim: int, layers: int) -> tuple[LightGCN, Adjacency]:
    """PyG's LightGCN, and the normalised adjacency of an undirected graph for it."""
    model = LightGCN(int(graph.num_nodes or 0), dim, layers)
    model.convs = torch.nn.ModuleList(SymmetricLGConv() for _ in range(layers))
    return model, symmetric_adjacency(graph)


def lightgcn_vectors(
    arm: str, task: Task, seed: int, settings: dict[str, Any], layers: int, lr: float
) -> tuple[Tensor, float]:
    """Item vectors of LightGCN at the step of the best validation MRR, and this MRR."""
    torch.manual_seed(seed)
    history, num_items = task.split.history, task.log.num_items
    if arm == "lightgcn":
        first_item, graph, pairs = 0, task.graph, task.graph.edge_index
    else:
        first_item = history.num_users
        pairs = torch.stack([history.users, history.items + first_item]).unique(dim=1)
        size = first_item + num_items
        graph = Data(edge_index=to_undirected(pairs, num_nodes=size), num_nodes=size)
    model, adjacency = lightgcn(graph, settings["dim"], layers)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    best, best_mrr, waited = torch.empty(0), -1.0, 0
    for step in range(1, settings["lightgcn_steps"] + 1):
        chosen = torch.randint(pairs.size(1), (settings["lightgcn_batch"],))
        negative = torch.randint(first_item, graph.num_nodes, (chosen.numel(),))
        source, target = pairs[:, chosen]
        out = model.get_embedding(adjacency)
        positive_score = (out[source] * out[target]).sum(dim=1)
        negative_score = (out[source] * out[negative]).sum(dim=1)
        nodes = torch.cat([source, target, negative]).unique()
        loss = model.recommendation_loss(positive_score, negative_score, nodes, lambda_reg=1e-4)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 50 == 0 or step == settings["lightgcn_steps"]:
            with torch.no_grad():
                vectors = model.get_embedding(adjacency)[first_item:].clone()
            valid = task.queries["uniform"]["valid"]
            mrr = max(rank(score, valid)["mrr"] for score in similarities(vectors).values())
            if mrr > best_mrr:
                best, best_mrr, waited = vectors, mrr, 0
            elif (waited := waited + 1) == 2:
                break
    return best, best_mrr


def run_arm(arm: str, task: Task, seed: int, results: RunFile) -> dict[str, Any]:
    """Trains and ranks an arm; what LightGCN was tuned to with seed 0 serves the other seeds."""
    settings = results.contents["settings"]
    chosen: dict[str, Any] = {}
    if arm == "popularity":
        count = task.split.history.item_counts().float()
        scores: dict[str, Score] = {"count": lambda source: count.expand(source.numel(), -1)}
    elif arm == "spectral":
        graph = rg.covisit_graph(task.split.history, settings["window"])
        scores = similarities(rg.SpectralFeatures(settings["dim"])(graph).x)
    elif arm in LIGHTGCN:
        tuned = [run["chosen"] for run in results.runs if run["arm"] == arm]
        grid = [(tuned[0]["layers"], tuned[0]["lr"])] if tuned else LIGHTGCN_GRID
        tried = {pair: lightgcn_vectors(arm, task, seed, settings, *pair) for pair in grid}
        layers, lr = max(tried, key=lambda pair: tried[pair][1])
        chosen = {"layers": layers, "lr": lr}
        scores = similarities(tried[layers, lr][0])
    else:
        scores = similarities(click_vectors(arm, task, seed, settings))
    return {"arm": arm, "seed": seed, "chosen": chosen, **judge(scores, task.queries)}


def report(results: dict[str, Any]) -> str:
    """The test part, mean ± standard deviation over seeds."""
    data, settings = results["data"], results["settings"]
    runs = {arm: [run for run in results["runs"] if run["arm"] == arm] for arm in ARMS}
    rows, notes = [], []
    for arm, some in ((arm, some) for arm, some in runs.items() if some):
        cells = [arm, str(len(some))]
        for kind in NEGATIVES:
            cells.append("/".join(sorted({run[kind]["similarity"] for run in some})))
            for metric in ("mrr", "hits@1", "hits@10"):
                cells.append(mean_and_std([run[kind]["test"][metric] for run in some]))
        rows.append(cells)
        chosen = some[-1]["chosen"]
        tuned = f"; {chosen['layers']} layers, lr {chosen['lr']}" if chosen else ""
        notes.append(f"- `{arm}`: {ABOUT[arm]}{tuned}")
    titles = [
        f"{name}, {kind}" if name == "MRR" else name
        for kind in NEGATIVES
        for name in ("by", "MRR", "Hits@1", "Hits@10")
    ]
    lines = [
        "# Held-out co-visits ranked by item embeddings",
        "",
        f"`{results['command']}`, one thread. Raw results in results.json.",
        "",
        f"{data['name']}: {data['num_users']:,} users, {data['num_items']:,} items;"
        f" {data['train_edges']:,} training edges. Test:"
        f" {data['test_queries']:,} queries ({data['max_pairs_note']}), each target among"
        f" {settings['num_negatives']:,} negatives drawn uniformly or by training popularity.",
        f"{data['cold_test']:.1%} of the test queries ask from or for an item without a"
        " training behaviour.",
        "",
        "Test, mean ± standard deviation over seeds 0, 1, ... (`popularity` and `spectral` have"
        " nothing random). `by`: similarity, chosen on validation.",
        "",
        *table(["embedding", "seeds", *titles], rows),
        "",
        *notes,
        "",
    ]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="sequence file, such as Amazon Beauty")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--max-pairs", type=int, default=3000)
    parser.add_argument("--negatives", type=int, default=1000, help="negatives a query")
    parser.add_argument("--epochs", type=int, default=8, help="most epochs of DIN")
    parser.add_argument("--steps", type=int, default=500, help="most steps of LightGCN")
    parser.add_argument(
        "--out", type=Path, default=Path("benchmarks/accuracy/results/link_prediction")
    )
    options = parser.parse_args(argv)
    settings = {
        "window": 5,
        "dim": 32,
        "num_centers": 64,
        "max_pairs": options.max_pairs,
        "num_negatives": options.negatives,
        "epochs": options.epochs,
        "lightgcn_steps": options.steps,
        "lightgcn_batch": 16_384,
    }
    name = Path(options.data).name
    changed = [  # of all processes that share the work
        f"--{key.replace('_', '-')} {value}"
        for key, value in vars(options).items()
        if key not in ("data", "arms", "seeds", "out") and value != parser.get_default(key)
    ]
    words = ["python -m benchmarks.accuracy.link_prediction --data", name, *changed]
    log = read_sequence_file(options.data)
    head = {
        "schema": SCHEMA,
        "data": {"name": name, "fingerprint": fingerprint(log)},
        "settings": settings,
        "versions": versions(),
        "command": " ".join(words),
    }
    results = RunFile(options.out / "results.json", head)
    task = None  # made when there is something left to run
    for seed in range(options.seeds):
        for arm in options.arms:
            results.refresh()
            if results.holds(arm=arm, seed=seed) or (seed and arm in DETERMINISTIC):
                continue
            if task is None:
                task = make_task(log, settings)
                results.contents["data"] |= facts(task, settings)
            started = time.perf_counter()
            run = run_arm(arm, task, seed, results)
            run["seconds"] = round(time.perf_counter() - started, 1)
            results.add(run)
            line = " ".join(f"{kind} {run[kind]['test']['mrr']:.4f}" for kind in NEGATIVES)
            print(f"{arm}, seed {seed}: test MRR {line} ({run['seconds']} s)", file=sys.stderr)
    write_atomically(options.out / "README.md", report(results.contents))


if __name__ == "__main__":
    main()
