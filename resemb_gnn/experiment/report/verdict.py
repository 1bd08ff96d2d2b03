"""What a comparison says, in words: who is ahead, what is open, and what to doubt."""

import math
from collections.abc import Iterable

from resemb_gnn.experiment.report.columns import difference_cell, format_number
from resemb_gnn.experiment.summary import (
    Contrast,
    Difference,
    Results,
    baseline_of,
    by_embedding,
    contrasts,
    number,
    several_seeds,
    summary,
)

Line = tuple[str, str]
_SIZES = {
    "test_examples": "test examples",
    "num_users": "users",
    "num_items": "items",
    "num_behaviors": "behaviours",
}


def verdict(results: Results) -> list[Line]:
    """Lines to read before any table, each with what it is about: differences of test AUC to
    the baseline, sorted by whether their interval tells a direction; embeddings that chose the last
    epoch they were allowed; and how large the test is. None before a run has ended.
    """
    if not results["runs"]:
        return []
    found = [row for row in contrasts(results) if not math.isnan(_auc(row).mean)]
    base = baseline_of(results)
    lines = _directions(found, base) if found else [_no_difference(results, base)]
    return [*lines, *_over_users(found), *_cut_short(results), *_size(results)]


def _directions(found: list[Contrast], baseline: str) -> list[Line]:
    pairs = [_auc(row) for row in found]
    over = "in test AUC [95 % interval over seeds]"
    settled = {
        f"Ahead of {baseline} {over}": [one.low > 0 for one in pairs],
        f"Behind {baseline} {over}": [one.high < 0 for one in pairs],
        f"Undecided {over}: zero lies in it": [one.low <= 0 <= one.high for one in pairs],
        f"Test AUC less that of {baseline}, one seed": [math.isnan(one.low) for one in pairs],
    }
    return [
        (title, _listed(row for row, is_so in zip(found, which, strict=True) if is_so))
        for title, which in settled.items()
        if any(which)
    ]


def _listed(rows: Iterable[Contrast]) -> str:
    """The embeddings with their differences, the largest first."""
    ordered = sorted(rows, key=lambda row: -_auc(row).mean)
    return "; ".join(f"{row.embedding} {difference_cell(_auc(row)).text}" for row in ordered)


def _no_difference(results: Results, baseline: str) -> Line:
    best = max(summary(results), key=lambda row: (row.test_auc.mean > 0, row.test_auc.mean))
    reached = format_number(best.test_auc.mean, ".4f")
    figure = "mean test AUC" if several_seeds(results) else "test AUC"
    says = f"no embedding shares a seed with {baseline}, the baseline; the highest {figure} is"
    return "No difference", f"{says} {reached}, of {best.embedding}"


def _over_users(found: list[Contrast]) -> list[Line]:
    """Whether what is settled over seeds is so over users, where the runs kept predictions."""
    known = {row.embedding: row.over_users["auc"] for row in found if "auc" in row.over_users}
    if not known:
        return []
    crossing = [name for name, one in known.items() if one.low <= 0 <= one.high]
    unknown = [name for name, one in known.items() if math.isnan(one.low)]
    says = f"zero lies in that of {', '.join(crossing)}" if crossing else "zero lies in none"
    if unknown:  # some draw of few users has one label alone
        says = f"too few users for one of {', '.join(unknown)}" + (
            "" if len(unknown) == len(known) else f"; of the others, {says}"
        )
    return [("Intervals of these over users", says)]


def _cut_short(results: Results) -> list[Line]:
    """Which embeddings chose the epoch at which they had to stop."""
    most = results["settings"].get("epochs")
    if not isinstance(most, int):
        return []
    parts = []
    for name, runs in by_embedding(results).items():
        last = sum(most <= number(run, "best_epoch") == number(run, "epochs") for run in runs)
        if last:
            parts.append(f"{name} in {last} of {len(runs)} {'run' if len(runs) == 1 else 'runs'}")
    says = f"more --epochs than {most} may gain, the best was the last one: {'; '.join(parts)}"
    return [("Cut short", says)] if parts else []


def _size(results: Results) -> list[Line]:
    data = results["data"]
    known = [
        f"{data[key]:,} {word}" for key, word in _SIZES.items() if isinstance(data.get(key), int)
    ]
    return [("Size", ", ".join(known))] if known else []


def _auc(row: Contrast) -> Difference:
    return row.over_seeds["auc"]
