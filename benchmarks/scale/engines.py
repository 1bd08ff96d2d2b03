"""Do DuckDB and Spark count the co-visits that the in-memory builder counts, and at what cost?

    python benchmarks/engines.py same                  # needs the extras engines and spark, Java 17
    python benchmarks/engines.py large                 # needs the extra engines

``same``: one synthetic log, the in-memory builder, DuckDB and Spark one after another, each in a
process of its own; the graphs are compared number by number. ``large``: a log of 50 million
behaviours by DuckDB, in a process whose writable memory the kernel limits (RLIMIT_DATA); the edges
are then checked against a count of all pairs by NumPy, which shares no code with them.

Seconds are by the clock, ``cpu`` of the processor's work (Spark's Java not included), peaks are
those of the resident memory, of the process and the Java it starts. Linux only.
"""

import argparse
import contextlib
import json
import os
import resource
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from engines_tables import markdown
from synthetic_log import write_synthetic_log
from timing import machine

import resemb_gnn as rg
from resemb_gnn.experiment.results import versions, write_atomically

PACKAGES = ("ibis-framework", "duckdb", "pyspark")
WINDOW = 5
GIB = 2**30
SAMPLE = 1000  # items whose edges are counted one by one


def in_memory(log: Path, out: Path, args: argparse.Namespace) -> None:
    behaviors = rg.BehaviorLog.from_frame(log, "user", "item", "time")
    torch.save(rg.covisit_graph(behaviors, WINDOW).to_dict(), out)


def duckdb(log: Path, out: Path, args: argparse.Namespace) -> None:
    work = out.with_name(out.name + ".work")
    limit = int(args.memory_limit * GIB)
    rg.write_covisit_graph(
        log,
        out,
        "user",
        "item",
        "time",
        WINDOW,
        memory_limit=limit,
        threads=args.threads,
        temp_directory=work,
    )


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
    rows = session.read.parquet(str(log)).selectExpr("*", "_metadata.row_index AS place")
    rows.createOrReplaceTempView("log")
    backend = ibis.pyspark.connect(session)
    edges = rg.covisit_edges(backend.table("log"), "user", "item", "time", WINDOW, order="place")
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
    command = [sys.executable, __file__, args.question, "--worker", engine, str(log), str(out)]
    command += ["--threads", str(args.threads), "--memory-limit", str(args.memory_limit)]
    if args.hard_limit:
        command += ["--hard-limit", str(args.hard_limit)]
    start, disk, memory = time.perf_counter(), 0, 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        ended = threading.Event()
        threading.Thread(target=lambda: (process.wait(), ended.set()), daemon=True).start()
        while not ended.wait(0.5):
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


def mixed(low: "np.ndarray", high: "np.ndarray") -> "np.ndarray":
    """A hash of pairs of 32-bit numbers, modulo 2^64 (the finaliser of splitmix64)."""
    key = (low.astype(np.uint64) << np.uint64(32)) | high.astype(np.uint64)
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return key ^ (key >> np.uint64(31))


def check_large(log: Path, out: Path) -> dict[str, Any]:
    """Compares the edges with a count of all pairs.

    The sum of a hash over all pairs, modulo 2^64, is that of each edge's hash times its weight if
    every weight is right; the edges of a sample of items are also counted one by one.
    """
    table = pl.read_parquet(log, columns=["user", "item"])  # rows in time order
    order = np.argsort(table["user"].to_numpy(), kind="stable")
    user, item = table["user"].to_numpy()[order], table["item"].to_numpy()[order]
    del table, order
    vocabulary = pl.read_parquet(out / "items.parquet")
    ids, number = np.unique(item, return_inverse=True)
    assert np.array_equal(ids, vocabulary["item"].to_numpy())
    assert np.array_equal(np.bincount(number), vocabulary["count"].to_numpy())
    sample = np.random.default_rng(0).choice(ids.size, min(SAMPLE, ids.size), replace=False)
    sampled = np.zeros(ids.size, dtype=bool)
    sampled[sample] = True
    pairs, checksum, kept = 0, 0, []
    for k in range(1, WINDOW + 1):
        one, other = number[:-k], number[k:]
        together = (user[:-k] == user[k:]) & (one != other)
        low = np.minimum(one, other)[together]
        high = np.maximum(one, other)[together]
        pairs += low.size
        checksum += int(mixed(low, high).sum())
        chosen = sampled[low] | sampled[high]
        kept.append(np.stack([low[chosen], high[chosen]]))
    expected, counts = np.unique(np.concatenate(kept, axis=1), axis=1, return_counts=True)
    edges, weight, found_sum, last, found = 0, 0, 0, -1, []
    for file in sorted((out / "edges").iterdir()):
        part = pl.read_parquet(file)
        low, high = part["item"].to_numpy(), part["neighbor"].to_numpy()
        place = low.astype(np.int64) * ids.size + high
        assert (low < high).all()
        assert place[0] > last
        assert (np.diff(place) > 0).all()
        last = place[-1]
        times = part["weight"].to_numpy()
        edges, weight = edges + low.size, weight + int(times.sum())
        found_sum += int((mixed(low, high) * times.astype(np.uint64)).sum())
        chosen = sampled[low] | sampled[high]
        found.append(np.stack([low[chosen], high[chosen], times[chosen]]))
    got = np.concatenate(found, axis=1)
    return {
        "items": ids.size,
        "users": int(np.unique(user).size),
        "edges": edges,
        "pairs": pairs,
        "total_weight_equal": weight == pairs,
        "checksum_equal": found_sum % 2**64 == checksum % 2**64,
        "sampled_items": int(sample.size),
        "sampled_edges": int(got.shape[1]),
        "sampled_edges_equal": bool(np.array_equal(got, np.vstack([expected, counts]))),
    }


