"""Does the generalisation gap follow the envelope radius, and do learnt centres find the interests?

    python benchmarks/theory.py radius --data world --users 500 2000 8000
    python benchmarks/theory.py radius --data ../shared/data/amazon/Beauty.txt --epochs 8
    python benchmarks/theory.py recovery --users 250 1000 4000 16000
    python benchmarks/theory.py long --data world --users 2000 --epochs 40

``radius``: the envelope radius is dialled, from a free residual, by its shrinkage, its penalty and
the number of centres; radius, gap and test AUC are measured after the same number of epochs.
``recovery``: agreement of learnt centres, of clusters of a plain table and of graph communities
with the planted interests, and test AUC against Bayes. ``long``: the gap by epoch, without early
stopping.

``world`` is the interest-delay model, a new world a seed. There the gap is that between its
training users and 1,000 fresh users of the same world, whose examples also give the test AUC. A
path is a sequence file (gap: test examples less as many training examples drawn as they were);
its interests are categories from ``<name>_item2attributes.json`` beside it.

Runs land in ``<out>/<question>.json`` as they end and are not made again; the pictures are drawn
from that file.
"""

import argparse
import json
import shlex
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import bootstrap, spearmanr
from sklearn.cluster import KMeans
from torch import Tensor, nn
from torch_geometric.data import Data

import resemb_gnn as rg
from resemb_gnn.datasets import read_sequence_file
from resemb_gnn.datasets.interest_delay import InterestDelayModel
from resemb_gnn.experiment.plotting import MARKERS, PALETTE, legend_below, line_style, new_figure
from resemb_gnn.experiment.results import versions, write_atomically
from resemb_gnn.nn import PlainEmbedding
from resemb_gnn.theory import (
    Gap,
    GapCurve,
    agreement,
    center_usage,
    effective_centers,
    envelope_radius,
    graph_communities,
    main_centers,
    residual_share,
)

FRESH_USERS = 1000
NUM_INTERESTS, NUM_ITEMS = 10, 1000
L2 = 0.1
# A free residual, as in the paper, from which one setting at a time is turned.
FREE: dict[str, Any] = {"num_centers": 64, "shrinkage": None, "residual_penalty": 0.0}
DIAL: dict[str, list[Any]] = {
    "shrinkage": [3.0, 30.0, 300.0, 3000.0],
    "residual_penalty": [0.01, 0.1, 1.0, 10.0],
    "num_centers": [8, 16, 32, 256],
}
NAMES = {
    "shrinkage": "shrinkage",
    "residual_penalty": "residual penalty",
    "num_centers": "number of centres",
}


class L2Embedding(nn.Embedding):
    """A table with an L2 penalty on the rows of the candidates."""

    def penalty(self, ids: Tensor) -> Tensor:
        return L2 * self(ids).square().sum(dim=-1).mean()


class Task(NamedTuple):
    """What a run is trained and measured on; ``bayes_auc`` on the rows of ``test``, if known."""

    split: rg.Split
    train: rg.Examples
    test: rg.Examples
    graph: Data
    interest: Tensor
    max_history: int
    dim: int
    lr: float
    bayes_auc: float


def world_task(users: int, seed: int) -> Task:
    world = InterestDelayModel(users, NUM_ITEMS, NUM_INTERESTS, seed=seed)
    split = world.sample().split(by="last")
    fresh = world.sample(FRESH_USERS, seed=seed + 1000)
    test = fresh.split(by="last").train
    # The training rows are all but each user's last two.
    trains = fresh.times < world.impressions_per_user - 2
    bayes = rg.training.auc(world.bayes_probability(fresh)[trains], fresh.labels[trains])
    graph = rg.SpectralFeatures(16)(rg.covisit_graph(split.history))
    return Task(split, split.train, test, graph, world.item_interests, 5, 16, 3e-3, bayes)


def file_task(path: Path) -> Task:
    log = read_sequence_file(path)
    split = log.split(by="last")
    graph = rg.SpectralFeatures(32)(rg.covisit_graph(split.history))
    interest = categories(path, log)
    return Task(split, split.train_sample, split.test, graph, interest, 50, 32, 1e-3, float("nan"))


