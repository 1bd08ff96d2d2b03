"""A shop's log as a newcomer has it: text ids, ISO times, unsorted; drawn from Complete Journey.

python examples/retail_log.py [--rows 200000] [--out log.csv]

docs/command-line.md shows what each command makes of it.
"""

import argparse
from pathlib import Path

import polars as pl

from resemb_gnn.datasets import read_complete_journey


def retail_log(rows: int, seed: int = 0) -> pl.DataFrame:
    """``rows`` behaviours in a random order, of all if there are not so many."""
    log = read_complete_journey()
    assert log.category_ids is not None  # this log has them
    assert log.item_category is not None
    frame = pl.DataFrame(
        {
            "user_id": "hh-" + pl.Series(log.user_ids.gather(log.users.numpy())).cast(pl.String),
            "item_id": "P-" + pl.Series(log.item_ids.gather(log.items.numpy())).cast(pl.String),
            "ts": pl.Series(log.times.numpy()).cast(pl.Datetime("us")),
            "category": log.category_ids.gather(log.item_category[log.items].numpy()),
        }
    )
    return frame.sample(min(rows, len(frame)), shuffle=True, seed=seed)


def main(arguments: list[str] | None = None) -> pl.DataFrame:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--out", type=Path, default=Path("log.csv"))
    options = parser.parse_args(arguments)
    frame = retail_log(options.rows)
    frame.write_csv(options.out, datetime_format="%Y-%m-%dT%H:%M:%S")
    print(f"{options.out} holds {len(frame):,} rows")
    return frame


if __name__ == "__main__":
    main()
