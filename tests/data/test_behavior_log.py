import datetime
import gzip
from collections import Counter
from decimal import Decimal

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given, settings

from resemb_gnn import BehaviorLog, InputError
from tests.ties import tie_key

COLUMNS = ["user", "item", "time", "kind", "click"]
KINDS = ["polars", "pandas", "csv", "csv.gz", "parquet"]


def _write(frame, kind, folder):
    """The same table as another kind of input."""
    path = folder / f"log.{kind}"
    if kind == "polars":
        return frame
    if kind == "pandas":
        return frame.to_pandas()
    if kind == "csv":
        frame.write_csv(path)
    elif kind == "csv.gz":
        path.write_bytes(gzip.compress(frame.write_csv().encode()))
    else:
        frame.write_parquet(path)
    return path


def _naive(rows):
    """Times, items and labels of each user's rows, by plain Python."""
    by_user = {}
    for user, item, time, _, label in sorted(
        rows, key=lambda row: (row[2], tie_key(row[0], row[1]), row[4])
    ):
        by_user.setdefault(user, []).append((time, item, label))
    return by_user


def _decoded(log):
    """What :func:`_naive` gives, read out of a log."""
    items = [log.item_ids[int(item)] for item in log.items]
    rows = list(zip(log.times.tolist(), items, log.labels.tolist(), strict=True))
    bounds = log.ptr.tolist()
    return {
        user: rows[bounds[number] : bounds[number + 1]] for number, user in enumerate(log.user_ids)
    }


def _same(a, b):
    for name in ("items", "ptr", "times", "labels", "item_category"):
        x, y = getattr(a, name), getattr(b, name)
        assert (x is None) == (y is None), name
        if x is not None:
            assert x.dtype == y.dtype, name
            assert torch.equal(x, y), name
    for name in ("user_ids", "item_ids", "category_ids"):
        x, y = getattr(a, name), getattr(b, name)
        assert (x is None) == (y is None), name
        if x is not None:
            assert x.to_list() == y.to_list(), name
            assert x.dtype == y.dtype, name


