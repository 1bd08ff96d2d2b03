"""The readers that tests/tools/fuzz.py tries, by name."""

import random
from collections.abc import Callable
from pathlib import Path

from tests.tools.fuzz_cases.cases import Case
from tests.tools.fuzz_cases.checkpoints import checkpoint
from tests.tools.fuzz_cases.results import geometry_file, results_file, saved_log
from tests.tools.fuzz_cases.saved import covisit_folder, item_index, model_folder
from tests.tools.fuzz_cases.sets import (
    amazon_electronics_x1,
    amazon_reviews,
    kuairand,
    kuairand_trimmed,
    sequence_file,
)
from tests.tools.fuzz_cases.settings import settings_file
from tests.tools.fuzz_cases.tables import (
    csv_file,
    csv_gz_file,
    pandas_frame,
    parquet_file,
    polars_frame,
    tsv_file,
)

READERS: dict[str, Callable[[random.Random, Path], Case]] = {
    "csv": csv_file,
    "csv.gz": csv_gz_file,
    "tsv": tsv_file,
    "parquet": parquet_file,
    "polars-frame": polars_frame,
    "pandas-frame": pandas_frame,
    "sequence-file": sequence_file,
    "amazon-reviews": amazon_reviews,
    "amazon-electronics-x1": amazon_electronics_x1,
    "kuairand": kuairand,
    "kuairand-trimmed": kuairand_trimmed,
    "saved-log": saved_log,
    "results.json": results_file,
    "item-geometry": geometry_file,
    "settings.yaml": settings_file,
    "checkpoint": checkpoint,
    "saved-model": model_folder,
    "covisit-graph": covisit_folder,
    "item-index": item_index,
}
