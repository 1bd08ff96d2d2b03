"""The same number of tuning trials for each arm, chosen on validation alone.

    python -m benchmarks.accuracy.research.tuning --data Beauty.txt --final Sports_and_Outdoors.txt
    python -m benchmarks.accuracy.research.tuning --data kuairand:kuairand_pure --out OUT

Optuna's TPE (seed 0) searches what an arm names as `tuned` (resemb_gnn/pipeline/arms.py); the
first trial is the arm's defaults (or the next one, where they are not among those in its file). A
trial trains DIN with seed 0 and is worth its best validation AUC; test examples are not scored.
With `--final`, the best three are trained on other data sets too, and the best mean of the
validation AUCs is the arm's choice, which a cell takes on every data set. Every trial stands
in OUT/ARM.json as it ends, and a search goes on where that file ends.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from resemb_gnn.pipeline.arms import ARMS, Range, make_embedding, make_model
from resemb_gnn.pipeline.steps import fit_with, make_graph
from torch import Tensor
from torch_geometric.data import Data

from benchmarks.accuracy.research.settings import ABLATIONS, BUDGET, defaults, finalists
from resemb_gnn.data import Split
from resemb_gnn.datasets import load_source
from resemb_gnn.experiment import CompareSettings
from resemb_gnn.experiment.results import versions
from resemb_gnn.io.json_text import read_json, write_json


def override(arm: str, params: dict[str, Any]) -> tuple[str, ...]:
    """The settings of a trial as `compare --override` takes them."""
    return tuple(f"{arm}.{name}={value}" for name, value in params.items())


@dataclass(frozen=True)
class Prepared:
    """A data set, read and split, with what a trial on it needs."""

    settings: CompareSettings
    split: Split
    graph: Data
    category: Tensor | None

    @classmethod
    def of(cls, data: str, epochs: int) -> "Prepared":
        settings = CompareSettings(data=data, epochs=epochs, compile=True, quiet=True)
        source = load_source(data)
        split = source.make_split(settings.split, settings.negatives)
        graph = make_graph(source, split, settings)
        return cls(settings, split, graph, source.log.item_category)

    def made_with(self) -> dict[str, Any]:
        return {
            "data": Path(self.settings.data).name,
            "settings": self.settings.identity(),
            "versions": versions() | {"optuna": _optuna_version()},
        }


def _optuna_version() -> str | None:
    try:
        return metadata.version("optuna")
    except metadata.PackageNotFoundError:  # finals need none
        return None


def train(arm: str, params: dict[str, Any], on: Prepared, seed: int = 0) -> dict[str, Any]:
    """A trial: its settings, validation AUC at the best epoch, and what it took."""
    own = replace(on.settings, override=override(arm, params)).of(arm)
    torch.manual_seed(seed)
    feature = on.category if own.use_category else None
    model = make_model(own.model, make_embedding(arm, on.graph, own, on.category), feature)
    started = time.perf_counter()
    held = replace(on.split, test=on.split.valid)  # the test examples are not for choosing
    result = fit_with(own, model, held, seed=seed)
    return {
        "params": params,
        "valid_auc": result.valid.auc,
        "best_epoch": result.best_epoch,
        "epochs": len(result.curve),
        "seconds": time.perf_counter() - started,
    }


def tune(arm: str, trials: int, path: Path, on: Prepared) -> None:
    """Searches until `trials` trials of an arm stand in its file."""
    found = read(path)
    done = found.get("trials", [])
    if len(done) >= trials:
        return
    import optuna
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # The state of the sampler is not kept: a resumed search draws from seed 0 plus its length.
    sampler = optuna.samplers.TPESampler(seed=len(done), n_startup_trials=4)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    spaces = {name: ARMS[arm].settings[name] for name in ARMS[arm].tuned}
    ranges = {
        name: FloatDistribution(values.low, values.high, log=values.log)
        if isinstance(values, Range)
        else CategoricalDistribution(values)
        for name, values in spaces.items()
    }
    for trial in done:
        params, value = trial["params"], trial["valid_auc"]
        study.add_trial(optuna.trial.create_trial(params=params, distributions=ranges, value=value))
    first = defaults(arm, on.settings, on.graph, on.category)
    if all(trial["params"] != first for trial in done):
        study.enqueue_trial(first)
    while len(done) < trials:
        asked = study.ask(ranges)
        done.append(train(arm, asked.params, on))
        study.tell(asked, done[-1]["valid_auc"])
        found |= {"arm": arm, **on.made_with(), "trials": done}
        write_json(path, found)
        print(f"{arm}, trial {len(done)}: {done[-1]}", file=sys.stderr, flush=True)


def try_finalists(arm: str, path: Path, on: Prepared) -> None:
    """Trains an arm's finalists on another data set, those that have not been there yet."""
    found = read(path)
    finals = {final["data"]: final for final in found.get("finals", [])}
    made_with = on.made_with()
    trials = finals.get(made_with["data"], {}).get("trials", [])
    finals[made_with["data"]] = made_with | {"trials": trials}
    tried = [final["params"] for final in trials]
    for trial in finalists(path, found["trials"]):
        if trial["params"] not in tried:
            trials.append(train(arm, trial["params"], on))
            write_json(path, found | {"finals": list(finals.values())})
            print(f"{arm}, finalist: {trials[-1]}", file=sys.stderr, flush=True)


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = read_json(path) if path.exists() else {}
    return found


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="as `resemb-gnn compare` takes it")
    parser.add_argument(
        "--final", nargs="+", default=[], help="other data sets, for each arm's best trials"
    )
    parser.add_argument("--arms", nargs="+", choices=ARMS)
    parser.add_argument("--trials", type=int, default=BUDGET)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/accuracy/results/tuning"))
    options = parser.parse_args(argv)
    arms = options.arms or [name for name, arm in ARMS.items() if not arm.needs_category]
    paths = {arm: options.out / f"{arm}.json" for arm in arms if arm not in ABLATIONS}
    on = Prepared.of(options.data, options.epochs)
    for arm, path in paths.items():
        tune(arm, options.trials, path, on)
    for data in options.final:
        on = Prepared.of(data, options.epochs)
        for arm, path in paths.items():
            try_finalists(arm, path, on)


if __name__ == "__main__":
    main()