def categories(path: Path, log: rg.BehaviorLog) -> Tensor:
    """An item's most frequent attribute that fewer than half of the items have; without any, a
    category of its own kind.
    """
    attributes = json.loads((path.parent / f"{path.stem}_item2attributes.json").read_text())
    held = [set(attributes.get(str(item), [])) for item in log.item_ids]
    count = Counter(attribute for each in held for attribute in each)
    rare = [[a for a in each if 2 * count[a] < len(held)] for each in held]
    best = [max(each, key=lambda a: (count[a], a), default=-1) for each in rare]
    return torch.tensor(best).unique(return_inverse=True)[1]


def spectral_table(graph: Data) -> nn.Embedding:
    return nn.Embedding.from_pretrained(0.1 * graph.x, freeze=False)


def train(
    task: Task,
    embedding: nn.Module,
    seed: int,
    epochs: int,
    early_stop: bool = False,
    each_epoch: bool = False,
) -> list[Gap]:
    """Trains a DIN around the embedding and measures the gap, of the weights that are kept (the
    last, or by early stopping the best on validation) or after each epoch.
    """
    model = rg.DIN(embedding)
    curve = GapCurve(model, task.train, task.test, task.max_history)
    last: dict[str, Tensor] = {}

    def on_epoch(number: int, epoch: rg.training.Epoch) -> None:
        if each_epoch:
            curve(number, epoch)
        last.update({name: part.clone() for name, part in model.state_dict().items()})

    result = rg.fit(
        model,
        task.split,
        epochs=epochs,
        lr=task.lr,
        patience=2 if early_stop else epochs,
        max_history=task.max_history,
        seed=seed,
        progress=False,
        on_epoch=on_epoch,
    )
    if not early_stop:
        model.load_state_dict(last)
    if not each_epoch:
        curve(len(result.curve), result.curve[-1])
    return curve.gaps


def vectors(embedding: nn.Module) -> Tensor:
    table = embedding.materialize() if isinstance(embedding, rg.ResEmbedding) else embedding
    weight: Tensor = table.weight
    return weight.detach()


def radius_run(task: Task, arm: dict[str, Any], seed: int, epochs: int) -> dict[str, Any]:
    torch.manual_seed(seed)
    embedding = rg.ResEmbedding(task.graph, task.dim, **(FREE | arm))
    gaps = train(task, embedding, seed, epochs)
    found = envelope_radius(vectors(embedding), task.interest)
    return {
        "rms": found.mean("rms"),
        "largest": found.mean("largest"),
        "ball": found.mean("ball"),
        "residual_share": float(residual_share(embedding).mean()),
        "effective_centers": effective_centers(center_usage(embedding)),
        "gap": gaps[-1].logloss,
        "auc_gap": gaps[-1].auc,
        "test_auc": gaps[-1].test.auc,
        "bayes_auc": task.bayes_auc,
    }


def recovery_run(task: Task, arm: dict[str, Any], seed: int, epochs: int) -> dict[str, Any]:
    """Groupings as many as the interests, and a wide embedding for the AUC."""
    torch.manual_seed(seed)
    few = rg.ResEmbedding(task.graph, task.dim, NUM_INTERESTS)
    train(task, few, seed, epochs, early_stop=True)
    torch.manual_seed(seed)
    plain = PlainEmbedding(task.interest.numel(), task.dim)
    plain_gaps = train(task, plain, seed, epochs, early_stop=True)
    torch.manual_seed(seed)
    wide = rg.ResEmbedding(task.graph, task.dim, 64)
    gaps = train(task, wide, seed, epochs, early_stop=True)
    found = {
        "centres": main_centers(few),
        "k-means, Res": clusters(vectors(few), seed),
        "k-means, plain": clusters(vectors(plain), seed),
        "communities": graph_communities(task.graph),
    }
    scores = {name: agreement(group, task.interest)._asdict() for name, group in found.items()}
    return {
        "agreement": scores,
        "test_auc": gaps[-1].test.auc,
        "plain_test_auc": plain_gaps[-1].test.auc,
        "bayes_auc": task.bayes_auc,
    }


