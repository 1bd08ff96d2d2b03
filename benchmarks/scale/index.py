"""How fast does the index of item vectors grow, and how many bytes does it take?

    python -m benchmarks.scale.index                 # needs the extra serve
    python -m benchmarks.scale.index --items 1000000 --threads 1

Unit vectors around 1,000 centres, with a spread of half the centres' own, go into the index that
``export_items`` builds: usearch, inner product, float32, its default graph. Each tenth is timed,
for the rate falls as the graph grows. Recall of the 10 nearest is against the exact search.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

from benchmarks.runs import command
from benchmarks.timing import machine
from resemb_gnn.io.json_text import write_json

# After torch: loaded before it, usearch makes the import of torch-geometric hang (torch 2.13).
from usearch.index import Index  # isort: skip

DIM = 32
CLUSTERS = 1000
QUERIES, NEAREST = 1000, 10


def vectors(items: int, seed: int = 0) -> "np.ndarray":
    rng = np.random.default_rng(seed)
    centers = rng.standard_normal((CLUSTERS, DIM), dtype=np.float32)
    rows = centers[rng.integers(CLUSTERS, size=items)]
    rows += 0.5 * rng.standard_normal((items, DIM), dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/scale/results"))
    args = parser.parse_args(argv)
    rows = vectors(args.items)
    index = Index(ndim=DIM, metric="ip", dtype="f32")
    turns: list[dict[str, float]] = []
    for part in np.array_split(np.arange(args.items), 10):
        wall, cpu = time.perf_counter(), time.process_time()
        index.add(part, rows[part], threads=args.threads)
        took = {"seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        turns.append({"items": len(index)} | took)
        print(json.dumps(turns[-1]), flush=True)
    queries = rows[np.random.default_rng(1).choice(args.items, QUERIES, replace=False)]
    start = time.perf_counter()
    found = index.search(queries, NEAREST, threads=1).keys
    search = (time.perf_counter() - start) / QUERIES
    exact = [np.argpartition(-(rows @ query), NEAREST)[:NEAREST] for query in queries]
    recall = np.mean([np.isin(a, b).mean() for a, b in zip(found, exact, strict=True)])
    with tempfile.TemporaryDirectory() as folder:
        index.save(str(Path(folder) / "index"))
        size = (Path(folder) / "index").stat().st_size
    results = {
        "command": command("benchmarks.scale.index", argv),
        "items": args.items,
        "dim": DIM,
        "threads": args.threads,
        "machine": machine(),
        "usearch": version("usearch"),
        "numpy": version("numpy"),
        "seconds": sum(turn["seconds"] for turn in turns),
        "cpu": sum(turn["cpu"] for turn in turns),
        "items_per_cpu_second": args.items / sum(turn["cpu"] for turn in turns),
        "bytes_per_item": size / args.items,
        "search_seconds": search,
        "recall_at_10": float(recall),
        "turns": turns,
    }
    write_json(args.out / "index.json", results)
    print(json.dumps(results | {"turns": None}, indent=1))


if __name__ == "__main__":
    main()