def _random_rows(dates=False):
    """300 rows in no order, with many ties of time; ids whose order as strings is another."""
    rng = np.random.default_rng(3)
    day = datetime.datetime(2024, 5, 31)
    rows = []
    for _ in range(300):
        item = int(rng.integers(1, 30)) * 5
        time = int(rng.integers(0, 40))
        moment = day + datetime.timedelta(seconds=time) if dates else time
        kind = None if item % 7 == 0 else int(rng.integers(8, 12))
        rows.append((f"u{rng.integers(20)}", item, moment, kind, int(rng.integers(2))))
    return rows


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dates", [False, True])
def test_from_frame_of_every_kind(tmp_path, kind, dates):
    frame = pl.DataFrame(_random_rows(dates), schema=COLUMNS, orient="row")
    source = _write(frame.select(COLUMNS[::-1]), kind, tmp_path)
    log = BehaviorLog.from_frame(source, "user", "item", "time", category="kind", label="click")

    rows = _random_rows(dates)
    if dates:
        epoch = datetime.datetime(1970, 1, 1)
        micro = datetime.timedelta(microseconds=1)
        rows = [(*row[:2], (row[2] - epoch) // micro, *row[3:]) for row in rows]
    assert _decoded(log) == _naive(rows)
    assert log.item_ids.to_list() == sorted({row[1] for row in rows})
    assert log.user_ids.to_list() == sorted({row[0] for row in rows})
    assert log.category_ids.to_list()[0] is None
    for item, category in zip(log.item_ids, log.item_category.tolist(), strict=True):
        counts = Counter(row[3] for row in rows if row[1] == item)
        most = max(counts.values())
        best = sorted((k for k in counts if counts[k] == most), key=lambda k: (k is not None, k))
        assert log.category_ids[category] == best[0]
    # A pandas integer column with gaps is a float column; the numbers are the same.
    reference = BehaviorLog.from_frame(frame, "user", "item", "time", "kind", "click")
    if kind == "pandas":
        log = BehaviorLog(**{**vars(log), "category_ids": log.category_ids.cast(pl.Int64)})
    _same(log, reference)


@given(
    st.lists(
        st.tuples(
            st.integers(-5, 5), st.sampled_from("abcde"), st.integers(0, 3), st.none(), st.just(1.0)
        ),
        min_size=1,
        max_size=40,
    )
)
@settings(max_examples=60, deadline=None)
def test_from_frame_sorts_by_time_and_draws_the_order_of_ties(rows):
    frame = pl.DataFrame(rows, schema=COLUMNS, orient="row")
    log = BehaviorLog.from_frame(frame, "user", "item", "time", label="click")
    assert _decoded(log) == _naive(rows)
    assert log.user_ids.to_list() == sorted({row[0] for row in rows})
    assert log.item_ids.to_list() == sorted({row[1] for row in rows})
    assert int(log.ptr[-1]) == log.num_behaviors == len(rows)  # repeated rows are kept


def test_from_frame_does_not_depend_on_the_order_of_rows():
    frame = pl.DataFrame({"u": [1, 2, 1, 2], "i": ["b", "a", "a", "c"], "t": [1, 2, 3, 4]})
    one = BehaviorLog.from_frame(frame, "u", "i", "t")
    _same(one, BehaviorLog.from_frame(frame[[3, 1, 0, 2]], "u", "i", "t"))


def test_repeated_rows_and_a_user_with_one_behavior_are_kept():
    frame = pl.DataFrame({"u": [1, 1, 1, 2], "i": [5, 5, 5, 6], "t": [1, 1, 1, 1]})
    log = BehaviorLog.from_frame(frame, "u", "i", "t")
    assert log.items.tolist() == [0, 0, 0, 1]
    assert log.ptr.tolist() == [0, 3, 4]
    assert log.item_counts().tolist() == [3, 1]


@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Tokyo"])
def test_nanoseconds_order_behaviors_of_one_microsecond(zone):
    stamps = [1_651_399_200_123_456_999, 1_651_399_200_123_456_001, 1_651_399_200_123_456_500]
    times = pl.Series(stamps).cast(pl.Datetime("ns", zone))
    frame = pl.DataFrame({"u": [1] * 3, "i": ["a", "b", "c"], "t": times})
    log = BehaviorLog.from_frame(frame, "u", "i", "t")
    assert log.item_ids.gather(log.items.numpy()).to_list() == ["b", "c", "a"]
    assert log.times.tolist() == [1_651_399_200_123_456] * 3


def test_digits_of_a_decimal_order_behaviors_of_one_float_number():
    text = pl.Series(["1651399200.000000003", "1651399200.000000001", "1651399200.000000002"])
    for times in (text, text.cast(pl.Decimal(20, 9))):
        frame = pl.DataFrame({"u": [1] * 3, "i": ["a", "b", "c"], "t": times})
        log = BehaviorLog.from_frame(frame, "u", "i", "t")
        assert log.item_ids.gather(log.items.numpy()).to_list() == ["b", "c", "a"]
        assert log.times.tolist() == [1651399200.0] * 3


def test_ids_of_a_csv_are_not_changed(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("u,i,t,n\n01,9223372036854775808,1,10\n1,5,2,9\n010,5,3,9\n")
    log = BehaviorLog.from_frame(path, "u", "i", "t")
    assert log.user_ids.to_list() == ["01", "010", "1"]
    assert log.item_ids.to_list() == ["5", "9223372036854775808"]
    assert log.items.tolist() == [1, 0, 0]
    assert log.times.tolist() == [1, 3, 2]
    assert BehaviorLog.from_frame(path, "u", "n", "t").item_ids.to_list() == [9, 10]


def test_ids_beyond_int64_of_a_frame():
    big = pl.Series([2**64 - 1, 2**63, 7, 2**63], dtype=pl.UInt64)
    log = BehaviorLog.from_frame(pl.DataFrame({"u": [1] * 4, "i": big, "t": range(4)}), *"uit")
    assert log.item_ids.to_list() == [7, 2**63, 2**64 - 1]
    assert log.items.tolist() == [2, 1, 0, 1]


def test_category_is_the_most_frequent_one():
    frame = pl.DataFrame(
        {
            "u": [1] * 9,
            "i": ["a", "a", "a", "b", "b", "c", "d", "d", "d"],
            "t": range(9),
            "c": ["y", "x", "y", "y", "x", None, None, None, "x"],
        }
    )
    log = BehaviorLog.from_frame(frame, *"uit", category="c")
    assert log.category_ids.to_list() == [None, "x", "y"]
    assert log.num_categories == 3
    # a: y twice; b: a tie, the smallest; c and d: mostly missing.
    assert log.item_category.tolist() == [2, 1, 0, 0]


def test_missing_categories_of_any_kind_are_one_category():
    base = {"u": [1, 1, 1], "i": [1, 2, 3], "t": [1, 2, 3]}
    floats = pl.DataFrame({**base, "c": [2.0, float("nan"), None]})
    every = pl.DataFrame({**base, "c": pl.Series([None] * 3, dtype=pl.String)})
    log = BehaviorLog.from_frame(floats, *"uit", category="c")
    assert log.category_ids.to_list() == [None, 2.0]
    assert log.item_category.tolist() == [1, 0, 0]
    log = BehaviorLog.from_frame(every, *"uit", category="c")
    assert log.category_ids.to_list() == [None]
    assert log.item_category.tolist() == [0, 0, 0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("column", "values", "row", "message"),
    [
        ("user", ["a", None, "b"], 1, "None is missing"),
        ("item", [4, 5, None], 2, "None is missing"),
        ("time", [None, 1.5, 2.5], 0, "None is missing"),
        ("time", [0.5, float("inf"), 2.5], 1, "inf is not a time"),
        ("time", ["1", "2", "later"], 2, "'later' is not a time"),
        ("click", [0, 1, 2], 2, "'?2.* is not a label"),
        ("click", [0.5, 1, 2], 0, "'?0.5.* is not a label"),
    ],
)
def test_from_frame_names_the_bad_row(tmp_path, kind, column, values, row, message):
    parts = {"user": [1, 1, 2], "item": [3, 4, 5], "time": [1, 2, 3], "click": [0, 1, 0]}
    frame = pl.DataFrame({**parts, column: values}, strict=False)
    source = _write(frame, kind, tmp_path)
    place = rf"line {row + 2}" if "csv" in kind else rf"row {row} \(from 0\)"
    with pytest.raises(InputError, match=f"column '{column}', {place}: {message}"):
        BehaviorLog.from_frame(source, "user", "item", "time", label="click")


def test_from_frame_refuses_a_missing_column():
    with pytest.raises(InputError, match=r"no column 'when'; its columns are \['u', 'i', 't'\]"):
        BehaviorLog.from_frame(pl.DataFrame({"u": [1], "i": [1], "t": [1]}), "u", "i", "when")


def _parts(**changes):
    parts = {
        "items": torch.tensor([0, 1, 1]),
        "ptr": torch.tensor([0, 2, 3]),
        "times": torch.tensor([1, 2, 3]),
        "user_ids": pl.Series(["a", "b"]),
        "item_ids": pl.Series([10, 20]),
    }
    return {**parts, **changes}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ptr": torch.tensor([0, 3])}, "ptr does not cut 3 behaviours among 2 users"),
        ({"ptr": torch.tensor([0, 2, 4])}, "ptr does not cut"),
        ({"ptr": torch.tensor([1, 2, 3])}, "ptr does not cut"),
        ({"ptr": torch.tensor([0, 4, 3])}, "ptr does not cut"),
        ({"times": torch.tensor([1, 2])}, r"times has shape \[2\], not \[3\]"),
        ({"labels": torch.ones(3, 1)}, r"labels has shape \[3, 1\], not \[3\]"),
        ({"items": torch.tensor([0, 1, 2])}, r"items must lie in 0\.\.1"),
        ({"items": torch.tensor([0, -1, 1])}, r"items must lie in 0\.\.1"),
        ({"item_category": torch.tensor([0, 0])}, "go together"),
        ({"category_ids": pl.Series(["x"])}, "go together"),
        (
            {"item_category": torch.tensor([0]), "category_ids": pl.Series(["x"])},
            r"item_category has shape \[1\], not \[2\]",
        ),
        (
            {"item_category": torch.tensor([0, 1]), "category_ids": pl.Series(["x"])},
            r"item_category must lie in 0\.\.0",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes, message):
    BehaviorLog(**_parts())
    with pytest.raises(InputError, match=message):
        BehaviorLog(**_parts(**changes))


def test_sizes_users_and_repr(log, labelled_log):
    assert (log.num_users, log.num_items, log.num_categories) == (60, 40, 5)
    assert log.users.tolist() == [
        user for user in range(60) for _ in range(int(log.ptr[user]), int(log.ptr[user + 1]))
    ]
    counts = Counter(log.items.tolist())
    assert log.item_counts().tolist() == [counts[item] for item in range(40)]
    assert repr(BehaviorLog(**_parts())) == "BehaviorLog(users=2, items=2, behaviors=3)"
    clicks = int(labelled_log.labels.sum())
    assert repr(labelled_log) == (
        f"BehaviorLog(users=60, items=40, behaviors={labelled_log.num_behaviors},"
        f" positives={clicks}, categories=5)"
    )
    assert BehaviorLog(**_parts()).num_categories == 0


def test_select_keeps_vocabularies(labelled_log):
    mask = torch.from_numpy(np.random.default_rng(0).random(labelled_log.num_behaviors) < 0.3)
    mask[: int(labelled_log.ptr[2])] = False  # two users lose everything
    part = labelled_log.select(mask)
    kept = mask.tolist()
    for user in range(labelled_log.num_users):
        rows = [r for r in range(*labelled_log.ptr[user : user + 2].tolist()) if kept[r]]
        window = slice(*part.ptr[user : user + 2].tolist())
        for name in ("items", "times", "labels"):
            assert (
                getattr(part, name)[window].tolist() == getattr(labelled_log, name)[rows].tolist()
            )
    assert part.num_behaviors == sum(kept)
    assert part.user_ids is labelled_log.user_ids
    assert part.item_ids is labelled_log.item_ids
    assert torch.equal(part.item_category, labelled_log.item_category)


def test_positives(log, labelled_log):
    assert log.positives() is log
    positives = labelled_log.positives()
    assert positives.labels is None
    rows = [r for r, label in enumerate(labelled_log.labels.tolist()) if label == 1]
    assert positives.items.tolist() == labelled_log.items[rows].tolist()
    assert positives.times.tolist() == labelled_log.times[rows].tolist()
    assert positives.users.tolist() == labelled_log.users[rows].tolist()
    assert positives.num_categories == 5


def test_save_and_load(tmp_path, log, labelled_log):
    frame = pl.DataFrame({"u": ["a", "b"], "i": ["007", "x"], "t": [0.5, 1.5]})
    plain = BehaviorLog.from_frame(frame, "u", "i", "t")
    sparse = log.select(log.users > 3)  # users without behaviours
    for number, saved in enumerate((log, labelled_log, plain, sparse)):
        folder = tmp_path / "new" / str(number)
        saved.save(str(folder))
        _same(BehaviorLog.load(folder), saved)


def test_save_over_another_log(tmp_path, log, labelled_log):
    labelled_log.save(tmp_path)
    plain = BehaviorLog(**{**vars(log), "item_category": None, "category_ids": None})
    plain.save(tmp_path)
    _same(BehaviorLog.load(tmp_path), plain)


def test_a_changed_value_does_not_pass(tmp_path):
    ids = [f"user{number:04}" for number in range(50)]
    BehaviorLog.from_frame(pl.DataFrame({"u": ids, "i": ids, "t": range(50)}), "u", "i", "t").save(
        tmp_path
    )
    path = tmp_path / "users.parquet"
    content = path.read_bytes()
    sound = pl.read_parquet(path)
    refused = 0
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1
        path.write_bytes(changed)
        try:
            found = BehaviorLog.load(tmp_path)
        except InputError:
            refused += 1
        else:  # a byte that says nothing of the values
            assert found.user_ids.to_list() == sound["user_id"].to_list()
    assert refused > len(content) / 2


def test_load_refuses_what_does_not_fit(tmp_path, log):
    with pytest.raises(InputError, match=r"behaviors\.parquet cannot be read"):
        BehaviorLog.load(tmp_path)
    log.save(tmp_path)
    original = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert sorted(path.name for path in original) == [
        "behaviors.parquet",
        "categories.parquet",
        "items.parquet",
        "users.parquet",
    ]
    for path, content in original.items():
        path.write_bytes(content[: len(content) // 2])
        with pytest.raises(InputError, match=f"{path.stem}.parquet cannot be read"):
            BehaviorLog.load(tmp_path)
        path.unlink()
        with pytest.raises(InputError, match=f"{path.stem}.parquet cannot be read"):
            BehaviorLog.load(tmp_path)
        frame = pl.read_parquet(content)
        frame[:-1].write_parquet(path)
        with pytest.raises(InputError, match=r"ptr does not cut|must lie in|has shape"):
            BehaviorLog.load(tmp_path)
        frame.rename({frame.columns[0]: "other"}).write_parquet(path)
        with pytest.raises(InputError, match=f"{path.stem}.parquet has no column"):
            BehaviorLog.load(tmp_path)
        path.write_bytes(content)
    _same(BehaviorLog.load(tmp_path), log)


@pytest.mark.parametrize(
    "mask",
    [torch.ones(3, dtype=torch.bool), torch.ones(9, dtype=torch.bool), torch.arange(4)],
    ids=["short", "long", "numbers"],
)
def test_a_mask_that_does_not_fit_is_refused(make_log, mask):
    with pytest.raises(InputError, match=r"mask is .*, not bool \[4\]"):
        make_log([[0, 1], [2, 0]]).select(mask)


@pytest.mark.parametrize(
    ("role", "values"),
    [
        ("time", pl.Series([2**62]).cast(pl.Datetime("ms"))),
        ("time", pl.Series([2**31 - 1], dtype=pl.Int32).cast(pl.Date)),
        ("user", pd.Series([Decimal("1e50")], dtype=object)),
        ("item", pd.Series([Decimal("1e50")], dtype=object)),
    ],
)
def test_what_polars_panics_at_is_refused(role, values):
    """A PanicException is no Exception: ``except Exception`` would not catch it."""
    columns = {"user": [1], "item": [2], "time": [3], role: values}
    frame = pd.DataFrame(columns) if isinstance(values, pd.Series) else pl.DataFrame(columns)
    with pytest.raises(InputError):
        BehaviorLog.from_frame(frame, "user", "item", "time")


def test_a_log_takes_the_place_of_a_log_alone(tmp_path, log):
    place = tmp_path / "items.parquet"
    for columns in ({"item_id": [1], "vector": [2.0]}, {"item": [1], "count": [2]}):
        pl.DataFrame(columns).write_parquet(place)
        before = place.read_bytes()
        with pytest.raises(InputError, match=r"items\.parquet belongs to something else"):
            log.save(tmp_path)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {place.name: before}


def test_a_log_that_cannot_be_saved(tmp_path, log):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written: Not a directory"):
        log.save(tmp_path / "file")
