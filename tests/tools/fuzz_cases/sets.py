"""Cases for tests/tools/fuzz.py: the readers of published data sets and of sequence files."""

import csv
import gzip
import io
import json
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from resemb_gnn.datasets import (
    AmazonElectronicsX1,
    AmazonReviews,
    KuaiRandPure,
    KuaiRandPureTrimmed,
    read_sequence_file,
)
from tests.tools.fuzz_cases.cases import (
    Case,
    Expected,
    Refused,
    damage,
    form_of_log,
    form_of_rows,
    some_ids,
    typed,
)

SPACES = (" ", "  ", "\t", "\u3000", "\u00a0")


def files_case(
    rng: random.Random, folder: Path, files: dict[str, bytes], value: Any, read: Any
) -> Case:
    """Files of which, in two of three cases, one is damaged (in gz: before or after)."""
    expected: Expected | None = Expected(value, valid=True)
    if rng.randrange(3):
        name = rng.choice(list(files))
        files = files | {name: damage(files[name], rng)}
        expected = None
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return Case(lambda: form_of_log(read()), lambda: expected, str(folder))


def words(rng: random.Random, count: int) -> list[str]:
    """Ids without white space."""
    return [
        one if one.split() == [one] and "\0" not in one else "w" for one in some_ids(rng, count)
    ]


def sequence_file(rng: random.Random, folder: Path) -> Case:
    """A sequence file, with white space of many kinds, and what Python's split() makes of it."""
    users = list(dict.fromkeys(words(rng, rng.randint(1, 5))))
    lines = []
    for user in users:
        items = words(rng, rng.randint(1, 5))
        lines.append(rng.choice(("", "", " ")) + rng.choice(SPACES).join([user, *items]))
        if rng.random() < 0.1:
            lines.append("")
    end = rng.choice(("\n", "\r\n"))
    data = (rng.choice(("", "\ufeff")) + end.join(lines) + rng.choice(("", end))).encode()
    valid = rng.randrange(2) == 0
    if not valid:
        data = damage(data, rng)
    path = folder / "log.txt"
    path.write_bytes(data)
    return Case(
        lambda: form_of_log(read_sequence_file(path)), lambda: _sequences(data, valid), str(path)
    )


def _sequences(data: bytes, valid: bool) -> Expected | Refused | None:
    try:
        text = data.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError:
        return Refused("not UTF-8")
    if data[:2] == b"\x1f\x8b" or any(0x1C <= byte <= 0x1F for byte in data):
        return None  # what Python takes for white space, and Unicode does not
    found = [line.split() for line in text.split("\n") if line.split()]
    users = [user for user, *_ in found]
    if not found or len(set(users)) < len(users) or min(map(len, found)) < 2:
        return Refused("no item, or a user twice")
    if "\r" in text.replace("\r\n", ""):
        return Refused("a carriage return alone")
    flat = [
        (number, item, t)
        for number, (_, *items) in enumerate(found)
        for t, item in enumerate(items)
    ]
    users_typed, items_typed = typed(users), typed([item for _, item, _ in flat])
    rows = [
        (users_typed[number], item, t, None, None)
        for (number, _, t), item in zip(flat, items_typed, strict=True)
    ]
    return Expected(form_of_rows(rows, category=False, label=False), valid)


def amazon_reviews(rng: random.Random, folder: Path) -> Case:
    """Reviews and metadata of 2014 or 2018 in gz form, as JSON or as Python literals."""
    count = rng.randint(1, 5)
    users, items = ([one or "u" for one in some_ids(rng, count)] for _ in range(2))
    times = [rng.choice((0, 1397433600, -5)) for _ in range(count)]
    reviews = [
        {
            "reviewerID": u,
            "asin": i,
            "unixReviewTime": t,
            "overall": rng.choice((5, 1.0)),
            "x": "é\n",
        }
        for u, i, t in zip(users, items, times, strict=True)
    ]
    year = rng.choice((2014, 2018))
    leaf = {item: rng.choice((None, "Nails", "<b>")) for item in [*items, "other"]}
    meta = [
        {"asin": item, "title": "with 'asin': 'x' in it"}
        | (
            {}
            if name is None
            else {"categories": [["a"], ["b", name]]}
            if year == 2014
            else {"category": ["b", name]}
        )
        for item, name in leaf.items()
    ]
    write = rng.choice((json.dumps, repr)) if year == 2014 else json.dumps
    texts = ["\n".join(map(json.dumps, reviews)), "\n".join(map(write, meta)) + "\n"]
    data = [text.encode() for text in texts]
    inner = rng.randrange(4) == 0
    if inner:
        which = rng.randrange(2)
        data[which] = damage(data[which], rng)
    names = ("reviews_Beauty_5.json.gz", "meta_Beauty.json.gz")
    names = names if year == 2014 else (names[0].removeprefix("reviews_"), names[1])
    files = dict(zip(names, (gzip.compress(one, 1) for one in data), strict=True))
    user_ids, item_ids = typed(users), typed(items)
    kinds = typed([leaf[item] for item in items])
    rows = [
        (u, i, t * 1_000_000, c, None)
        for u, i, t, c in zip(user_ids, item_ids, times, kinds, strict=True)
    ]
    value = form_of_rows(rows, category=True, label=False)
    case = files_case(rng, folder, files, value, lambda: AmazonReviews(folder, "Beauty", year).log)
    return Case(case.read, lambda: None, case.place) if inner else case


def _table(rows: list[tuple[Any, ...]], names: str) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([names.split(","), *rows])
    return text.getvalue().encode()