def check_same(log: Path, folder: Path) -> dict[str, Any]:
    """Whether the graphs of all engines have the same numbers."""
    expected = torch.load(folder / "in-memory")
    counted = rg.read_covisit_graph(folder / "duckdb")
    same = all(
        torch.equal(counted[name], expected[name])
        for name in ("edge_index", "edge_weight", "count")
    )
    low, high = expected["edge_index"].numpy()
    ids = pl.read_parquet(folder / "duckdb" / "items.parquet")["item"].to_numpy()
    upper = low < high
    rows = pl.DataFrame(
        {
            "item": ids[low[upper]],
            "neighbor": ids[high[upper]],
            "weight": expected["edge_weight"].numpy()[upper].astype(np.int64),
        }
    )
    files = sorted((folder / "spark").glob("*.parquet"))
    other = pl.concat([pl.read_parquet(file) for file in files]).select(rows.columns)
    return {
        "items": ids.size,
        "edges": rows.height,
        "DuckDB_equal": same,
        "Spark_equal": rows.equals(other.sort("item", "neighbor")),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("question", choices=["same", "large"])
    parser.add_argument("--behaviors", type=int, help="default: 2 million, or 50 million if large")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory-limit", type=float, default=2.0, help="of DuckDB or Java, GiB")
    parser.add_argument(
        "--hard-limit", type=float, help="of the process; default with large: 4 GiB"
    )
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/engines"))
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(tempfile.gettempdir()) / "resemb-gnn-engines",
        help="logs and graphs; may be deleted afterwards",
    )
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        work(args)
        return
    large = args.question == "large"
    rows = args.behaviors or (50_000_000 if large else 2_000_000)
    if large and args.hard_limit is None:
        args.hard_limit = 4.0
    args.folder.mkdir(parents=True, exist_ok=True)
    log = args.folder / f"log-{rows}.parquet"
    if not log.exists():
        write_synthetic_log(log, max(rows // 25, 1), max(rows // 50, 1), rows)
    results: dict[str, Any] = {
        "command": shlex.join(sys.argv),
        "behaviors": rows,
        "log_bytes": log.stat().st_size,
        "threads": args.threads,
        "memory_limit_bytes": int(args.memory_limit * GIB),
        "hard_limit_bytes": int(args.hard_limit * GIB) if args.hard_limit else None,
        "machine": machine(),
        "versions": versions() | {name: version(name) for name in PACKAGES},
        "load_average_at_start": os.getloadavg()[0],
        "runs": [],
    }
    path = args.out / f"{args.question}.json"
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        for engine in ["DuckDB"] if large else list(ENGINES):
            out = folder / engine.lower().replace(" ", "-")
            results["runs"].append(measure(engine, log, out, args))
            print(json.dumps(results["runs"][-1]), flush=True)
            write_atomically(path, json.dumps(results, indent=1) + "\n")
        start = time.perf_counter()
        check = check_large(log, folder / "duckdb") if large else check_same(log, folder)
        results["check"] = check | {"seconds": time.perf_counter() - start}
    write_atomically(path, json.dumps(results, indent=1) + "\n")
    table = markdown(args.out)
    write_atomically(args.out / "README.md", table)
    print(table)


if __name__ == "__main__":
    main()
