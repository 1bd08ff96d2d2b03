"""The tables of `python -m benchmarks.speed`, made from its results file alone."""

from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks.tables import table
from benchmarks.timing import spread

Turns = dict[tuple[str, str], list[dict[str, Any]]]  # by group and name, in the order of rounds
OURS, PLAIN_STEP = "resemb_gnn, plain table", "plain step"
COMPILED = f"{OURS}, compiled"
REFERENCE = {
    "embeddings": "plain table",
    "full-graph": "Res, gcn",
    "models": "DIN",
    "limit": PLAIN_STEP,
    "peers-model": OURS,
    "peers-end-to-end": OURS,
    "graph": "numpy.sort of the pair keys",
    "metrics": "AUC, GAUC and log loss",
}


class Figure(NamedTuple):
    """A figure to be shown: a value a round, and its bound."""

    name: str
    bound: float
    at_most: bool
    values: Callable[[Turns], list[float]]

    def reached(self, value: float) -> bool:
        return value <= self.bound if self.at_most else value >= self.bound


def times(turns: Turns, group: str, name: str) -> list[float]:
    """Seconds a turn, or an example where a turn has examples."""
    found = [turn for (g, n), some in turns.items() if (g, n) == (group, name) for turn in some]
    return [turn["seconds"] / (turn["examples"] or 1) for turn in found]


def ratio(group: str, top: str, bottom: str) -> Callable[[Turns], list[float]]:
    """Time of one over time of the other, round by round."""

    def values(turns: Turns) -> list[float]:
        pairs = zip(times(turns, group, top), times(turns, group, bottom), strict=False)
        return [a / b for a, b in pairs]

    return values


def rates(turns: Turns) -> dict[str, list[float]]:
    """Floating-point operations a second of the contenders of ``limit``, by name."""
    return {
        name: [turn["flops"] / turn["seconds"] for turn in some]
        for (group, name), some in turns.items()
        if group == "limit"
    }


def share_of_limit(step: str) -> Callable[[Turns], list[float]]:
    """A step's rate over the best of the square products, round by round."""

    def values(turns: Turns) -> list[float]:
        found = rates(turns)
        squares = [each for name, each in found.items() if _square(name)]
        best = [max(each) for each in zip(*squares, strict=False)]
        return [a / b for a, b in zip(found.get(step, []), best, strict=False)]

    return values


def _square(name: str) -> bool:
    return name.startswith("sgemm") and len(set(name.removeprefix("sgemm ").split(" x "))) == 1


def figures(max_history: int) -> list[Figure]:
    sort = REFERENCE["graph"]
    found = [
        Figure("epoch gcn / plain", 1.10, True, ratio("embeddings", "Res, gcn", "plain table")),
        Figure(
            "epoch gcn / plain, both compiled",
            1.10,
            True,
            ratio("embeddings", "Res, gcn, compiled", "plain table, compiled"),
        ),
        Figure("epoch gat / plain", 1.35, True, ratio("embeddings", "Res, gat", "plain table")),
        Figure(
            "epoch GCNConv on the full graph / gcn",
            10,
            False,
            ratio("full-graph", "Res, GCNConv", "Res, gcn"),
        ),
    ]
    others = {
        f"FuxiCTR, padded to {max_history}": 15,
        "FuxiCTR, padded to the batch's longest": 3,
        f"DeepCTR-Torch, padded to {max_history}": 30,
        f"torch-rechub, padded to {max_history}": 30,
    }
    for group, kind in (("peers-end-to-end", "end to end"), ("peers-model", "model only")):
        found += [
            Figure(f"{ours} / {name}, {kind}", bound, False, ratio(group, name, contender))
            for ours, contender in (("our speed", OURS), ("our compiled speed", COMPILED))
            for name, bound in others.items()
        ]
    return [
        *found,
        *(
            Figure(f"share of the limit, {step}", 0.40, False, share_of_limit(step))
            for step in (PLAIN_STEP, f"{PLAIN_STEP}, compiled")
        ),
        Figure("covisit_graph / numpy.sort", 5, True, ratio("graph", "covisit_graph", sort)),
        Figure(
            "AUC, GAUC, log loss of a million, s",
            1.0,
            True,
            lambda turns: times(turns, "metrics", REFERENCE["metrics"]),
        ),
    ]


