"""The search for the form of Res-embedding that becomes the default, on validation alone.

    python -m benchmarks.accuracy.contest.search --data-folder DATA --only beauty kuairand
    python -m benchmarks.accuracy.contest.search --data-folder DATA --forms mlp "mlp:held" --seeds 3
    python -m benchmarks.accuracy.contest.search --report

Each form of `FORMS` is trained as the contest's arms are (rule.py), with validation examples in the
place of test examples, which are not scored. A run stands in OUT/SET.json as it ends, and the
search goes on where that file ends. `--report` writes the tables of SEARCH.md from these files.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.accuracy.contest.rule import SETS
from benchmarks.runs import RunFile, command
from benchmarks.tables import mean_of, section, table
from resemb_gnn.experiment.summary import seconds_to_best
from resemb_gnn.io.atomic import write_atomically
from resemb_gnn.io.json_text import read_json
from resemb_gnn.pipeline.facts import describe_data, versions
from resemb_gnn.pipeline.task import Task, fit_with, read_task
from resemb_gnn.settings import CompareSettings
from resemb_gnn.training import evaluate_ranking

RESULTS = Path("benchmarks/accuracy/results/search")
FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("plain", {}),
    "mlp": ("mlp", {}),
    "mlp, 32 units": ("mlp", {"num_centers": 32}),
    "mlp, 128 units": ("mlp", {"num_centers": 128}),
    "mlp:held": ("mlp:held", {}),
    "mlp:held, 100": ("mlp:held", {"shrinkage": 100.0}),
    "mlp:free": ("mlp:free", {}),
    "sign:none": ("sign:none", {}),
    "sign, 8 heads of 8": ("sign:none", {"heads": 8}),
    "sign, 8 heads of 32": ("sign:none", {"num_centers": 256, "heads": 8}),
    "sign, 16 heads of 8": ("sign:none", {"num_centers": 128, "heads": 16}),
    "sign, 32 heads of 2": ("sign:none", {"heads": 32}),
    "sign, entmax": ("sign:none", {"normalization": "entmax"}),
    "sign, entmax, 8 heads of 8": ("sign:none", {"normalization": "entmax", "heads": 8}),
    "sign, temperature .3": ("sign:none", {"temperature": 0.3}),
    "linear:free": ("linear:free", {}),
    "linear:held": ("linear:held", {}),
    "plain, softmax attention": ("plain", {"attention": "softmax"}),
    "mlp, softmax attention": ("mlp", {"attention": "softmax"}),
    "plain, softmax attention, lr .002": ("plain", {"attention": "softmax", "lr": 0.002}),
    "mlp, softmax attention, lr .002": ("mlp", {"attention": "softmax", "lr": 0.002}),
    "plain, softmax attention, lr .004": ("plain", {"attention": "softmax", "lr": 0.004}),
    "mlp, softmax attention, lr .004": ("mlp", {"attention": "softmax", "lr": 0.004}),
}
KEEP = ("auc", "gauc", "logloss")


def train(task: Task, form: str, seed: int) -> dict[str, Any]:
    """A run: its form and seed, its validation figures, and what it took."""
    name, own = FORMS[form]
    settings = task.settings
    assert isinstance(settings, CompareSettings)
    settings = replace(settings, embeddings=(name,), **own)
    model = task.make_model(name, settings, seed)
    started = time.perf_counter()
    split = replace(task.split, test=task.split.valid)  # the test examples are not for choosing
    result = fit_with(settings, model, split, seed=seed)
    found = {
        "form": form,
        "embedding": name,
        "settings": own,
        "seed": seed,
        "valid": {key: getattr(result.valid, key) for key in KEEP},
        "best_epoch": result.best_epoch,
        "curve": [{"valid": asdict(one.valid), "seconds": one.seconds} for one in result.curve],
        "seconds": time.perf_counter() - started,
    }
    if settings.ranking is not None:
        among = split.against(split.valid, int(settings.ranking))
        ranking = evaluate_ranking(model, among, max_history=settings.max_history)
        found["ranking"] = asdict(ranking)
    return found


def search(name: str, folder: Path, forms: Sequence[str], seeds: int, out: Path, line: str) -> None:
    """Trains what is missing of the forms on a set."""
    file = RunFile(out / f"{name}.json", {"command": line, "versions": versions()})
    missing = [
        (form, seed)
        for seed in range(seeds)
        for form in forms
        if not file.holds(form=form, seed=seed)
    ]
    if not missing:
        return
    options = {**SETS[name].settings, "save_predictions": False, "quiet": True}
    settings = CompareSettings(data=SETS[name].data(folder), embeddings=("gcn",), **options)
    task = read_task(settings, ["gcn"])
    file.contents.setdefault("data", describe_data(task.source, task.split))
    for form, seed in missing:
        run = train(task, form, seed)
        file.add(run)
        valid = run["valid"]
        print(
            f"{name}, {form}, seed {seed}: valid AUC {valid['auc']:.4f}, GAUC {valid['gauc']:.4f},"
            f" epoch {run['best_epoch']}, {run['seconds']:.0f} s",
            flush=True,
        )


def set_table(runs: list[dict[str, Any]]) -> list[str]:
    """The forms of a set by validation AUC, means over seeds."""
    ranked = any("ranking" in run for run in runs)
    rows = []
    for form in {run["form"]: None for run in runs}:
        own = [run for run in runs if run["form"] == form]
        parts = [("valid", key) for key in KEEP]
        parts += [("ranking", key) for key in ("hr_10", "ndcg_10") if ranked]
        figures = [mean_of(own, *part) for part in parts]
        seconds = np.mean([seconds_to_best(run) for run in own])
        cells = [form, str(len(own)), *(f"{figure:.4f}" for figure in figures), f"{seconds:.0f}"]
        rows.append((figures[0], cells))
    rows.sort(key=lambda row: -row[0])
    titles = ["form", "seeds", "AUC", "GAUC", "log loss", *(("HR@10", "NDCG@10") if ranked else ())]
    return table([*titles, "seconds to the chosen epoch"], [cells for _, cells in rows])


def report(results: Path, out: Path) -> None:
    """Writes the tables of what has been run."""
    lines = [
        "# The search",
        "",
        "Made by `python -m benchmarks.accuracy.contest.search --report` from the raw files in"
        " `results/search`: validation figures of forms of Res-embedding, trained as the contest's"
        " arms are ([rule](contest/README.md)). Test examples were not scored. Many forms were"
        " tried, so the best of a table is better here than it is: what is chosen is measured by"
        " the contest.",
        "",
    ]
    for name, data in SETS.items():
        path = results / f"{name}.json"
        if path.exists():
            lines += section(data.title, set_table(read_json(path)["runs"]))
    write_atomically(out, "\n".join(lines))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-folder", type=Path)
    parser.add_argument("--only", nargs="+", choices=SETS, default=list(SETS), help="sets")
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=list(FORMS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--report", action="store_true", help="write SEARCH.md and train nothing")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/accuracy/SEARCH.md"))
    options = parser.parse_args(argv)
    if options.report:
        report(options.results, options.out)
        return
    if options.data_folder is None:
        parser.error("--data-folder is missing")
    torch.set_num_threads(1)
    line = command("benchmarks.accuracy.contest.search", argv, options.data_folder, options.results)
    for name in options.only:
        search(name, options.data_folder, options.forms, options.seeds, options.results, line)


if __name__ == "__main__":
    main()