def clusters(table: Tensor, seed: int) -> Tensor:
    means = KMeans(NUM_INTERESTS, n_init=10, random_state=seed).fit(table.double().numpy())
    return torch.from_numpy(means.labels_).long()


def long_run(task: Task, arm: dict[str, Any], seed: int, epochs: int) -> dict[str, Any]:
    torch.manual_seed(seed)
    size = task.interest.numel()
    makers: dict[str, Callable[[], nn.Module]] = {
        "plain": lambda: PlainEmbedding(size, task.dim),
        "plain with L2": lambda: L2Embedding(
            size, task.dim, _weight=0.003 * torch.randn(size, task.dim)
        ),
        "spectral start": lambda: spectral_table(task.graph),
        "Res-embedding": lambda: rg.ResEmbedding(task.graph, task.dim),
    }
    gaps = train(task, makers[arm["embedding"]](), seed, epochs, each_epoch=True)
    return {
        "gap": [gap.logloss for gap in gaps],
        "auc_gap": [gap.auc for gap in gaps],
        "test_auc": [gap.test.auc for gap in gaps],
        "bayes_auc": task.bayes_auc,
    }


def arms_of(question: str) -> list[dict[str, Any]]:
    if question == "radius":
        turned = ({name: value} for name, values in DIAL.items() for value in values)
        return [{}, *turned]
    if question == "long":
        names = ("plain", "plain with L2", "spectral start", "Res-embedding")
        return [{"embedding": name} for name in names]
    return [{}]


RUNS = {"radius": radius_run, "recovery": recovery_run, "long": long_run}


