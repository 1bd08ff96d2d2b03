"""Which form of Res-embedding deserves to be the default? Chosen on validation alone.

    python benchmarks/forms.py --data-folder ../shared/data --only beauty-uniform-din
    python benchmarks/forms.py --data-folder ../shared/data --forms default sharp --seeds 3

Each form is a set of settings of the arm `gcn` (or `centers-only`), trained as `research.py` trains
its DIN cells; a run is worth its best validation AUC, and test examples are not scored. Runs stand
in OUT/CELL.json as they end, and a search goes on where that file ends.
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

from research import cells
from tuning import train

from resemb_gnn.datasets import load_source
from resemb_gnn.experiment import CompareSettings
from resemb_gnn.experiment.comparison import make_graph
from resemb_gnn.experiment.results import versions, write_atomically

WIDE = {"num_centers": 512, "temperature": 0.6, "center_std": 0.04}
FORMS: dict[str, tuple[str, dict[str, float | str | bool]]] = {
    "default": ("gcn", {}),
    "default, centres only": ("centers-only", {}),
    "wide": ("gcn", WIDE),
    "wide, centres only": ("centers-only", WIDE),
    "wide, 4 heads": ("gcn", WIDE | {"heads": 4}),
    "wide, entmax": ("gcn", WIDE | {"normalization": "entmax"}),
    "wide, shrinkage 100": ("gcn", WIDE | {"shrinkage": 100.0}),
    "wide, shrinkage 100, penalty 3": ("gcn", WIDE | {"shrinkage": 100.0, "residual_penalty": 3.0}),
    "wide, shrinkage learnt": ("gcn", WIDE | {"learn_shrinkage": True}),
    "wide, residual's rate 0.1": ("gcn", WIDE | {"shrinkage": 100.0, "residual_lr": 0.1}),
    "sharp": ("gcn", {"num_centers": 256, "temperature": 0.2}),
    "signed": ("gcn", {"normalization": "signed"}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-folder", type=Path, required=True)
    names = [name for name in cells() if name.endswith("-din")]
    parser.add_argument("--only", nargs="+", choices=names, default=["beauty-uniform-din"])
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=list(FORMS))
    parser.add_argument("--lr", type=float, default=1.5e-3, help="the same for every form")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/forms"))
    options = parser.parse_args()
    for name in options.only:
        cell = cells()[name]
        data = cell.path(options.data_folder)
        negatives = "popularity" if "popularity" in cell.flags else "uniform"
        settings = CompareSettings(
            data=data, negatives=negatives, lr=options.lr, compile=True, quiet=True
        )
        source = load_source(data)
        category = source.log.item_category
        split = source.make_split(settings.split, negatives)
        task = (split, make_graph(source, split, settings), category)
        path = options.out / f"{name}.json"
        done = json.loads(path.read_text())["runs"] if path.exists() else []
        made = {(run["form"], run["seed"], run["lr"]) for run in done}
        for seed in range(options.seeds):
            for form in options.forms:
                if (form, seed, options.lr) in made:
                    continue
                arm, own = FORMS[form]
                tried = replace(settings, override=tuple(f"{arm}.{k}={v}" for k, v in own.items()))
                record = {"form": form, "seed": seed, "lr": options.lr, "settings": own}
                done.append(record | train(arm, tried, *task, seed=seed))
                contents = {"cell": name, "versions": versions(), "runs": done}
                write_atomically(path, json.dumps(contents, indent=1) + "\n")
                print(name, done[-1], file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
