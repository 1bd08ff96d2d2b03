"""Cases for tests/tools/fuzz.py: BehaviorLog.from_frame on CSV, Parquet, polars and pandas."""

import csv
import datetime
import decimal
import gzip
import io
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from resemb_gnn import BehaviorLog
from tests.tools.fuzz_cases.cases import (
    ODD,
    Case,
    Expected,
    Refused,
    Row,
    damage,
    form_of_log,
    form_of_rows,
    some_ids,
    typed,
)

NAMES = ("user", "item", "time", "category", "label")
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
ZONE = re.compile(r" ?(?:UTC|(Z|[+-]\d\d:?\d\d|[+-]\d\d))$")  # Python takes no blank, and no name
MICRO = datetime.timedelta(microseconds=1)


def times(rng: random.Random, count: int) -> list[str]:
    kind = rng.randrange(6)
    if kind == 0:
        return [str(rng.choice((0, 1, -7, 2**62, rng.randrange(10**9)))) for _ in range(count)]
    if kind == 1:
        return [str(rng.choice((0.5, -1.25, 1e300, 3, 1e-9))) for _ in range(count)]
    start = datetime.datetime(2022, 2, 28, 23, 59, 59)
    moments = [start + rng.randrange(10**6) * datetime.timedelta(seconds=1) for _ in range(count)]
    if kind == 2:
        return [str(moment.date()) for moment in moments]
    if kind == 5:  # as BigQuery, Postgres and Python write them
        zones = (" UTC", "+00", ".25+00", ".000123456 UTC", "+00:00")
        return [f"{moment}{rng.choice(zones)}" for moment in moments]
    return [moment.isoformat(sep="T" if kind == 3 else " ") for moment in moments]


def rows_as_text(rng: random.Random) -> list[list[str]]:
    count = rng.randint(1, 8)
    parts = [some_ids(rng, count), some_ids(rng, count), times(rng, count)]
    parts.append([rng.choice((one, "")) for one in some_ids(rng, count)])
    spelt = rng.choice((("0", "1"), ("0", "1"), ("False", "True"), ("true", "0", "FALSE")))
    parts.append([rng.choice(spelt) for _ in range(count)])
    return [list(row) for row in zip(*parts, strict=True)]


