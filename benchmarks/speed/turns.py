"""Turns of contenders in alternation, and the file that keeps every one."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.timing import Contender, alternate, machine
from resemb_gnn.io.json_text import write_json
from resemb_gnn.pipeline.facts import versions


def timed(
    contenders: list[Contender], rounds: int, out: Path, **head: Any
) -> dict[str, "np.ndarray"]:
    """Seconds of processor work of each contender, by its name, ``[rounds]``. Every turn goes to
    the file, behind the command, machine, versions and what else ``head`` holds.
    """
    found: dict[str, list[float]] = {one.name: [] for one in contenders}
    turns = []
    for number, one, wall, cpu in alternate(contenders, rounds):
        found[one.name].append(cpu)
        turns.append({"name": one.name, "round": number, "wall": wall, "cpu": cpu})
    about = {"command": head.pop("command"), "machine": machine(), "versions": versions()}
    out.parent.mkdir(parents=True, exist_ok=True)
    write_json(out, about | head | {"turns": turns})
    return {name: np.array(seconds) for name, seconds in found.items()}
