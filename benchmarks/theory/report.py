"""Tables (README.md) and pictures of this question, made from its results files alone."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.tables import table
from benchmarks.theory.figures import long_figure, radius_figure, recovery_figure
from benchmarks.theory.runs import LONG
from benchmarks.theory.statistics import Runs, by_dial, by_seed, group, mean, pooled, spearman
from resemb_gnn.io.json_text import read_json
from resemb_gnn.io.text_tables import NONE

RADII = {"rms": "rms", "largest": "largest distance", "ball": "enclosing ball"}
DIALS = {"residual": "residual, centres fixed", "num_centers": "centres, residual fixed"}
PART = ("users", "epochs", "folds")
CORRELATION = (
    "All runs: Spearman's correlation of the rms radius with a measure over all runs"
    " (configuration times seed), 95 % interval by percentile bootstrap over runs. By seed: the"
    " correlation over the configurations of each seed, averaged, 95 % t-interval over seeds."
    " A seed of `world` is a world of its own; a seed of a file is another start on the same data."
)


def draw(out: Path) -> None:
    for title, stem, runs in _radius_parts(out):
        if runs[0]["folds"] == 1:
            continue
        radius_figure(runs, title, out / f"radius-{stem}.png")
    recovery = _load(out, "recovery-world")
    if recovery:
        recovery_figure(recovery, out / "recovery.png")
    for title, stem, runs in _parts(out, "long"):
        for measure, label in (("gap", "generalisation gap (nats)"), ("test_auc", "test AUC")):
            path = out / f"long-{measure.replace('_', '-')}-{stem}.png"
            long_figure(
                runs, measure, label, f"{_capital(label.split(' (')[0])} by epoch\n{title}", path
            )


def markdown(out: Path) -> str:
    parts = ["# The theory, measured", _commands(out), *_radius(out), *_recovery(out), *_long(out)]
    return "\n\n".join(parts) + "\n"


def _commands(out: Path) -> str:
    results = [read_json(path) for path in sorted(out.glob("*.json"))]
    lines = [line for each in results for line in each["commands"]]
    versions = results[0]["versions"] if results else {}
    text = ", ".join(f"{name} {value}" for name, value in versions.items() if value)
    return "\n".join(["```", *lines, "```", "", f"CPU, one thread; {text}."])


def _radius(out: Path) -> Iterator[str]:
    parts = list(_radius_parts(out))
    if not parts:
        return
    yield "## Radius against gap"
    yield CORRELATION
    yield _table(
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
    yield _table(
        ["data", *DIALS.values(), *RADII.values()],
        [
            [title]
            + [_signs(by_dial(runs, "gap", dial)) for dial in DIALS]
            + [f"{spearman(runs, 'gap', radius):.3f}" for radius in RADII]
            for title, _, runs in parts
        ],
    )
    yield from _folds(parts)
    for title, _, runs in parts:
        yield f"{title}, mean over seeds:"
        yield _table(
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
        yield _table(
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


def _recovery(out: Path) -> Iterator[str]:
    runs = _load(out, "recovery-world")
    if not runs:
        return
    yield "## Planted interests found again"
    yield "NMI with the planted interests, mean and 95 % t-interval over seeds (a world each)."
    by_users = group(runs, lambda run: run["users"])
    names = list(runs[0]["agreement"])
    yield _table(
        ["users", *names],
        [
            [f"{some[0]['users']:,}"]
            + [str(mean([run["agreement"][name]["nmi"] for run in some])) for name in names]
            for some in by_users
        ],
    )
    yield (
        "Test AUC (fresh users) of Res-embedding with 64 centres, and of a plain table; Bayes on"
        " the same rows. Points are hundredths of AUC below Bayes."
    )
    yield _table(
        ["users", "Bayes", "Res-embedding", "points below Bayes", "plain", "points below Bayes"],
        [
            [f"{some[0]['users']:,}", _mean(some, "bayes_auc")]
            + [
                text
                for name in ("test_auc", "plain_test_auc")
                for text in (_mean(some, name), _points(some, name))
            ]
            for some in by_users
        ],
    )


def _long(out: Path) -> Iterator[str]:
    parts = list(_parts(out, "long"))
    if not parts:
        return
    yield "## Long training, without early stopping"
    yield (
        "The weight of the L2 penalty was chosen by validation log loss after the last epoch; in"
        " the interest-delay model on worlds of seeds that no other result is from."
    )
    for title, _, tuned in _parts(out, "tune"):
        yield f"{title}, plain table with L2:"
        yield _table(
            [
                *("L2", "seeds", "validation log loss, last epoch", "validation AUC, last epoch"),
                "validation AUC, best epoch",
            ],
            [
                [f"{some[0]['arm']['l2']:g}", str(len(some))]
                + [_mean(some, name) for name in ("valid_logloss", "valid_auc", "best_valid_auc")]
                for some in sorted(
                    group(tuned, lambda run: run["arm"]), key=lambda some: some[0]["arm"]["l2"]
                )
            ],
        )
    for title, _, runs in parts:
        arms = [(name, [r for r in runs if r["arm"]["embedding"] == name]) for name in LONG]
        arms = [(name, some) for name, some in arms if some]
        last = len(runs[0]["gap"])
        yield f"{title}: mean and 95 % t-interval over seeds."
        yield _table(
            [
                *("embedding", "seeds", "gap, epoch 1", f"gap, epoch {last}"),
                *("best test AUC of any epoch", f"test AUC, epoch {last}"),
            ],
            [
                [
                    name,
                    str(len(some)),
                    str(mean([run["gap"][0] for run in some])),
                    str(mean([run["gap"][-1] for run in some])),
                    str(mean([max(run["test_auc"]) for run in some])),
                    str(mean([run["test_auc"][-1] for run in some])),
                ]
                for name, some in arms
            ],
        )


def _radius_parts(out: Path) -> Iterator[tuple[str, str, Runs]]:
    for title, stem, runs in _parts(out, "radius"):
        if len(runs) > 2:
            yield title, stem, runs


def _parts(out: Path, question: str) -> Iterator[tuple[str, str, Runs]]:
    """Runs of equal data, amount of data, epochs and folds: title, part of a file's name, runs."""
    for path in sorted(out.glob(f"{question}-*.json"), reverse=True):
        name = path.stem.removeprefix(f"{question}-")
        parts = group(_load(out, path.stem), lambda run: [run[key] for key in PART])
        for runs in sorted(parts, key=lambda runs: (-runs[0]["folds"], runs[0]["users"] or 0)):
            users, epochs, folds = (runs[0][key] for key in PART)
            title = "Interest-delay model" if name == "world" else name.replace("_", " ")
            title += f", {users:,} users" if users else ""
            stem = name + (f"-{users}" if users else "")
            if folds == 1:
                title, stem = f"{title}, one graph", f"{stem}-one-graph"
            yield f"{title}, {epochs} epochs", stem, runs


def _load(out: Path, name: str) -> Runs:
    path = out / f"{name}.json"
    runs: Runs = read_json(path)["runs"] if path.exists() else []
    return runs


def _mean(runs: Runs, name: str) -> str:
    return f"{np.mean([run[name] for run in runs]):.4f}"


def _points(runs: Runs, name: str) -> str:
    found = mean([100 * (run["bayes_auc"] - run[name]) for run in runs])
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _signs(values: list[float]) -> str:
    if not values:
        return NONE
    return f"{np.mean(values):.2f} ({np.mean(np.array(values) > 0):.0%})"


def _table(titles: list[str], rows: list[list[str]]) -> str:
    return "\n".join(table(titles, rows))
