"""Is our DIN the DIN that others train? Ours with a plain table against FuxiCTR's, test AUC.

Ours differs from FuxiCTR's on purpose: its MLP also sees the product of candidate and interest, and
is batch-normalised. So ours is trained a second time with FuxiCTR's input, start and clipping of
the MLP: attention, batches, optimiser and evaluation are checked by what is then left.

    python -m benchmarks.accuracy.crosscheck --data Beauty.txt

Same examples, batch size, widths, optimiser, learning rate and start of the table (normal, 1e-4, as
FuxiCTR has it), each in its own training code; the epoch is chosen on validation AUC (patience 2)
and test is scored once. FuxiCTR's runs need the environment of benchmarks/speed's peers. A run
stands in results/crosscheck/results.json as it ends, and is not made again.
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import resemb_gnn as rg
from benchmarks.runs import FIRST_FIT, RunFile, command
from benchmarks.speed.ours import (
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
from benchmarks.speed.padded import padded
from benchmarks.tables import mean_and_std, table, with_interval
from resemb_gnn.experiment.summary import difference, number, paired_differences
from resemb_gnn.nn import make_mlp
from resemb_gnn.pipeline.facts import versions
from resemb_gnn.training import auc

START, PATIENCE = 1e-4, 2


class FuxiLayersDIN(rg.DIN):
    """Our attention and embedding with the rest as FuxiCTR's DIN has it: the MLP sees candidate and
    interest alone, unnormalised, and linear layers start by Xavier's rule.
    """

    def __init__(self, embedding: nn.Module) -> None:
        super().__init__(
            embedding,
            attention_hidden=(ATTENTION,),
            hidden=HIDDEN,
            activation="dice",
            attention_normalization="none",
        )
        self.norm = nn.Identity()  # type: ignore[assignment]
        self.mlp = make_mlp(2 * self.feature_dim, HIDDEN, "dice")
        for part in self.modules():
            if isinstance(part, nn.Linear):
                nn.init.xavier_normal_(part.weight)
                nn.init.zeros_(part.bias)

    def score(
        self,
        items: Tensor,
        history: Tensor,
        target: Tensor,
        batch: rg.Batch,
        side: Tensor | None = None,
    ) -> Tensor:
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
        patience=PATIENCE,
        max_history=MAX_HISTORY,
        seed=seed,
        **FIRST_FIT | {"lr": LEARNING_RATE},
        progress=False,
    )
    curve = [epoch.valid.auc for epoch in result.curve]
    return {"valid": curve, "best_epoch": result.best_epoch, "test": result.test.auc}


def fuxictr(task: Task, seed: int, epochs: int) -> dict[str, Any]:
    from benchmarks.speed.fuxictr import batch_of, make_model  # need not be there

    def score(examples: rg.Examples) -> float:
        """AUC of FuxiCTR's model on our examples."""
        model.eval()
        with torch.no_grad():
            parts = [
                model(batch_of(padded(examples, index), None))["y_pred"].flatten()
                for index in torch.arange(len(examples)).split(BATCH_SIZE)
            ]
        return auc(torch.cat(parts), examples.label)

    torch.manual_seed(seed)
    curve: list[float] = []
    best: dict[str, Tensor] = {}
    with tempfile.TemporaryDirectory() as folder:
        model: Any = make_model(task.num_items, Path(folder))
        for _ in range(epochs):
            order = torch.randperm(len(task.train))
            model.train()
            model.train_epoch(
                [batch_of(padded(task.train, index), None) for index in order.split(BATCH_SIZE)]
            )
            curve.append(score(task.split.valid))
            if curve[-1] == max(curve):
                best = {name: value.clone() for name, value in model.state_dict().items()}
            elif len(curve) - 1 - int(np.argmax(curve)) >= PATIENCE:
                break
        model.load_state_dict(best)
        test = score(task.split.test)
    return {"valid": curve, "best_epoch": 1 + int(np.argmax(curve)), "test": test}


THEIRS = "FuxiCTR"
ARMS = {"resemb_gnn": ours, "resemb_gnn, FuxiCTR's layers": fuxi_layers, THEIRS: fuxictr}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="sequence file, such as Beauty")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/accuracy/results/crosscheck"))
    options = parser.parse_args(argv)
    words = command("benchmarks.accuracy.crosscheck", argv, options.data)
    results = RunFile(options.out / "results.json", {"command": words, "versions": versions()})
    task = make_task(options.data)
    for seed in range(options.seeds):
        for arm in options.arms:
            if not results.holds(arm=arm, seed=seed):
                run = ARMS[arm](task, seed, options.epochs)
                results.add({"arm": arm, "seed": seed} | run)
                print(results.runs[-1], flush=True)
    runs = {arm: [run for run in results.runs if run["arm"] == arm] for arm in options.arms}
    rows = []
    for arm, some in runs.items():
        gaps = paired_differences(some, [] if arm == THEIRS else runs.get(THEIRS, []), "test")
        less = with_interval(difference(gaps) if gaps else None)
        rows.append([arm, mean_and_std([number(run, "test") for run in some]), less])
    print("\n".join(table(["DIN", "test AUC", f"less {THEIRS}'s, paired by seed"], rows)))


if __name__ == "__main__":
    main()
