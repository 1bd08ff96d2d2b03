"""Tables (README.md) and pictures of this question, made from its results files alone."""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.theory.capacity_report import capacity_section
from benchmarks.theory.figures import capacity_figure, long_figure, radius_figure, recovery_figure
from benchmarks.theory.parts import mean_of, read_parts, read_runs, text_table
from benchmarks.theory.radius_report import radius_parts, radius_section
from benchmarks.theory.runs import LONG
from benchmarks.theory.statistics import Runs, group, mean
from resemb_gnn.io.json_text import read_json


def draw(out: Path) -> None:
    for title, stem, runs in radius_parts(out):
        if runs[0]["folds"] == 1:
            continue
        radius_figure(runs, title, out / f"radius-{stem}.png")
    for title, stem, runs in read_parts(out, "capacity"):
        capacity_figure(runs, f"Radius and capacity\n{title}", out / f"capacity-{stem}.png")
    recovery = read_runs(out, "recovery-world")
    if recovery:
        recovery_figure(recovery, out / "recovery.png")
    for title, stem, runs in read_parts(out, "long"):
        for measure, label in (("gap", "generalisation gap (nats)"), ("test_auc", "test AUC")):
            path = out / f"long-{measure.replace('_', '-')}-{stem}.png"
            long_figure(
                runs, measure, label, f"{_capital(label.split(' (')[0])} by epoch\n{title}", path
            )


def markdown(out: Path) -> str:
    questions = (radius_section, capacity_section, _recovery, _long)
    text = ["# The theory, measured", _commands(out)]
    return "\n\n".join([*text, *(part for each in questions for part in each(out))]) + "\n"


def _commands(out: Path) -> str:
    results = [read_json(path) for path in sorted(out.glob("*.json"))]
    lines = [line for each in results for line in each["commands"]]
    versions = results[0]["versions"] if results else {}
    text = ", ".join(f"{name} {value}" for name, value in versions.items() if value)
    return "\n".join(["```", *lines, "```", "", f"CPU, one thread; {text}."])


def _recovery(out: Path) -> Iterator[str]:
    runs = read_runs(out, "recovery-world")
    if not runs:
        return
    yield "## Planted interests found again"
    yield "NMI with the planted interests, mean and 95 % t-interval over seeds (a world each)."
    by_users = group(runs, lambda run: run["users"])
    names = list(runs[0]["agreement"])
    yield text_table(
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
    yield text_table(
        ["users", "Bayes", "Res-embedding", "points below Bayes", "plain", "points below Bayes"],
        [
            [f"{some[0]['users']:,}", mean_of(some, "bayes_auc")]
            + [
                text
                for name in ("test_auc", "plain_test_auc")
                for text in (mean_of(some, name), _points(some, name))
            ]
            for some in by_users
        ],
    )


def _long(out: Path) -> Iterator[str]:
    parts = list(read_parts(out, "long"))
    if not parts:
        return
    yield "## Long training, without early stopping"
    yield (
        "The weight of the L2 penalty was chosen by validation log loss after the last epoch; in"
        " the interest-delay model on worlds of seeds that no other result is from."
    )
    for title, _, tuned in read_parts(out, "tune"):
        yield f"{title}, plain table with L2:"
        yield text_table(
            [
                *("L2", "seeds", "validation log loss, last epoch", "validation AUC, last epoch"),
                "validation AUC, best epoch",
            ],
            [
                [f"{some[0]['arm']['l2']:g}", str(len(some))]
                + [mean_of(some, name) for name in ("valid_logloss", "valid_auc", "best_valid_auc")]
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
        yield text_table(
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


def _points(runs: Runs, name: str) -> str:
    found = mean([100 * (run["bayes_auc"] - run[name]) for run in runs])
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