def correlation(runs: list[dict[str, Any]], measure: str) -> tuple[float, float, float]:
    """Spearman's correlation of the radius with a measure, and its 95 % interval (percentile
    bootstrap over runs).
    """
    pair = [np.array([run[name] for run in runs]) for name in ("rms", measure)]

    def statistic(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
        return float(spearmanr(x, y).statistic)

    interval = bootstrap(
        pair, statistic, paired=True, vectorized=False, method="percentile", rng=0, n_resamples=2000
    ).confidence_interval
    return statistic(*pair), float(interval.low), float(interval.high)


def radius_figure(runs: list[dict[str, Any]], title: str, path: Path) -> None:
    rho, low, high = correlation(runs, "gap")
    with new_figure(3.4) as (figure, axes):
        for place, dial in enumerate(("", *DIAL)):
            some = [run for run in runs if next(iter(run["arm"]), "") == dial]
            x, y = ([run[name] for run in some] for name in ("rms", "gap"))
            style: Any = {"color": PALETTE[place], "marker": MARKERS[place], "linestyle": "none"}
            label = f"{NAMES[dial]} turned" if dial else "free residual, 64 centres"
            axes.plot(x, y, **style, markersize=5, alpha=0.75, label=label)
        axes.set(
            xlabel="envelope radius (rms, share of the spread of all items)",
            ylabel="generalisation gap (nats)",
            title=f"{title}\nSpearman {rho:.2f} [{low:.2f}, {high:.2f}], {len(runs)} runs",
        )
        axes.grid()
        legend_below(figure, axes)
        figure.savefig(path, dpi=200, facecolor="white")


def recovery_figure(runs: list[dict[str, Any]], title: str, path: Path) -> None:
    users = sorted({run["users"] for run in runs})
    with new_figure(3.2) as (figure, axes):
        for place, name in enumerate(runs[0]["agreement"]):
            values = [
                [run["agreement"][name]["nmi"] for run in runs if run["users"] == n] for n in users
            ]
            style = line_style(place) | {"marker": MARKERS[place]}
            axes.plot(users, [np.mean(each) for each in values], label=name, **style)
            axes.vlines(
                users, *zip(*map(_range, values), strict=True), color=style["color"], alpha=0.5
            )
        axes.set(xscale="log", ylim=(-0.03, 1.03), xlabel="users of the training log")
        axes.set(ylabel="NMI with the planted interests", title=title)
        axes.set_xticks(users, [f"{n:,}" for n in users])
        axes.minorticks_off()
        axes.grid()
        legend_below(figure, axes)
        figure.savefig(path, dpi=200, facecolor="white")


def long_figure(runs: list[dict[str, Any]], title: str, path: Path) -> None:
    with new_figure(3.2) as (figure, axes):
        for place, arm in enumerate(arms_of("long")):
            lines = [run["gap"] for run in runs if run["arm"] == arm]
            style = line_style(place)
            for line in lines:
                axes.plot(
                    range(1, len(line) + 1), line, color=style["color"], alpha=0.4, linewidth=0.7
                )
            if lines:
                mean = np.mean(lines, axis=0)
                axes.plot(
                    range(1, mean.size + 1), mean, label=arm["embedding"], linewidth=2, **style
                )
        axes.set(xlabel="epoch", ylabel="generalisation gap (nats)", title=title)
        axes.grid()
        legend_below(figure, axes)
        figure.savefig(path, dpi=200, facecolor="white")


def _range(values: list[float]) -> tuple[float, float]:
    return min(values), max(values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("question", choices=RUNS)
    parser.add_argument("--data", default="world", help="world, or the path of a sequence file")
    parser.add_argument("--users", type=int, nargs="+", default=[2000], help="users of the world")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/theory"))
    args = parser.parse_args()
    is_world = args.data == "world"
    if args.question == "recovery" and not is_world:
        parser.error("recovery needs planted interests: --data world")
    name = "world" if is_world else Path(args.data).stem
    path = args.out / f"{args.question}.json"
    runs: list[dict[str, Any]] = json.loads(path.read_text())["runs"] if path.exists() else []
    for users in args.users if is_world else [0]:
        for seed in range(args.seeds):
            task = None
            for arm in arms_of(args.question):
                key = {
                    "data": name,
                    "users": users,
                    "seed": seed,
                    "epochs": args.epochs,
                    "arm": arm,
                }
                if any(key.items() <= run.items() for run in runs):
                    continue
                task = task or (world_task(users, seed) if is_world else file_task(Path(args.data)))
                runs.append(key | RUNS[args.question](task, arm, seed, args.epochs))
                print(json.dumps(runs[-1]), flush=True)
                contents = {"command": shlex.join(sys.argv), "versions": versions(), "runs": runs}
                write_atomically(path, json.dumps(contents, indent=1) + "\n")
    draw(
        args.question,
        [r for r in runs if (r["data"], r["epochs"]) == (name, args.epochs)],
        args.out,
    )


def draw(question: str, runs: list[dict[str, Any]], out: Path) -> None:
    name, epochs = runs[0]["data"], runs[0]["epochs"]
    if question == "recovery":
        for users in sorted({run["users"] for run in runs}):
            some = [run for run in runs if run["users"] == users]
            means = {
                measure: float(np.mean([run[measure] for run in some]))
                for measure in ("test_auc", "plain_test_auc", "bayes_auc")
            }
            print(f"{users:,} users, {len(some)} seeds, mean:", json.dumps(means))
        recovery_figure(runs, "Interests found again", out / "recovery.png")
        return
    for users in sorted({run["users"] for run in runs}):
        some = [run for run in runs if run["users"] == users]
        place = f"{name}, {users:,} users" if users else name
        stem = f"{question}-{name}" + (f"-{users}" if users else "")
        if question == "radius":
            for measure in ("gap", "auc_gap", "test_auc"):
                rho, low, high = correlation(some, measure)
                print(f"{place}: radius and {measure}: Spearman {rho:.3f} [{low:.3f}, {high:.3f}]")
            radius_figure(some, f"{place}, after {epochs} epochs", out / f"{stem}.png")
        else:
            long_figure(some, f"{place}: gap by epoch", out / f"{stem}.png")


if __name__ == "__main__":
    main()
