"""The readers that benchmarks/fuzz.py tries, by name."""

import random
from collections.abc import Callable
from pathlib import Path

from fuzz_cases import Case
from fuzz_tables import csv_file, csv_gz_file, pandas_frame, parquet_file, polars_frame

READERS: dict[str, Callable[[random.Random, Path], Case]] = {
    "csv": csv_file,
    "csv.gz": csv_gz_file,
    "parquet": parquet_file,
    "polars frame": polars_frame,
    "pandas frame": pandas_frame,
}
