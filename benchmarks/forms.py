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
from resemb_gnn.experiment.results import versions, write_atomically
from resemb_gnn.pipeline.steps import make_graph

WIDE = {"num_centers": 512, "temperature": 0.6, "center_std": 0.04}
FORMS: dict[str, tuple[str, dict[str, float | str | bool]]] = {
    "default": ("gcn", {}),
    "centres only": ("centers-only", {}),
    "shrinkage 100": ("gcn", {"shrinkage": 100.0}),
    "shrinkage 100, penalty 0.3": ("gcn", {"shrinkage": 100.0, "residual_penalty": 0.3}),
    "shrinkage 100, penalty 3": ("gcn", {"shrinkage": 100.0, "residual_penalty": 3.0}),
    "shrinkage 30, penalty 3": ("gcn", {"shrinkage": 30.0, "residual_penalty": 3.0}),
    "shrinkage learnt": ("gcn", {"learn_shrinkage": True}),
    "shrinkage 100, residual's rate 0.1": ("gcn", {"shrinkage": 100.0, "residual_lr": 0.1}),
    "shrinkage 100, residual decays": ("gcn", {"shrinkage": 100.0, "residual_decay": 1e-3}),
    "free residual": ("gcn", {"shrinkage": 0.0, "residual_penalty": 0.0}),
    "4 heads": ("gcn", {"heads": 4}),
    "entmax": ("gcn", {"normalization": "entmax"}),
    "signed": ("gcn", {"normalization": "signed"}),
    "sharp": ("gcn", {"num_centers": 256, "temperature": 0.2}),
    "wide": ("gcn", WIDE),
    "wide, centres only": ("centers-only", WIDE),
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
    for cell_name in options.only:
        cell = cells()[cell_name]
        data = cell.path(options.data_folder)
        negatives = "popularity" if "popularity" in cell.flags else "uniform"
        settings = CompareSettings(
            data=data, negatives=negatives, lr=options.lr, compile=True, quiet=True
        )
        source = load_source(data)
        category = source.log.item_category
        split = source.make_split(settings.split, negatives)
        task = (split, make_graph(source, split, settings), category)
        path = options.out / f"{cell_name}.json"
        done = json.loads(path.read_text())["runs"] if path.exists() else []
        made = {(run["form"], run["seed"], run["lr"]) for run in done}
        for seed in range(options.seeds):
            for form in options.forms:
                if (form, seed, options.lr) in made:
                    continue
                arm, own = FORMS[form]
                tried = replace(
                    settings,
                    override=tuple(
                        f"{arm}.{name}={str(value).lower()}" for name, value in own.items()
                    ),
                )
                record = {"form": form, "seed": seed, "lr": options.lr, "settings": own}
                done.append(record | train(arm, tried, *task, seed=seed))
                contents = {"cell": cell_name, "versions": versions(), "runs": done}
                write_atomically(path, json.dumps(contents, indent=1) + "\n")
                print(cell_name, done[-1], file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
