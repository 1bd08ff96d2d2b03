"""The table of benchmarks/engines.py, made of its results files."""

import json
from pathlib import Path
from typing import Any

GIB = 2**30


def markdown(folder: Path) -> str:
    """Both questions' results, as far as they are there."""
    parts = []
    for question in ("same", "large"):
        path = folder / f"{question}.json"
        if path.exists():
            parts.append(_section(json.loads(path.read_text())))
    return "\n".join(parts)


def _section(results: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {value}" for name, value in results["versions"].items())
    limits = f"{results['memory_limit_bytes'] / GIB:.3g} GiB for DuckDB and for Java"
    if results["hard_limit_bytes"]:
        limits += f"; {results['hard_limit_bytes'] / GIB:.3g} GiB for the process, by the kernel"
    machine = results["machine"]
    lines = [
        f"`{results['command']}`",
        "",
        f"{machine['processor']}, {machine['cores']} cores, {results['threads']} threads, load"
        f" average {results['load_average_at_start']:.1f} at the start; {versions}."
        f" Limits: {limits}.",
        "",
        f"{results['behaviors']:,} behaviours, {results['log_bytes'] / 1e9:.2f} GB of Parquet:",
        "",
        "| engine | seconds | behaviours a second | seconds of processor | peak memory, GiB |"
        " disk for parts and spill, GB | result, GB |",
        "|---|---|---|---|---|---|---|",
    ]
    for run in results["runs"]:
        cpu = "Java's not counted" if run["engine"] == "Spark" else f"{run['cpu']:,.0f}"
        lines.append(
            f"| {run['engine']} | {run['engine_seconds']:,.0f} |"
            f" {results['behaviors'] / run['engine_seconds']:,.0f} | {cpu} |"
            f" {run['peak_bytes'] / GIB:.2f} | {run['disk_bytes'] / 1e9:.2f} |"
            f" {run['result_bytes'] / 1e9:.2f} |"
        )
    lines += ["", "| check | found |", "|---|---|"]
    for name, value in results.get("check", {}).items():
        shown = ("yes" if value else "NO") if isinstance(value, bool) else f"{value:,.0f}"
        lines.append(f"| {name.replace('_', ' ')} | {shown} |")
    return "\n".join(lines) + "\n"
