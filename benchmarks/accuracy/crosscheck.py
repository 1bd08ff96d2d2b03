"""Is our DIN the DIN that others train? Ours with a plain table against FuxiCTR's, test AUC.

Ours differs from FuxiCTR's on purpose: its MLP also sees the product of candidate and interest, and
is batch-normalised. So ours is trained a second time with FuxiCTR's input, start and clipping of
the MLP: attention, batches, optimiser and evaluation are checked by what is then left.

    python benchmarks/crosscheck.py --data Beauty.txt

Same examples, batch size, widths, optimiser, learning rate and start of the table (normal, 1e-4, as
FuxiCTR has it), each in its own training code; the epoch is chosen on validation AUC (patience 2)
and test is scored once. In the environment of speed.py's peers (requirements-speed.txt). A run
stands in results/crosscheck/results.json as it ends, and is not made again.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from speed_ours import (
    ATTENTION,
    BATCH_SIZE,
    DIM,
    HIDDEN,
    LEARNING_RATE,
    MAX_HISTORY,
    Task,
    make_din,
    make_task,
)
from speed_peers import Rows, fuxi_batch, fuxictr_model, padded
from torch import Tensor, nn

import resemb_gnn as rg
from resemb_gnn.experiment.results import versions, write_atomically
from resemb_gnn.experiment.summary import describe, difference
from resemb_gnn.nn import make_mlp
from resemb_gnn.training import auc

START, PATIENCE = 1e-4, 2


class FuxiLayersDIN(rg.DIN):
    """Our attention and embedding with the rest as FuxiCTR's DIN has it: the MLP sees candidate and
    interest alone, unnormalised, and linear layers start by Xavier's rule.
    """

    def __init__(self, embedding: nn.Module) -> None:
        super().__init__(embedding, attention_hidden=(ATTENTION,), hidden=HIDDEN, activation="dice")
        self.norm = nn.Identity()
        self.mlp = make_mlp(2 * self.feature_dim, HIDDEN, "dice")
        for part in self.modules():
            if isinstance(part, nn.Linear):
                nn.init.xavier_normal_(part.weight)
                nn.init.zeros_(part.bias)

    def score(self, items: Tensor, history: Tensor, target: Tensor, batch: rg.Batch) -> Tensor:
        query = items.index_select(0, target)
        interest = self.attention(query, items, history, batch.ptr)
        logit: Tensor = self.mlp(torch.cat([query, interest], dim=1)).squeeze(1)
        return logit


def fuxi_layers(task: Task, seed: int, epochs: int) -> dict[str, Any]:
    return ours(task, seed, epochs, FuxiLayersDIN)


def ours(
    task: Task, seed: int, epochs: int, make: Callable[[nn.Module], nn.Module] = make_din
) -> dict[str, Any]:
    torch.manual_seed(seed)
    table = nn.Embedding(task.num_items, DIM)
    nn.init.normal_(table.weight, std=START)
    result = rg.fit(
        make(table),
        task.split,
        epochs=epochs,
        batch_size=BATCH_SIZE,
        lr=LEARNING_RATE,
        patience=PATIENCE,
        max_history=MAX_HISTORY,
        seed=seed,
        progress=False,
    )
    curve = [epoch.valid.auc for epoch in result.curve]
    return {"valid": curve, "best_epoch": result.best_epoch, "test": result.test.auc}


def fuxictr(task: Task, seed: int, epochs: int) -> dict[str, Any]:
    torch.manual_seed(seed)
    curve: list[float] = []
    best: dict[str, Tensor] = {}
    with tempfile.TemporaryDirectory() as folder:
        model: Any = fuxictr_model(task.num_items, Path(folder))
        for _ in range(epochs):
            order = torch.randperm(len(task.train))
            model.train()
            model.train_epoch(
                [fuxi_batch(padded(task, index), None) for index in order.split(BATCH_SIZE)]
            )
            curve.append(score(model, task, task.split.valid))
            if curve[-1] == max(curve):
                best = {name: value.clone() for name, value in model.state_dict().items()}
            elif len(curve) - 1 - int(np.argmax(curve)) >= PATIENCE:
                break
        model.load_state_dict(best)
        test = score(model, task, task.split.test)
    return {"valid": curve, "best_epoch": 1 + int(np.argmax(curve)), "test": test}


@torch.no_grad()
def score(model: Any, task: Task, examples: rg.Examples) -> float:
    """AUC of FuxiCTR's model on our examples."""
    model.eval()
    held = task._replace(split=replace(task.split, train=examples))  # padded() cuts from train
    parts = [model(fuxi_batch(rows, None))["y_pred"].flatten() for rows in _batches(held)]
    return auc(torch.cat(parts), examples.label)


def _batches(task: Task) -> Iterator[Rows]:
    for index in torch.arange(len(task.train)).split(BATCH_SIZE):
        yield padded(task, index)


ARMS = {"resemb_gnn": ours, "resemb_gnn, FuxiCTR's layers": fuxi_layers, "FuxiCTR": fuxictr}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="sequence file, such as Beauty")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/crosscheck"))
    options = parser.parse_args()
    path = options.out / "results.json"
    runs = json.loads(path.read_text())["runs"] if path.exists() else []
    done = {(run["arm"], run["seed"]) for run in runs}
    task = make_task(options.data)
    options.out.mkdir(parents=True, exist_ok=True)
    for seed in range(options.seeds):
        for arm, train in ARMS.items():
            if (arm, seed) in done:
                continue
            runs.append({"arm": arm, "seed": seed} | train(task, seed, options.epochs))
            print(runs[-1], flush=True)
            contents = {
                "command": f"python benchmarks/crosscheck.py --data {options.data.name}",
                "versions": versions(),
                "runs": runs,
            }
            write_atomically(path, json.dumps(contents, indent=1) + "\n")
    by_arm = {
        arm: [run["test"] for run in sorted(runs, key=lambda run: run["seed"]) if run["arm"] == arm]
        for arm in ARMS
    }
    for arm, values in by_arm.items():
        stat = describe(values)
        print(f"{arm}: test AUC {stat.mean:.4f} ± {stat.std:.4f}")
    theirs = by_arm.pop("FuxiCTR")
    for arm, values in by_arm.items():
        gap = difference([a - b for a, b in zip(values, theirs, strict=True)])
        print(f"{arm} less FuxiCTR: {gap.mean:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}]")


if __name__ == "__main__":
    main()
