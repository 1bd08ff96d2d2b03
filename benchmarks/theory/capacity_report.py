"""The tables of ``capacity``."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.theory.capacity import ALONE, FAR, FEW, MANY, NEAR
from benchmarks.theory.parts import read_parts, text_table
from benchmarks.theory.statistics import Runs, by_seed, group, mean, pooled
from resemb_gnn.io.text_tables import NONE

Arm = dict[str, Any]
NAMES = {"rms": "radius", "trained": "trained numbers"}
CORRELATED = (("rms", "trained"), ("trained", "rms"))


def _pinned(kind: str, cells: int, ratio: float) -> Arm:
    return {"kind": kind, "cells": cells, "ratio": ratio}


PAIRS: dict[str, tuple[Arm, Arm]] = {
    **{
        f"radius: {kind}, {cells} cells: {FAR} less {NEAR}": (
            _pinned(kind, cells, FAR),
            _pinned(kind, cells, NEAR),
        )
        for kind, cells in (("trained", FEW), ("trained", MANY), ("fixed", MANY))
    },
    **{
        f"cells: trained, distance {ratio}: {MANY} less {FEW}": (
            _pinned("trained", MANY, ratio),
            _pinned("trained", FEW, ratio),
        )
        for ratio in (NEAR, FAR)
    },
    **{
        f"trained less fixed: {MANY} cells, distance {ratio}": (
            _pinned("trained", MANY, ratio),
            _pinned("fixed", MANY, ratio),
        )
        for ratio in (NEAR, FAR)
    },
    "within less across: 20 cells": (
        {"kind": "within", "cells": 20},
        {"kind": "across", "cells": 20},
    ),
    "cap of the residual: 1 less 0.1": (
        {"kind": "capped", "cells": MANY, "cap": 1.0},
        {"kind": "capped", "cells": MANY, "cap": 0.1},
    ),
}


def capacity_section(out: Path) -> Iterator[str]:
    for title, _, runs in read_parts(out, "capacity"):
        runs = with_equal_fit(runs)
        yield f"## Radius and capacity: {title}"
        yield (
            "Cells are of an interest; distance is that of an item from its interest's centre, in"
            " spreads of the centres. Gap at equal fit: between the two epochs around the training"
            " loss that the interests alone end with (before the first, both losses count as log"
            " 2); in brackets the worlds where it is reached."
            f" Mean over {len({run['seed'] for run in runs})} worlds."
        )
        yield text_table(
            [
                *("items", "cells", "distance or cap", "trained numbers", "radius", "gap"),
                *("gap, equal fit", "training loss", "test AUC"),
            ],
            [_row(some) for some in group(runs, lambda run: run["arm"])],
        )
        yield (
            "One thing changed at a time: mean of the paired differences, 95 % t-interval over"
            " worlds. Equal fit: at the lowest training loss that both reach."
        )
        yield text_table(
            ["change", "gap", "gap, equal fit", "test AUC"],
            [[name, *_differences(runs, *pair)] for name, pair in PAIRS.items()],
        )
        yield (
            "Spearman's partial correlations with the gap, over all runs and by world. `across` is"
            " left out, as its cells have nothing true to learn."
        )
        yield text_table(
            [
                "runs",
                "over",
                *(", given ".join(NAMES[name] for name in pair) for pair in CORRELATED),
            ],
            [
                [name, over, *(str(found(some, "gap", *pair)) for pair in CORRELATED)]
                for name, some in _groups(runs).items()
                for over, found in (("all runs", pooled), ("by seed", by_seed))
            ],
        )


def with_equal_fit(runs: Runs) -> Runs:
    """The runs with their gap (``equal``) where training loss is what the interests alone of the
    same world end with; NaN if it is not reached.
    """
    level = {run["seed"]: run["train_logloss"][-1] for run in runs if run["arm"] == ALONE}
    return [run | {"equal": gap_at(run, level.get(run["seed"], math.nan))} for run in runs]


def gap_at(run: dict[str, Any], level: float) -> float:
    """Gap where the training loss first falls to a level, linear between epochs; before the first
    one, nothing tells an example from another. NaN if it never falls so low.
    """
    train = [math.log(2), *run["train_logloss"]]
    test = [math.log(2), *run["test_logloss"]]
    for i in range(1, len(train)):
        if train[i] <= level:
            share = (train[i - 1] - level) / (train[i - 1] - train[i])
            return float(test[i - 1] + share * (test[i] - test[i - 1]) - level)
    return math.nan


def _row(some: Runs) -> list[str]:
    arm = some[0]["arm"]
    how_far = arm.get("ratio", arm.get("cap", NONE))
    figures = {name: float(np.mean([run[name] for run in some])) for name in ("rms", "gap")}
    equal = [run["equal"] for run in some if not math.isnan(run["equal"])]
    loss = float(np.mean([run["train_logloss"][-1] for run in some]))
    auc = float(np.mean([run["test_auc"] for run in some]))
    return [
        *(arm["kind"], str(arm["cells"]), str(how_far), f"{some[0]['trained']:,}"),
        *(f"{value:.3f}" for value in figures.values()),
        f"{np.mean(equal):.3f} ({len(equal)})" if equal else NONE,
        *(f"{value:.3f}" for value in (loss, auc)),
    ]


def _differences(runs: Runs, one: Arm, other: Arm) -> list[str]:
    first, second = (
        {run["seed"]: run for run in runs if run["arm"] == arm} for arm in (one, other)
    )
    pairs = [(first[seed], second[seed]) for seed in first if seed in second]
    if not pairs:  # a stopped script
        return [NONE] * 3
    found = [
        [a["gap"] - b["gap"] for a, b in pairs],
        [gap_at(a, level) - gap_at(b, level) for a, b in pairs for level in (_both_reach(a, b),)],
        [a["test_auc"] - b["test_auc"] for a, b in pairs],
    ]
    return [str(mean(values)) for values in found]


def _both_reach(*pair: dict[str, Any]) -> float:
    return max(min(run["train_logloss"]) for run in pair)


def _groups(runs: Runs) -> dict[str, Runs]:
    return {
        "pinned radius": [run for run in runs if run["arm"]["kind"] in ("trained", "fixed")],
        "all but across": [run for run in runs if run["arm"]["kind"] != "across"],
    }
