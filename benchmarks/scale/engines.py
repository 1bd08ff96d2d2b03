"""Do DuckDB and Spark count the co-visits that the in-memory builder counts, and at what cost?

    python -m benchmarks.scale.engines same     # needs the extras engines and spark, Java 17
    python -m benchmarks.scale.engines large    # needs the extra engines

``same``: one synthetic log, the in-memory builder, DuckDB and Spark (or some of them) one after
another, each in a process of its own; the graphs are compared number by number. ``large``: a log of
50 million behaviours by DuckDB, in a process whose writable memory the kernel limits
(RLIMIT_DATA); the edges are then checked against a count of all pairs by NumPy, which shares no
code with them.

Seconds are by the clock, ``cpu`` of the processor's work (Spark's Java not included), peaks are
those of the resident memory, of the process and the Java it starts. Linux only.
"""

import argparse
import contextlib
import json
import os
import resource
import tempfile
import threading
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import resemb_gnn as rg
from benchmarks import timing
from benchmarks.runs import command
from benchmarks.scale.engines_check import WINDOW, check_large, check_same
from benchmarks.scale.engines_tables import GIB, markdown
from benchmarks.synthetic_log import write_synthetic_log
from resemb_gnn.io.atomic import write_atomically
from resemb_gnn.io.json_text import write_json
from resemb_gnn.pipeline.facts import versions

PACKAGES = {"DuckDB": ("ibis-framework", "duckdb"), "Spark": ("ibis-framework", "pyspark")}


def in_memory(log: Path, out: Path, args: argparse.Namespace) -> None:
    behaviors = rg.BehaviorLog.from_frame(log, "user", "item", "time")
    torch.save(rg.covisit_graph(behaviors, WINDOW).to_dict(), out)


def duckdb(log: Path, out: Path, args: argparse.Namespace) -> None:
    work = out.with_name(out.name + ".work")
    limit = int(args.memory_limit * GIB)
    options = {"memory_limit": limit, "threads": args.threads, "temp_directory": work}
    rg.write_covisit_graph(log, out, "user", "item", "time", WINDOW, **options)


def spark(log: Path, out: Path, args: argparse.Namespace) -> None:
    import ibis
    from pyspark.sql import SparkSession

    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    builder = SparkSession.builder.master(f"local[{args.threads}]")
    for name, value in {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": f"{int(args.memory_limit * 1024)}m",
        "spark.ui.enabled": "false",
        "spark.local.dir": str(out.with_name(out.name + ".work")),
    }.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.read.parquet(str(log)).createOrReplaceTempView("log")
    backend = ibis.pyspark.connect(session)
    edges = rg.covisit_edges(backend.table("log"), "user", "item", "time", WINDOW)
    backend.to_parquet(edges, str(out))
    session.stop()


ENGINES = {"in memory": in_memory, "DuckDB": duckdb, "Spark": spark}


def tree(pid: int) -> set[int]:
    """A process and all that it started."""
    found = {pid}
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found |= tree(int(child))
    return found


def resident(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    line = next((line for line in status.splitlines() if line.startswith("VmRSS:")), "VmRSS: 0 kB")
    return 1024 * int(line.split()[1])


def bytes_in(folder: Path) -> int:
    total = 0
    for file in folder.rglob("*"):
        try:
            total += file.stat().st_size if file.is_file() else 0
        except OSError:  # deleted meanwhile
            continue
    return total


def measure(engine: str, log: Path, out: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Runs an engine in a process of its own; samples memory and disk twice a second."""
    work = out.with_name(out.name + ".work")
    words = [args.question, "--worker", engine, log, out]
    words += ["--threads", args.threads, "--memory-limit", args.memory_limit]
    if args.hard_limit:
        words += ["--hard-limit", args.hard_limit]
    start, disk, memory = time.perf_counter(), 0, 0
    with timing.start(args.threads, "benchmarks.scale.engines", *words) as process:
        ended = threading.Thread(target=process.wait, daemon=True)
        ended.start()
        while ended.is_alive():
            ended.join(0.5)
            with contextlib.suppress(OSError):  # ended meanwhile
                memory = max(memory, sum(resident(pid) for pid in tree(process.pid)))
            disk = max(disk, bytes_in(work))
        assert process.stdout is not None
        text = process.stdout.read()
    if process.returncode:
        raise SystemExit(f"{engine} ended with {process.returncode}")
    own = json.loads(text.splitlines()[-1])
    return {
        "engine": engine,
        "seconds": time.perf_counter() - start,
        **own,
        "peak_bytes": max(memory, own["peak_bytes"]),
        "disk_bytes": disk,
        "result_bytes": bytes_in(out) if out.is_dir() else out.stat().st_size,
    }


def work(args: argparse.Namespace) -> None:
    engine, log, out = args.worker
    if args.hard_limit:
        limit = int(args.hard_limit * GIB)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    start = time.perf_counter()
    ENGINES[engine](Path(log), Path(out), args)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    values = {
        "engine_seconds": time.perf_counter() - start,
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak_bytes": 1024 * usage.ru_maxrss,
    }
    print(json.dumps(values))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("question", choices=["same", "large"])
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--behaviors", type=int, help="default: 2 million, or 50 million if large")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory-limit", type=float, default=2.0, help="of DuckDB or Java, GiB")
    parser.add_argument(
        "--hard-limit", type=float, help="of the process; default with large: 4 GiB"
    )
    parser.add_argument("--out", type=Path, default=Path("benchmarks/scale/results/engines"))
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(tempfile.gettempdir()) / "resemb-gnn-engines",
        help="logs and graphs; may be deleted afterwards",
    )
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.worker:
        work(args)
        return
    large = args.question == "large"
    rows = args.behaviors or (50_000_000 if large else 2_000_000)
    if large:
        args.engines, args.hard_limit = ["DuckDB"], args.hard_limit or 4.0
    args.folder.mkdir(parents=True, exist_ok=True)
    log = args.folder / f"log-{rows}.parquet"
    if not log.exists():
        write_synthetic_log(log, max(rows // 25, 1), max(rows // 50, 1), rows)
    packages = {name for engine in args.engines for name in PACKAGES.get(engine, ())}
    results: dict[str, Any] = {
        "command": command("benchmarks.scale.engines", argv),
        "behaviors": rows,
        "log_bytes": log.stat().st_size,
        "threads": args.threads,
        "memory_limit_bytes": int(args.memory_limit * GIB),
        "hard_limit_bytes": int(args.hard_limit * GIB) if args.hard_limit else None,
        "machine": timing.machine(),
        "versions": versions() | {name: version(name) for name in sorted(packages)},
        "load_average_at_start": os.getloadavg()[0],
        "runs": [],
    }
    path = args.out / f"{args.question}.json"
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        for engine in args.engines:
            out = folder / engine.lower().replace(" ", "-")
            results["runs"].append(measure(engine, log, out, args))
            print(json.dumps(results["runs"][-1]), flush=True)
            write_json(path, results)
        start = time.perf_counter()
        check = check_large(log, folder / "duckdb") if large else check_same(folder)
        results["check"] = check | {"seconds": time.perf_counter() - start}
    write_json(path, results)
    table = markdown(args.out)
    write_atomically(args.out / "README.md", table)
    print(table)


if __name__ == "__main__":
    main()
