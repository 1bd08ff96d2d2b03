"""The same number of tuning trials for each arm, chosen on validation alone.

    python benchmarks/tuning.py --data Beauty.txt --final Sports_and_Outdoors.txt
    python benchmarks/tuning.py --data kuairand:kuairand_pure --out OUT

Optuna's TPE (seed 0) searches what an arm names as `tuned` (resemb_gnn/experiment/arms.py); the
first trial is the arm's defaults (or the next one, where they are not among those in its file). A
trial trains DIN with seed 0 and is worth its best validation AUC; test examples are not scored.
With `--final`, the best three are trained on a second data set too, and the best mean of both
validation AUCs is the arm's choice, which `research.py` takes for all data sets. Every trial stands
in OUT/ARM.json as it ends, and a search goes on where that file ends.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import torch
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
)
from optuna.trial import create_trial
from research_settings import ABLATIONS, BUDGET, defaults, finalists
from torch import Tensor
from torch_geometric.data import Data

from resemb_gnn.data import Split
from resemb_gnn.datasets import load_source
from resemb_gnn.experiment import CompareSettings
from resemb_gnn.experiment.arms import ARMS, Range, make_embedding, make_model
from resemb_gnn.experiment.results import versions, write_atomically
from resemb_gnn.experiment.training import fit_with, make_graph


def space(arm: str) -> dict[str, BaseDistribution]:
    """Where each tuned setting of an arm is searched."""
    found: dict[str, BaseDistribution] = {}
    for name in ARMS[arm].tuned:
        values = ARMS[arm].settings[name]
        if isinstance(values, Range):
            found[name] = FloatDistribution(values.low, values.high, log=values.log)
        else:
            found[name] = CategoricalDistribution(values)
    return found


def override(arm: str, params: dict[str, Any]) -> tuple[str, ...]:
    """The settings of a trial as `compare --override` takes them."""
    return tuple(f"{arm}.{name}={value}" for name, value in params.items())


def train(
    arm: str,
    settings: CompareSettings,
    split: Split,
    graph: Data,
    category: Tensor | None,
    seed: int = 0,
) -> dict[str, Any]:
    """A trial: validation AUC at the best epoch, and what it took."""
    own = settings.of(arm)
    torch.manual_seed(seed)
    feature = category if settings.use_category else None
    model = make_model(settings.model, make_embedding(arm, graph, own, category), feature)
    started = time.perf_counter()
    held = replace(split, test=split.valid)  # the test examples are not for choosing
    result = fit_with(own, model, held, seed=seed)
    return {
        "valid_auc": result.valid.auc,
        "best_epoch": result.best_epoch,
        "epochs": len(result.curve),
        "seconds": time.perf_counter() - started,
    }


def tune(
    arm: str,
    path: Path,
    settings: CompareSettings,
    split: Split,
    graph: Data,
    category: Tensor | None,
    trials: int,
) -> None:
    """Searches until `trials` trials of an arm stand in its file."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize",
        # The state of the sampler is not kept: a resumed search draws from seed 0 plus its length.
        sampler=optuna.samplers.TPESampler(seed=0, n_startup_trials=4),
    )
    ranges = space(arm)
    found = read(path)
    done = found.get("trials", [])
    for trial in done:
        study.add_trial(
            create_trial(params=trial["params"], distributions=ranges, value=trial["valid_auc"])
        )
    if done:
        study.sampler = optuna.samplers.TPESampler(seed=len(done), n_startup_trials=4)
    first = defaults(arm, settings, graph, category)
    if all(trial["params"] != first for trial in done):
        study.enqueue_trial(first)
    while len(done) < trials:
        asked = study.ask(ranges)
        tried = replace(settings, override=override(arm, asked.params))
        record = {"params": asked.params} | train(arm, tried, split, graph, category)
        study.tell(asked, record["valid_auc"])
        done.append(record)
        best = max(done, key=lambda each: each["valid_auc"])
        found |= {
            "arm": arm,
            **made_with(settings),
            "best": best["params"],
            "best_valid_auc": best["valid_auc"],
            "trials": done,
        }
        write(path, found)
        print(f"{arm}, trial {len(done)}: {record}", file=sys.stderr, flush=True)


def try_finalists(
    arm: str,
    path: Path,
    settings: CompareSettings,
    split: Split,
    graph: Data,
    category: Tensor | None,
) -> None:
    """Trains an arm's finalists on another data set, those that have not been there yet."""
    found = read(path)
    finals = found.get("finals", {}).get("trials", [])
    for trial in finalists(path):
        params = trial["params"]
        if any(final["params"] == params for final in finals):
            continue
        tried = replace(settings, override=override(arm, params))
        finals.append({"params": params} | train(arm, tried, split, graph, category))
        found["finals"] = made_with(settings) | {"trials": finals}
        write(path, found)
        print(f"{arm}, finalist: {finals[-1]}", file=sys.stderr, flush=True)


def made_with(settings: CompareSettings) -> dict[str, Any]:
    return {
        "data": Path(settings.data).name,
        "settings": settings.identity(),
        "versions": versions() | {"optuna": optuna.__version__},
    }


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def write(path: Path, contents: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(contents, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="as `resemb-gnn compare` takes it")
    parser.add_argument("--final", help="another data set, for each arm's best trials")
    parser.add_argument("--arms", nargs="+", choices=ARMS)
    parser.add_argument("--trials", type=int, default=BUDGET)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/tuning"))
    options = parser.parse_args()
    arms = options.arms or [name for name, arm in ARMS.items() if not arm.needs_category]
    arms = [arm for arm in arms if arm not in ABLATIONS]

    def on(data: str, run: Callable[..., None]) -> None:
        """Runs each arm's search or its finals on a data set."""
        settings = CompareSettings(data=data, epochs=options.epochs, compile=True, quiet=True)
        source = load_source(data)
        split = source.make_split(settings.split, settings.negatives)
        graph = make_graph(source, split, settings)
        for arm in arms:
            path = options.out / f"{arm}.json"
            run(arm, path, settings, split, graph, source.log.item_category)

    on(options.data, partial(tune, trials=options.trials))
    if options.final is not None:
        on(options.final, try_finalists)


if __name__ == "__main__":
    main()
