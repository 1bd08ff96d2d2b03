import datetime
import math

import hypothesis.strategies as st
import polars as pl
import pytest
import torch
from hypothesis import given, settings

from resemb_gnn import BehaviorLog, InputError
from resemb_gnn.data import TIME_FEATURES, first_times, last_times, time_columns

START = datetime.datetime(2024, 5, 31, 22, 30)  # a Friday
_ROWS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 400_000)),
    min_size=1,
    max_size=30,
)


def frame(rows, dates=True):
    table = pl.DataFrame(rows, schema=["u", "i", "t"], orient="row")
    return table.with_columns(t=START + pl.duration(seconds="t")) if dates else table


def features(rows, names=TIME_FEATURES, dates=True):
    """The features in the order of the rows."""
    log = BehaviorLog.from_frame(frame(rows, dates), "u", "i", "t", time_features=names)
    return log.features.context[log.rows.argsort()].decode().to_dicts(), log


def rounded(number):
    return None if number is None else round(number, 4)


@settings(deadline=None)
@given(_ROWS)
def test_features_are_those_of_a_plain_loop(rows):
    found, _ = features(rows)
    for (user, item, time), row in zip(rows, found, strict=True):
        moment = START + datetime.timedelta(seconds=time)
        assert row["hour"] == moment.hour
        assert row["weekday"] == moment.isoweekday()
        age = time - min(t for _, i, t in rows if i == item)
        assert rounded(row["item_age"]) == pytest.approx(math.log1p(age), abs=1e-3)
        before = [t for u, _, t in rows if u == user and t < time]
        gap = math.log1p(time - max(before)) if before else None
        assert rounded(row["gap"]) == (gap if gap is None else pytest.approx(gap, abs=1e-3))


@settings(deadline=None)
@given(_ROWS, st.integers(0, 400_000))
def test_later_rows_change_nothing(rows, until):
    earlier = [row for row in rows if row[2] <= until]
    if earlier:
        found, _ = features(rows)
        kept = [one for one, row in zip(found, rows, strict=True) if row[2] <= until]
        assert features(earlier)[0] == kept


@settings(deadline=None)
@given(_ROWS)
def test_a_row_to_come_has_the_features_that_it_gets_in_the_log(rows):
    *before, (user, item, _) = rows
    if not before:
        return
    time = 1 + max(t for _, _, t in rows)
    want = features([*before, (user, item, time)])[0][-1]
    _, log = features(before)
    moments = frame([(user, item, time)])["t"].to_physical().to_torch()
    none = torch.tensor([math.nan], dtype=torch.float64)
    first, last = none, none
    if item in log.item_ids:
        first = first_times(log.items, log.times, log.num_items)[[log.item_ids.index_of(item)]]
    if user in log.user_ids:
        last = last_times(log.users, log.times, log.num_users)[[log.user_ids.index_of(user)]]
    found = time_columns(TIME_FEATURES, moments, True, first, last).row(0, named=True)
    assert found["hour"] == want["hour"]
    assert found["weekday"] == want["weekday"]
    for name in ("item_age", "gap"):
        assert rounded(found[name]) == (want[name] and pytest.approx(want[name], abs=1e-3))


def test_times_that_are_no_dates_count_in_their_own_unit():
    found, log = features([(0, 0, 1), (0, 0, 4), (1, 0, 9)], ("gap", "item_age"), dates=False)
    assert [one.kind for one in log.features.context] == ["numeric", "numeric"]
    assert [rounded(row["gap"]) for row in found] == [None, rounded(math.log(4)), None]
    assert [rounded(row["item_age"]) for row in found] == [
        rounded(math.log1p(age)) for age in (0, 3, 8)
    ]


def test_dates_in_text_are_dates():
    table = frame([(0, 0, 0), (0, 0, 9000)]).with_columns(pl.col("t").dt.to_string("iso"))
    log = BehaviorLog.from_frame(table, "u", "i", "t", time_features=["weekday", "hour"])
    assert [one.kind for one in log.features.context] == ["category", "category"]
    assert log.features.context.decode().rows() == [(5, 22), (6, 1)]


def test_they_stand_behind_the_context():
    table = frame([(0, 0, 0), (0, 0, 9)]).with_columns(tab=pl.lit("a"))
    log = BehaviorLog.from_frame(table, "u", "i", "t", context=["tab"], time_features=["gap"])
    assert list(log.features.context.features) == ["tab", "gap"]


def test_what_is_not_given_is_named():
    times = torch.tensor([1, 2])
    with pytest.raises(InputError, match="'gap' needs the times that it counts from"):
        time_columns(["gap"], times, True)
    with pytest.raises(InputError, match="times 2, start 1"):
        time_columns(["item_age"], times, True, first_of_item=times[:1])
    with pytest.raises(InputError, match="'weekday' needs dates"):
        time_columns(["weekday"], times, False)
    with pytest.raises(InputError, match="'age' is unknown; choose from hour, weekday"):
        time_columns(["age"], times, True)


def test_items_and_users_without_a_behaviour_have_no_time():
    items, times = torch.tensor([2, 0, 2]), torch.tensor([5, 7, 3])
    assert first_times(items, times, 3).nan_to_num(-1).tolist() == [7, -1, 3]
    assert last_times(items, times, 3).nan_to_num(-1).tolist() == [7, -1, 5]
