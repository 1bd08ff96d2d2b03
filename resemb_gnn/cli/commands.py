"""The commands: one thin function each, over settings that are read and checked."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from resemb_gnn.cli.graph import GraphCommandSettings, run_graph
from resemb_gnn.experiment import CompareSettings, compare


@dataclass(frozen=True)
class Command:
    """A command of the program.

    Args:
        run: does it, given its settings.
        settings: the dataclass that flags and settings file are read into.
        help: a line on what it does.
        description: two.
        positional: the setting that is given by its place.
    """

    run: Callable[[Any], None]
    settings: type
    help: str
    description: str
    positional: str = ""


def run_compare(settings: CompareSettings) -> None:
    """``resemb-gnn compare``."""
    from resemb_gnn.experiment.report import text_table

    results = compare(settings, log=say)
    print(text_table(results))
    print(f"\n{settings.out}/report.html, results.md and results.json hold the whole of it.")


def say(line: str) -> None:
    """A line on what happens, beside the output."""
    print(line, file=sys.stderr, flush=True)


COMMANDS = {
    "compare": Command(
        run_compare,
        CompareSettings,
        "train embeddings side by side and report",
        "Trains a click model with each embedding over several seeds on the same examples, and"
        " writes results.json, results.md and report.html.",
    ),
    "graph": Command(
        run_graph,
        GraphCommandSettings,
        "build the co-visit graph and describe it",
        "Builds the co-visit graph of the training behaviours and prints its size, degrees,"
        " weights and components; --out writes its edges as Parquet.",
    ),
}