def markdown(results: dict[str, Any], clock: str = "wall") -> str:
    """All tables, by the ``wall`` clock or by the processor time of the process (``cpu``)."""
    data, settings, place = results["data"], results["settings"], results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    steps = f"{settings['epoch_steps']} steps" if settings["epoch_steps"] else "whole epochs"
    by_threads = {
        threads: _by_contender(results["turns"], threads, clock)
        for threads in dict.fromkeys(turn["threads"] for turn in results["turns"])
    }
    lines = [
        f"`{results['command']}`",
        "",
        f"{place['processor']}, {place['cores']} cores"
        + (f", {place['gpu']}" if "gpu" in place else "")
        + f"; {versions}. {data['name']}: history"
        f" {data['log']}, {data['examples']:,} training examples, {data['edges']:,} edges (both"
        f" ways). Batches of {settings['batch_size']}, histories of at most"
        f" {settings['max_history']}. {settings['rounds']} rounds; a turn is {steps} (embeddings),"
        f" {settings['slow_steps']} steps (full-graph, peers) or {settings['steps']} (limit); an"
        " epoch is reckoned from them. Median [quartiles] over the rounds, by"
        f" {'the clock' if clock == 'wall' else 'processor time (of all threads together)'}.",
        "",
        *_must_show(by_threads, settings["max_history"]),
    ]
    for threads, turns in by_threads.items():
        lines += ["", f"### {_threads(threads)}", ""]
        lines += _measured(turns, data["examples"])
    return "\n".join(lines) + "\n"


def _by_contender(turns: list[dict[str, Any]], threads: int, clock: str) -> Turns:
    found: Turns = {}
    for turn in turns:
        if turn["threads"] == threads:
            key = (turn["group"], turn["name"])
            found.setdefault(key, []).append(turn | {"seconds": turn[clock]})
    return found


def _threads(number: int) -> str:
    return f"{number} thread{'s' if number > 1 else ''}"


def _must_show(by_threads: dict[int, Turns], max_history: int) -> list[str]:
    rows = []
    for figure in figures(max_history):
        cells = []
        for turns in by_threads.values():
            values = figure.values(turns)
            if values:
                reached = "yes" if figure.reached(spread(values)[0]) else "**no**"
                cells.append(f"{_quartiles(values)} {reached}")
            else:
                cells.append("not run")
        if any(cell != "not run" for cell in cells):
            rows.append(
                [figure.name, f"{'<=' if figure.at_most else '>='} {figure.bound:g}", *cells]
            )
    return table(["figure", "bound", *map(_threads, by_threads)], rows)


def _measured(turns: Turns, epoch: int) -> list[str]:
    speed = rates(turns)
    rows = []
    for (group, name), some in turns.items():
        step = some[0]["examples"]
        milliseconds = [1e3 * turn["seconds"] for turn in some]
        each = spread(times(turns, group, name))[0]
        cells = [
            group,
            name,
            f"{some[0]['parameters']:,}" if some[0]["parameters"] else "",
            _quartiles(milliseconds),
            f"{1 / each:,.0f}" if step else "",
            f"{epoch * each:.2f}" if step else "",
            f"{spread(speed[name])[0] / 1e9:.1f}" if group == "limit" else "",
            _quartiles(ratio(group, name, REFERENCE[group])(turns)) if group != "limit" else "",
        ]
        rows.append(cells)
    titles = ["group", "contender", "learnable numbers", "ms", "examples a second", "epoch, s"]
    return table([*titles, "GFLOP/s", "time / reference"], rows)


def _quartiles(values: list[float]) -> str:
    middle, low, high = (_short(value) for value in spread(values))
    return f"{middle} [{low}, {high}]"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
