"""Messages about a row of a file name its line, in every command that reads one."""

from pathlib import Path

import polars as pl
import pytest

import resemb_gnn as rg
from resemb_gnn import InputError, cli
from resemb_gnn.io.tables import write_table
from tests.shop import COLUMNS

VALUES = ["--context-values", "position=top", "coupons=", "delay="]


def write(table: pl.DataFrame, path: Path, row: int, **values: object) -> int:
    """Writes a table with other values in a row, and an empty line after the header; returns the
    line of the row.
    """
    at = pl.int_range(pl.len()) == row
    wrong = [
        pl.when(at).then(pl.lit(value)).otherwise(pl.col(name).cast(pl.String)).alias(name)
        for name, value in values.items()
    ]
    write_table(table.with_columns(wrong), path)
    header, rest = path.read_text().split("\n", 1)
    path.write_text(f"{header}\n\n{rest}")
    return row + 3


def failing(shop: Path, capsys: pytest.CaptureFixture[str], command: str, *words: str) -> str:
    """What a command says that cannot go on."""
    assert cli.main([command, "--model", str(shop / "model"), "--quiet", *words]) == 2
    return " ".join(capsys.readouterr().err.split())


def test_of_a_later_log(
    later_shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    later, path = pl.read_csv(later_shop / "later.csv"), tmp_path / "day.csv"
    words = ["--data", str(path)]
    line = write(later, path, 7, ts="soon")
    message = failing(later_shop, capsys, "evaluate", *words)
    assert f"{path}, column 'ts', line {line}: 'soon' is not a time" in message
    # What the model refuses later on, when rows are in the order of users and times.
    line = write(later.with_columns(position=pl.lit(None, pl.String)), path, 4, position="true")
    for command, more in (("evaluate", []), ("update", ["--out", str(tmp_path / "new")])):
        message = failing(later_shop, capsys, command, *words, *more)
        assert f"day.csv, column 'position', line {line}: True is of another type" in message


def test_of_the_items_of_a_later_log(
    later_shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    items, path = pl.read_csv(later_shop / "items.csv"), tmp_path / "items.csv"
    items = pl.concat([items, items[:1].with_columns(article=pl.lit("B-1"))])
    words = ["--data", str(later_shop / "later.csv"), "--items", str(path)]
    line = write(items, path, 2, price="dear")
    message = failing(later_shop, capsys, "evaluate", *words)
    assert f"{path}), column 'price', line {line}: 'dear' is no number" in message
    # By then an item has a number and no row any more: its id is named.
    write(items.with_columns(brand=pl.lit(None, pl.String)), path, 2, brand="true")
    message = failing(later_shop, capsys, "evaluate", *words)
    assert "the table of items, column 'brand', of 'A-2': True is of another type" in message


def test_of_pairs_and_of_new_items(
    later_shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs, path = pl.read_csv(later_shop / "log.csv")[:9], tmp_path / "pairs.csv"
    words = ["--data", str(path), "--out", str(tmp_path / "scores.csv"), "--unknown", "score"]
    line = write(pairs, path, 5, delay="soon")
    message = failing(later_shop, capsys, "predict", *words)
    assert f"{path}, the context, column 'delay', line {line}: 'soon' is no number" in message
    line = write(pairs, path, 6, article=None)
    message = failing(later_shop, capsys, "predict", *words)
    assert f"{path}, column 'article', line {line}: None is missing" in message
    items, table = pl.read_csv(later_shop / "items.csv"), tmp_path / "items.csv"
    write(pairs, path, 6, article="A-99")
    line = write(
        items.with_columns(article=pl.col("article").replace("A-5", "A-99")), table, 2, price="dear"
    )
    message = failing(later_shop, capsys, "predict", *words, "--items", str(table))
    told = f"the table of items ({table}), column 'price', line {line}: 'dear' is no number"
    assert message.startswith(f"resemb-gnn: {told}")
    message = failing(later_shop, capsys, "predict", *words, "--items", f"{table}.gz")
    assert message == f"resemb-gnn: the table of items, no such file: {table}.gz"


def test_of_users_and_candidates(
    later_shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    users, items = (pl.read_csv(later_shop / f"{name}.csv") for name in ("users", "items"))
    path, words = tmp_path / "some.csv", ["--out", str(tmp_path / "top.csv"), *VALUES]
    line = write(users[:5], path, 3, shopper="x")
    message = failing(later_shop, capsys, "recommend", *words, "--users", str(path))
    assert f"{path}, column 'shopper', line {line}: users that the model does not know" in message
    line = write(items[:5], path, 2, article=None)
    message = failing(later_shop, capsys, "recommend", *words, "--candidates", str(path))
    assert f"{path}, column 'article', line {line}: None is missing" in message


def test_of_a_history(later_shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, pairs = tmp_path / "since.csv", later_shop / "log.csv"
    line = write(pl.read_csv(later_shop / "later.csv"), path, 9, ts="soon")
    words = ["--history", str(path), "--out", str(tmp_path / "out.csv")]
    for command, more in (("predict", ["--data", str(pairs)]), ("recommend", VALUES)):
        message = failing(later_shop, capsys, command, *words, *more)
        assert f"{path}, column 'ts', line {line}: 'soon' is not a time" in message


def test_of_parts_of_a_table(later_shop: Path, tmp_path: Path) -> None:
    """Frames and Parquet have no lines: their rows count from 0."""
    log = pl.read_csv(later_shop / "log.csv").with_columns(pl.col("article").replace("A-3", None))
    row = log["article"].is_null().arg_true()[0]
    log[:row].write_csv(tmp_path / "a.csv")
    log[row:].write_csv(tmp_path / "b.csv")
    log.write_parquet(tmp_path / "log.parquet")
    for frame, place in (
        ([tmp_path / "a.csv", tmp_path / "b.csv"], r"line 2 of b\.csv"),
        (tmp_path / "log.parquet", rf"row {row} \(from 0\)"),
        (log, rf"row {row} \(from 0\)"),
    ):
        with pytest.raises(InputError, match=f", column 'article', {place}: None is missing"):
            rg.BehaviorLog.from_frame(frame, **COLUMNS)
