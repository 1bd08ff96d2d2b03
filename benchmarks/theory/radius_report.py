"""The tables of ``radius``."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.theory.parts import read_parts, text_table
from benchmarks.theory.statistics import Runs, by_dial, by_seed, group, mean, pooled, spearman
from resemb_gnn.io.text_tables import NONE

RADII = {"rms": "rms", "largest": "largest distance", "ball": "enclosing ball"}
DIALS = {"residual": "residual, centres fixed", "num_centers": "centres, residual fixed"}
CORRELATION = (
    "All runs: Spearman's correlation of the rms radius with a measure over all runs"
    " (configuration times seed), 95 % interval by percentile bootstrap over runs. By seed: the"
    " correlation over the configurations of each seed, averaged, 95 % t-interval over seeds."
    " A seed of `world` is a world of its own; a seed of a file is another start on the same data."
)
NAMES = {
    "rms": "radius",
    "largest": "largest distance",
    "residual_share": "residual share",
    "num_centers": "centres",
}
CORRELATED = (  # with the gap: a figure, and what is held fixed
    ("residual_share",),
    ("residual_share", "rms"),
    ("rms", "residual_share"),
    ("rms", "num_centers"),
    ("num_centers", "rms"),
    ("largest", "rms"),
)
PARTIAL = (
    "Which of them tracks the gap? Spearman's correlation with the gap, and the partial one where"
    " another figure is given: that of what is left of both ranks when this one's are taken out by"
    " least squares. Intervals as above. By seed, a seed in which share and gap rank all runs alike"
    " is left out: it leaves the radius nothing to explain."
)


def radius_section(out: Path) -> Iterator[str]:
    parts = list(radius_parts(out))
    if not parts:
        return
    yield "## Radius against gap"
    yield CORRELATION
    yield text_table(
        [
            *("data", "runs", "seeds", "radius and gap, all runs", "by seed"),
            *("radius and gap of AUC, all runs", "radius and test AUC, all runs"),
        ],
        [
            [
                title,
                str(len(runs)),
                str(len({run["seed"] for run in runs})),
                str(pooled(runs, "gap")),
                str(by_seed(runs, "gap")),
                str(pooled(runs, "auc_gap")),
                str(pooled(runs, "test_auc")),
            ]
            for title, _, runs in parts
        ],
    )
    yield (
        "One dial at a time: Spearman's correlation of radius and gap over the settings of one"
        " dial, mean over seeds and settings of the other, and in brackets the share of them in"
        " which it is above zero. Last columns: the correlation over all runs by other measures of"
        " the radius."
    )
    yield text_table(
        ["data", *DIALS.values(), *RADII.values()],
        [
            [title]
            + [_signs(by_dial(runs, "gap", dial)) for dial in DIALS]
            + [f"{spearman(runs, 'gap', radius):.3f}" for radius in RADII]
            for title, _, runs in parts
        ],
    )
    yield PARTIAL
    yield text_table(
        ["data", "over", *(", given ".join(NAMES[name] for name in names) for names in CORRELATED)],
        [
            [title, over, *(str(found(runs, "gap", *names)) for names in CORRELATED)]
            for title, _, runs in parts
            for over, found in (("all runs", pooled), ("by seed", by_seed))
        ],
    )
    yield from _folds(parts)
    for title, _, runs in parts:
        yield f"{title}, mean over seeds:"
        yield text_table(
            ["residual", "centres", "radius", "residual share", "gap", "gap of AUC", "test AUC"],
            [
                [some[0]["arm"]["residual"], str(some[0]["arm"]["num_centers"])]
                + [
                    f"{np.mean([run[name] for run in some]):.3f}"
                    for name in ("rms", "residual_share", "gap", "auc_gap", "test_auc")
                ]
                for some in group(runs, lambda run: run["arm"])
            ],
        )


def _folds(parts: list[tuple[str, str, Runs]]) -> Iterator[str]:
    """The same runs with the graph in folds and with one graph, side by side."""
    every = [run for _, _, runs in parts for run in runs]
    for one_graph in group([run for run in every if run["folds"] == 1], lambda r: r["users"]):
        keys = [
            {name: run[name] for name in ("users", "seed", "epochs", "arm")} for run in one_graph
        ]
        pairs = [
            (run, other)
            for run, key in zip(one_graph, keys, strict=True)
            for other in every
            if other["folds"] > 1 and key.items() <= other.items()
        ]
        seeds = sorted({run["seed"] for run in one_graph})
        more = mean([one["gap"] - folds["gap"] for one, folds in pairs])
        yield (
            f"Graph in folds / one full graph, which training examples had a part in"
            f" ({one_graph[0]['users']:,} users, seeds {', '.join(map(str, seeds))}): with one"
            f" graph the gap is larger by {more.value:.3f} on average."
        )
        yield text_table(
            ["residual", "radius", "gap", "test AUC"],
            [
                [some[0][0]["arm"]["residual"]]
                + [
                    " / ".join(f"{np.mean([pair[i][name] for pair in some]):.3f}" for i in (1, 0))
                    for name in ("rms", "gap", "test_auc")
                ]
                for some in group(pairs, lambda pair: pair[0]["arm"]["residual"])
            ],
        )


def radius_parts(out: Path) -> Iterator[tuple[str, str, Runs]]:
    for title, stem, runs in read_parts(out, "radius"):
        if len(runs) > 2:
            yield title, stem, runs


def _signs(values: list[float]) -> str:
    if not values:
        return NONE
    return f"{np.mean(values):.2f} ({np.mean(np.array(values) > 0):.0%})"
