"""Users a second whose whole catalogue DIN ranks: one history for all items, or a copy for each.

    python -m benchmarks.speed.ranking --data Beauty.txt

``rank_catalogue`` embeds the items once and reads a history once for all of them; beside it each
pair of user and item as an example of its own, scored as ``predict`` does. One thread; an untrained
model, which ranks as fast as a trained one. Both give the same ranks.

Every turn stands in ranking.json; ratios are taken within a round.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import resemb_gnn as rg
from benchmarks.runs import command
from benchmarks.speed import ours
from benchmarks.speed.turns import timed
from benchmarks.timing import Contender, spread
from resemb_gnn.training import predict, rank_catalogue


def copied_ranks(model: rg.DIN, examples: rg.Examples, touched: tuple[Tensor, Tensor]) -> Tensor:
    """The ranks from an example for each pair of user and item."""
    size = model.items.num_embeddings
    assert size is not None
    each = torch.arange(len(examples)).repeat_interleave(size)
    pairs = replace(examples[each], target=torch.arange(size).repeat(len(examples)))
    logit = predict(model, pairs, max_history=ours.MAX_HISTORY).view(len(examples), size)
    own = logit.gather(1, examples.target[:, None])
    for row, user in enumerate(examples.user.tolist()):
        logit[row, touched[1][touched[0] == user]] = -torch.inf
    return 1 + (logit > own).sum(dim=1).double()


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="sequence file; without it, a synthetic log")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--users", type=int, default=20, help="of a turn")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/speed/results/ranking.json"))
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    log = ours.make_log(options.data)
    task = ours.make_task(options.data)
    model = ours.din(task)
    model(task.batch(torch.arange(ours.BATCH_SIZE)))  # moving averages unlike those of the start
    positives = task.split.test[task.split.test.label > 0]
    touched = (log.users, log.items)
    ways: dict[str, Callable[[rg.Examples], Tensor]] = {
        "one history": lambda some: rank_catalogue(
            model, some, touched, max_history=ours.MAX_HISTORY
        ),
        "copied": lambda some: copied_ranks(model, some, touched),
    }

    def contender(name: str) -> Contender:
        def prepare(number: int) -> Callable[[], object]:
            first = number * options.users % (len(positives) - options.users)
            some = positives[torch.arange(first, first + options.users)]
            return lambda: ways[name](some)

        return Contender(name, prepare, options.users)

    one, other = (way(positives[torch.arange(options.users)]) for way in ways.values())
    if float((one - other).abs().max()) > 1:  # rounding may swap neighbours
        raise AssertionError("the two ways rank differently")
    line = command("benchmarks.speed.ranking", argv, options.data, options.out)
    made = [contender(name) for name in ways]
    seconds = timed(made, options.rounds, options.out, command=line, users=options.users)
    for name, values in seconds.items():
        print(f"{name}: {options.users / np.median(values):.1f} users a second")
    shared, copied = seconds.values()
    middle, low, high = spread((copied / shared).tolist())
    print(f"ratio: {middle:.2f} ({low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