def spell(rows: list[list[str]], rng: random.Random, separator: str = ",") -> bytes:
    """The rows as CSV, in one of the ways that RFC 4180 and its readers allow."""
    columns = [*NAMES, *rng.choice(((), ("extra",), ("extra", "extra"), ("", "Ü,ber")))]
    order = rng.sample(range(len(columns)), len(columns))
    table = [columns] + [row + [rng.choice(ODD) for _ in columns[5:]] for row in rows]
    end = rng.choice(("\n", "\r\n"))
    text = io.StringIO()
    quoting: Any = rng.choice((csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
    writer = csv.writer(text, delimiter=separator, lineterminator=end, quoting=quoting)
    blank = rng.random() < 0.2
    for row in table:
        writer.writerow([row[place] for place in order])
        if blank and rng.random() < 0.5:
            text.write(end)
    written = text.getvalue()
    if rng.random() < 0.2:
        written = written.removesuffix(end)
    return rng.choice((b"", b"", b"\xef\xbb\xbf")) + written.encode()


def read_again(data: bytes, separator: str = ",") -> Expected | Refused:
    """The log of a CSV file by Python's csv module, or why it is no log."""
    try:
        text = data.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError:
        return Expected(None)  # only a damaged column that is not asked for may pass
    try:
        lines = io.StringIO(text, newline="")
        table = [row for row in csv.reader(lines, delimiter=separator, strict=True) if row]
    except csv.Error as error:
        return Refused(f"csv: {error}")
    if not table or any(len(row) != len(table[0]) for row in table):
        return Refused("rows of different length")
    if any(table[0].count(name) != 1 for name in NAMES):
        return Refused("a column is missing or there twice")
    rows = [[row[table[0].index(name)] for name in NAMES] for row in table[1:]]
    return meant(rows)


def meant(rows: list[list[str]]) -> Expected | Refused:
    """The log that rows of text mean."""
    if not rows:
        return Refused("no rows")
    user, item, time, category, label = (list(column) for column in zip(*rows, strict=True))
    if "" in user or "" in item:
        return Refused("an empty id")
    moments = read_times(time)
    if moments is None:
        return Refused("not times")
    label = [{"true": "1", "false": "0"}.get(one.lower(), one) for one in label]
    if not all(re.fullmatch(r"[+-]?0*[01](\.0*)?|[+-]?\.0+", one) for one in label):
        try:
            if any(float(one) not in (0, 1) for one in label):
                return Refused("not labels")
        except ValueError:
            return Refused("not labels")
    kinds = typed([one or None for one in category])
    found: list[Row] = list(
        zip(typed(user), typed(item), moments, kinds, map(float, label), strict=True)
    )
    return Expected(form_of_rows(found, category=True, label=True))


def read_times(texts: list[str]) -> list[int] | list[float] | None:
    """Whole numbers of 64 bits, numbers, or dates in microseconds since 1970."""
    if all(re.fullmatch(r"[+-]?[0-9]+", one) for one in texts):
        try:
            numbers = [int(one) for one in texts]
        except ValueError:  # Python converts 4,300 digits
            return None
        if all(-(2**63) <= number < 2**63 for number in numbers):
            return numbers
    try:
        floats = [float(one) for one in texts]
    except ValueError:
        pass
    else:
        return floats if np.isfinite(floats).all() else None
    try:
        dates = [datetime.datetime.fromisoformat(ZONE.sub(r"\1", one)) for one in texts]
    except ValueError:
        return None
    zoned = [one if one.tzinfo else one.replace(tzinfo=datetime.UTC) for one in dates]
    return [(one - EPOCH) // MICRO for one in zoned]


def csv_file(rng: random.Random, folder: Path) -> Case:
    """A CSV file: a third as it should be, the rest damaged."""
    return _csv(rng, folder / "log.csv", lambda data: data, False)


def tsv_file(rng: random.Random, folder: Path) -> Case:
    """The same with tabs between the fields, by one of the endings that say so."""
    name = rng.choice(("log.tsv", "log.TSV", "log.txt"))
    return _csv(rng, folder / name, lambda data: data, False, "\t")


def csv_gz_file(rng: random.Random, folder: Path) -> Case:
    """A CSV file in gz form, in one or two parts, damaged before or after it was compressed."""

    def compress(data: bytes) -> bytes:
        cut = rng.choice((0, len(data) // 2))
        return gzip.compress(data[:cut], 1) * bool(cut) + gzip.compress(data[cut:], 1)

    return _csv(rng, folder / "log.csv.gz", compress, True)


def _csv(rng: random.Random, path: Path, compress: Any, outer: bool, separator: str = ",") -> Case:
    rows = rows_as_text(rng)
    data = spell(rows, rng, separator)
    kind = rng.randrange(3)
    if kind == 1:
        data = damage(data, rng)
    expected = read_again(data, separator)
    if kind == 0:
        assert isinstance(expected, Expected)
        expected = Expected(expected.value, valid=True)
    written = compress(data)
    if kind == 2:
        written = damage(written, rng)
        if not outer or written[:2] != b"\x1f\x8b":
            expected = read_again(written, separator)
        else:
            try:
                expected = read_again(gzip.decompress(written), separator)
            except Exception:
                expected = Refused("gz is damaged")
    path.write_bytes(written)
    return Case(lambda: _read(path), lambda: expected, str(path))


def _read(frame: Any) -> Any:
    log = BehaviorLog.from_frame(frame, *NAMES[:3], category="category", label="label")
    return form_of_log(log)


# One way to make a column of each kind: values, and whether a log can use them as ids.
def _odd_column(rng: random.Random, count: int) -> tuple[pl.Series, bool]:
    kinds: list[tuple[list[Any], Any, bool]] = [
        ([[1, 2]] * count, pl.List(pl.Int64), False),
        ([{"a": 1}] * count, pl.Struct({"a": pl.Int64}), False),
        ([b"\xff"] * count, pl.Binary, False),
        ([None] * count, pl.Null, False),
        ([None] * count, pl.Int64, False),
        ([float("nan")] * count, pl.Float64, False),
        ([float("inf")] * count, pl.Float32, False),
        (["x", None] * count, pl.String, count == 1),
        ([2**64 - 1 - i for i in range(count)], pl.UInt64, True),
        ([i % 3 for i in range(count)], pl.Int8, True),
        (["b", "a"] * count, pl.Categorical, True),
        (["é", "a"] * count, pl.Enum(["é", "a"]), True),
        ([datetime.date(2022, 1, 1)] * count, pl.Date, True),
        ([decimal.Decimal("1.5")] * count, pl.Decimal(10, 2), True),
        ([True, False] * count, pl.Boolean, True),
    ]
    values, kind, good = rng.choice(kinds)
    return pl.Series("x", values[:count], dtype=kind), good


def _frame(rng: random.Random) -> tuple[pl.DataFrame, Expected | Refused | None]:
    """A frame of typed columns and its log; in every other one a column is of an odd kind."""
    rows = rows_as_text(rng)
    user, item, time, category, label = (list(column) for column in zip(*rows, strict=True))
    moments = read_times(time)
    assert moments is not None
    columns = {
        "user": pl.Series(typed(user)),
        "item": pl.Series(typed(item)),
        "time": pl.Series(moments),
        "category": pl.Series(typed([one or None for one in category])),
        "label": pl.Series(
            [int(one.lower() in ("1", "true")) for one in label],
            dtype=rng.choice((pl.Int8, pl.Float64, pl.Int64)),
        ),
    }
    if time[0][:4] == "2022":
        columns["time"] = columns["time"].cast(pl.Datetime(rng.choice(["us", "us"])))
    expected: Expected | Refused | None = meant(rows)
    assert isinstance(expected, Expected)
    expected = Expected(expected.value, valid=True)
    frame = pl.DataFrame(columns)
    if rng.random() < 0.5:
        name = rng.choice(NAMES)
        odd, good = _odd_column(rng, len(rows))
        frame = frame.with_columns(odd.alias(name))
        expected = (
            None
            if good or name in ("category", "time", "label")
            else Refused(f"{name} is {odd.dtype}")
        )
    elif rng.random() < 0.1:
        frame, expected = frame.clear(), Refused("no rows")
    elif rng.random() < 0.1:
        frame, expected = frame.drop(rng.choice(NAMES)), Refused("a column is missing")
    return frame, expected


def polars_frame(rng: random.Random, folder: Path) -> Case:
    """A polars frame."""
    frame, expected = _frame(rng)
    return Case(lambda: _read(frame), lambda: expected)


def pandas_frame(rng: random.Random, folder: Path) -> Case:
    """A pandas frame, also of columns of mixed kinds, names that come twice and odd indices."""
    frame, expected = _frame(rng)
    if isinstance(expected, Expected):  # pandas makes large whole numbers beside nulls inexact
        expected = Expected(expected.value)
    table = frame.to_pandas(use_pyarrow_extension_array=rng.random() < 0.5)
    kind = rng.randrange(4)
    if kind == 0:
        name = rng.choice([name for name in NAMES if name in table] or ["none"])
        values: tuple[Any, ...] = (1, "1", None, 2.5, b"x", [1], {}, pd.NA, 2**70, object)
        mixed: list[Any] = [rng.choice(values) for _ in range(len(table))]
        table[name] = pd.Series(mixed, dtype=object, index=table.index)
        expected = None
    elif kind == 1:
        twice = rng.choice(table.columns)
        table = pd.concat([table, table[[twice]]], axis=1)
        expected = Refused("a column comes twice") if twice in NAMES else expected
    elif kind == 2:
        table.index = rng.choices((5, 5, 6), k=len(table))
    return Case(lambda: _read(table), lambda: expected)


def parquet_file(rng: random.Random, folder: Path) -> Case:
    """A Parquet file by polars or Arrow: sound, damaged, or with odd columns."""
    frame, expected = _frame(rng)
    path = folder / "log.parquet"
    compression: Any = rng.choice(("zstd", "snappy", "uncompressed", "gzip"))
    if rng.random() < 0.5:
        frame.write_parquet(path, compression=compression)
    else:
        table = frame.to_arrow()
        kind = "none" if compression == "uncompressed" else compression
        if rng.random() < 0.1 and table.num_columns:
            twice = rng.choice(table.column_names)
            table = table.append_column(twice, table.column(twice))
            expected = Refused("a column comes twice")
        try:
            pq.write_table(table, path, compression=kind, write_page_checksum=True)
        except (pa.ArrowException, NotImplementedError):
            frame.write_parquet(path)
    if rng.random() < 0.5:
        whole = path.read_bytes()
        path.write_bytes(damage(whole, rng))
        expected = None  # without checksums another value may stand there
    return Case(lambda: _read(path), lambda: expected, str(path))
