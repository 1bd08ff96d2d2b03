"""What several negatives a positive cost, and what each embedding costs, as ``fit`` trains.

    python -m benchmarks.speed.negatives

A log of the size of Beauty (synthetic, or --data), one thread, training steps of DIN as
``fit`` makes it. A step holds 512 positives, each with one negative, or with four: on a history
that all of a positive's candidates share, as ``fit(train_negatives=4)`` has it, or on a copy of the
history for each. Batches are cut within the step, and an epoch's negatives are drawn in each turn,
for as many positives as it trains on.

Every turn stands in negatives.json; ratios are taken within a round, of the processor's work.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import resemb_gnn as rg
from benchmarks.runs import command
from benchmarks.speed import ours
from benchmarks.speed.turns import timed
from benchmarks.timing import Contender, spread
from resemb_gnn.training import training_step

POSITIVES, SEVERAL = 512, 4
KINDS = ("plain", "mlp", "gcn", "gat")


def contender(name: str, task: ours.Task, model: rg.DIN, num: int, steps: int, copies: bool) -> Any:
    """Steps with ``num`` negatives a positive; with ``copies`` of the histories, or shared ones."""
    optimizer = ours.make_optimizer(model.train())
    positives = task.train[task.order[task.train.label[task.order] > 0]]  # as an epoch mixes them
    sampler = task.split.sampler
    assert sampler is not None
    few = torch.arange(min(POSITIVES * steps, len(positives)))

    def prepare(number: int) -> Callable[[], object]:
        def job() -> None:
            rng = np.random.default_rng(number)
            part = positives[(few + number * few.numel()) % len(positives)]
            drawn = sampler.draw(part.user, part.end, part.target, num, rng)
            examples = rg.Examples(**vars(part) | {"negatives": drawn})
            for index in torch.arange(len(part)).split(POSITIVES):
                batch = examples.batch(index, ours.MAX_HISTORY)
                training_step(model, batch.expanded() if copies else batch, optimizer)

        return job

    return Contender(name, prepare)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="sequence file in the place of the synthetic log")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=10, help="of a turn")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/speed/results/negatives.json"))
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    task = ours.make_task(options.data)
    forms = {"1": (1, False), f"{SEVERAL}": (SEVERAL, False), f"{SEVERAL}, copied": (SEVERAL, True)}
    made = []
    for kind in KINDS:
        for form, (num, copies) in forms.items():
            model = rg.DIN(ours.embedding(task, None if kind == "plain" else kind))
            made.append(contender(f"{kind}, {form}", task, model, num, options.steps, copies))
    line = command("benchmarks.speed.negatives", argv, options.data, options.out)
    seconds = timed(made, options.rounds, options.out, command=line)
    for name, values in seconds.items():
        kind, form = name.split(", ", 1)
        of_one = _ratio(values, seconds[f"{kind}, 1"])
        of_plain = _ratio(values, seconds[f"plain, {form}"])
        step = np.median(values) / options.steps * 1e3
        print(f"{name}: {step:.1f} ms a step, {of_one} times that of 1, {of_plain} of plain's")


def _ratio(values: Any, base: Any) -> str:
    middle, low, high = spread((values / base).tolist())
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    main()
