"""The tables of engines.py, made of its results files."""

from pathlib import Path
from typing import Any

from benchmarks.tables import table
from resemb_gnn.io.json_text import read_json

GIB = 2**30


def markdown(folder: Path) -> str:
    """Both questions' results, as far as they are there."""
    parts = []
    for question in ("same", "large"):
        path = folder / f"{question}.json"
        if path.exists():
            parts.append(_section(read_json(path)))
    return "\n".join(parts)


def _section(results: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {value}" for name, value in results["versions"].items())
    limits = f"{results['memory_limit_bytes'] / GIB:.3g} GiB for DuckDB and for Java"
    if results["hard_limit_bytes"]:
        limits += f"; {results['hard_limit_bytes'] / GIB:.3g} GiB for the process, by the kernel"
    machine = results["machine"]
    runs = [
        [
            run["engine"],
            f"{run['engine_seconds']:,.0f}",
            f"{results['behaviors'] / run['engine_seconds']:,.0f}",
            "Java's not counted" if run["engine"] == "Spark" else f"{run['cpu']:,.0f}",
            f"{run['peak_bytes'] / GIB:.2f}",
            f"{run['disk_bytes'] / 1e9:.2f}",
            f"{run['result_bytes'] / 1e9:.2f}",
        ]
        for run in results["runs"]
    ]
    checks = [
        [
            name.replace("_", " "),
            ("yes" if value else "NO") if isinstance(value, bool) else f"{value:,.0f}",
        ]
        for name, value in results.get("check", {}).items()
    ]
    titles = ["engine", "seconds", "behaviours a second", "seconds of processor"]
    titles += ["peak memory, GiB", "disk for parts and spill, GB", "result, GB"]
    lines = [
        f"`{results['command']}`",
        "",
        f"{machine['processor']}, {machine['cores']} cores, {results['threads']} threads, load"
        f" average {results['load_average_at_start']:.1f} at the start; {versions}."
        f" Limits: {limits}.",
        "",
        f"{results['behaviors']:,} behaviours, {results['log_bytes'] / 1e9:.2f} GB of Parquet:",
        "",
        *table(titles, runs),
        "",
        *table(["check", "found"], checks),
    ]
    return "\n".join(lines) + "\n"
