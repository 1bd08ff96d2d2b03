"""``resemb-gnn graph``: counted a second way from the log."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from resemb_gnn import cli
from resemb_gnn.io.tables import write_table


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Three users; the last two of each one's behaviours validate and test."""
    visits = {"u1": "abcxx", "u2": "abdxx", "u3": "cabyx"}
    rows = [
        (user, item, f"2024-01-{day + 1:02d}T10:00:00")
        for user, items in visits.items()
        for day, item in enumerate(items)
    ]
    path = tmp_path / "log.csv"
    pl.DataFrame(rows, schema=["who", "what", "when"], orient="row").write_csv(path)
    return path


@pytest.mark.parametrize("form", ["log.csv", "log.TSV", "log.txt", "log.parquet"])
def test_graph_is_counted_and_written(
    form: str, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also of a table with tabs and of a folder of Parquet files."""
    rows = pl.read_csv(table)
    table = tmp_path / form
    if form == "log.parquet":
        table.mkdir()
        rows[:7].write_parquet(table / "part-0.parquet")
        rows[7:].write_parquet(table / "part-1.parquet")
        (table / "_SUCCESS").touch()
    else:
        write_table(rows, table)
    out = tmp_path / "edges.parquet"
    columns = ["--user", "who", "--item", "what", "--time", "when"]
    command = ["graph", "--data", str(table), *columns, "--window", "1", "--out", str(out)]
    assert cli.main([*command, "--quiet", "--most", "1"]) == 0
    pairs = Counter()
    for items in ("abc", "abd", "cab"):  # what is left for training
        pairs.update(tuple(sorted(pair)) for pair in pairwise(items))
    edges = pl.read_parquet(out)
    assert {(a, b): w for a, b, w in edges.rows()} == pairs
    printed, errors = capsys.readouterr()
    words = {" ".join(line.split()) for line in printed.splitlines()}
    # Items a, b, c, d, x and y: a-b, b-c, b-d, a-c, and two that only come later.
    assert {
        "items (nodes) 6",
        "joined pairs (edges) 4",
        "items joined to none 2",
        "connected components 3",
        "items of the largest 4 (66.7%)",
        "b 3 5",
    } <= words
    assert not errors
    assert {path.name for path in tmp_path.iterdir()} == {"log.csv", form, "edges.parquet"}


def test_progress_is_shown_unless_quiet(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    columns = ["--user", "who", "--item", "what", "--time", "when"]
    assert cli.main(["graph", "--data", str(table), *columns]) == 0
    assert "describing: " in capsys.readouterr().err