def _exposures(rng: random.Random) -> list[tuple[int, int, int, int]]:
    return [
        (
            rng.randrange(4),
            rng.randrange(6),
            rng.choice((0, 1_650_816_000_000, 7)),
            rng.randrange(2),
        )
        for _ in range(rng.randint(1, 5))
    ]


def _tags(rng: random.Random) -> tuple[list[tuple[int, str]], dict[int, str]]:
    """Tags of the videos and, by counting, the main tag of each."""
    tags = {v: [rng.choice("0123") for _ in range(rng.randrange(3))] for v in range(7)}
    counts = Counter(tag for found in tags.values() for tag in set(found))
    main = {}
    for video, found in tags.items():
        good = [tag for tag in found if 2 * counts[tag] < len(tags)]
        if good:
            main[video] = min(good, key=lambda tag: (-counts[tag], tag))
    return [(video, ",".join(found)) for video, found in tags.items()], main


def _form_of_exposures(rows: Sequence[tuple[int, int, float, int]], main: dict[int, str]) -> Any:
    kinds = typed([main.get(item) for _, item, _, _ in rows])
    return form_of_rows(
        [(u, i, round(1000 * t), c, x) for (u, i, t, x), c in zip(rows, kinds, strict=True)],
        True,
        True,
    )


def kuairand(rng: random.Random, folder: Path) -> Case:
    """KuaiRand-Pure's CSV files."""
    parts = [_exposures(rng), _exposures(rng)]
    videos, main = _tags(rng)
    names = ("log_standard_4_08_to_4_21_pure.csv", "log_standard_4_22_to_5_08_pure.csv")
    files = {
        name: _table([(*row, 1) for row in part], "user_id,video_id,time_ms,is_click,tab")
        for name, part in zip(names, parts, strict=True)
    }
    files["video_features_basic_pure.csv"] = _table(videos, "video_id,tag")
    value = _form_of_exposures(parts[0] + parts[1], main)
    return files_case(rng, folder, files, value, lambda: KuaiRandPure(folder).log)


def kuairand_trimmed(rng: random.Random, folder: Path) -> Case:
    """The trimmed form's Parquet files, also with a column of another kind."""
    parts = [_exposures(rng), _exposures(rng)]
    videos, main = _tags(rng)
    histories = [
        (user, 5, [rng.randrange(6) for _ in range(rng.randrange(3))])
        for user in range(rng.randint(1, 3))
    ]
    columns = ["user_id", "video_id", "time_ms", "is_click"]
    frames = {
        f"exposures_{name}.parquet": pl.DataFrame(part, schema=columns, orient="row")
        for name, part in zip(("val", "test"), parts, strict=True)
    }
    schema: Any = {"user_id": pl.Int64, "last_time_ms": pl.Int64}
    schema["positive_history"] = pl.List(pl.Int64)
    frames["histories.parquet"] = pl.DataFrame(histories, schema=schema, orient="row")
    frames["items.parquet"] = pl.DataFrame(videos, schema=["video_id", "tag"], orient="row")
    odd = rng.random() < 0.3
    if odd:
        name = rng.choice(list(frames))
        column = rng.choice(frames[name].columns)
        value = rng.choice(([[1]], [{"a": 1}], b"\xff", "x", None, 1.5, 2**62, True))
        frames[name] = frames[name].with_columns(
            pl.lit(value).alias(column)
            if not isinstance(value, list)
            else pl.Series(column, value * len(frames[name]))
        )
    files = {}
    for name, frame in frames.items():
        buffer = io.BytesIO()
        frame.write_parquet(buffer)
        files[name] = buffer.getvalue()
    past = [  # a microsecond apart
        (user, item, t - later / 1000, 1)
        for user, t, items in histories
        for later, item in zip(reversed(range(len(items))), items, strict=True)
    ]
    value = _form_of_exposures([*past, *parts[0], *parts[1]], main)
    case = files_case(rng, folder, files, value, lambda: KuaiRandPureTrimmed(folder).log)
    return Case(case.read, lambda: None, case.place) if odd else case


def amazon_electronics_x1(rng: random.Random, folder: Path) -> Case:
    """AmazonElectronics_x1's train and test files, made from the users' sequences."""
    train: list[Any] = []
    test: list[Any] = []
    rows = []
    for user in range(rng.randint(1, 3)):
        items = [rng.randrange(9) for _ in range(rng.randint(2, 4))]
        rows.append((user, items[0], 0, items[0] * 7 % 5, 1))
        for t in range(1, len(items)):
            past = "^".join(map(str, items[:t]))
            kinds = "^".join(str(item * 7 % 5) for item in items[:t])
            for label, item in ((1, items[t]), (0, rng.randrange(9))):
                row = (label, user, item, item * 7 % 5, past, kinds)
                (test if t == len(items) - 1 else train).append(row)
                rows.append((user, item, t, item * 7 % 5, label))
    if not train:  # a column of a file without rows has no kind
        return amazon_electronics_x1(rng, folder)
    header = "label,user_id,item_id,cate_id,item_history,cate_history"
    files = {"train.csv": _table(train, header), "test.csv": _table(test, header)}
    value = form_of_rows(rows, category=True, label=True)
    users: dict[Any, Any] = defaultdict(list, value[0])
    value = (
        {
            user: sorted(did, key=lambda one: (one[1], one[0], one[2]))
            for user, did in users.items()
        },
        value[1],
    )

    def read() -> Any:
        return AmazonElectronicsX1(folder, published=False).log

    def in_order() -> Any:
        did, kinds = form_of_log(read())
        return {
            user: sorted(one, key=lambda x: (x[1], x[0], x[2])) for user, one in did.items()
        }, kinds

    case = files_case(rng, folder, files, value, read)
    return Case(in_order, case.expected, case.place)
