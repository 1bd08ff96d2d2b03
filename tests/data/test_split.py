import datetime
from itertools import pairwise

import hypothesis.strategies as st
import numpy as np
import polars as pl
import pytest
import scipy.stats
import torch
from hypothesis import given, settings

from resemb_gnn import BehaviorLog, InputError
from resemb_gnn.data import split_log

NUM_ITEMS = 20  # of which histories hold the first 8: negatives are always left
PARTS = ("train", "valid", "test")
MODEST = settings(max_examples=60, deadline=None)


@st.composite
def _rows(draw, labelled=False):
    """Histories, sorted times with ties, and labels of up to 8 users."""
    sizes = draw(st.lists(st.integers(0, 7), min_size=4, max_size=8).filter(any))
    histories, times, labels = (
        [draw(st.lists(st.integers(0, top), min_size=n, max_size=n)) for n in sizes]
        for top in (7, 9, 1)
    )
    return histories, [sorted(part) for part in times], labels if labelled else None


def _listed(examples):
    """User, history, target and label of each example."""
    return [
        (user, examples.items[start:end].tolist(), target, label)
        for start, end, target, label, user in zip(
            *(
                getattr(examples, name).tolist()
                for name in ("start", "end", "target", "label", "user")
            ),
            strict=True,
        )
    ]


def _naive(rows, part_of, train_targets=None):
    """The positives (or logged rows) of each part and the training history, user by user.

    ``part_of(times, place)`` says which part a row belongs to.
    """
    histories, times, labels = rows
    parts = {name: [] for name in PARTS}
    graph = []
    for user, items in enumerate(histories):
        part = [part_of(times[user], place) for place in range(len(items))]
        training = [place for place in range(len(items)) if part[place] == "train"]
        if labels is None:
            graph.append([items[place] for place in training])
        else:
            graph.append([items[place] for place in training if labels[user][place]])
        if train_targets is not None:
            training = training[-train_targets:]
        for place, item in enumerate(items):
            if part[place] == "train" and place not in training:
                continue
            history = [
                items[p]
                for p in range(len(items))
                if (labels is None or labels[user][p]) and times[user][p] < times[user][place]
            ]
            if labels is not None or history:
                label = 1.0 if labels is None else float(labels[user][place])
                parts[part[place]].append((user, history, item, label))
    return parts, graph


def _check(split, rows, parts, graph, num_negatives=1):
    group = 1 + (num_negatives if rows[2] is None else 0)
    for name in PARTS:
        listed = _listed(getattr(split, name))
        assert listed[::group] == parts[name], name
        for number, (user, history, target, label) in enumerate(listed):
            if number % group:
                positive = listed[number - number % group]
                assert (user, history, label) == (*positive[:2], 0.0)
                assert target not in {*history, positive[2]}
    history = split.history
    assert history.labels is None
    bounds = history.ptr.tolist()
    assert [history.items[a:b].tolist() for a, b in pairwise(bounds)] == graph
    train = _listed(split.train)
    groups = {tuple(map(str, train[i : i + group])) for i in range(0, len(train), group)}
    sample = _listed(split.train_sample)
    assert {tuple(map(str, sample[i : i + group])) for i in range(0, len(sample), group)} <= groups
    return sample[::group]


def _split_or_reason(parts, make):
    """The split, or ``None`` after checking that it is refused because a part is empty."""
    empty = [name for name in PARTS if not parts[name]]
    if not empty:
        return make()
    words = {"train": "training", "valid": "validation", "test": "test"}
    with pytest.raises(InputError, match=f"leaves no {words[empty[0]]} example"):
        make()
    return None


@given(
    st.booleans().flatmap(_rows),
    st.none() | st.integers(1, 4),
    st.integers(1, 3),
    st.integers(0, 3),
)
@MODEST
def test_by_last(make_log, rows, train_targets, num_negatives, seed):
    histories, times, labels = rows

    def part_of(times, place):
        if len(times) < 3 or place < len(times) - 2:
            return "train"
        return "test" if place == len(times) - 1 else "valid"

    parts, graph = _naive(rows, part_of, train_targets)
    options = {
        "train_targets": train_targets,
        "num_negatives": num_negatives,
        "seed": seed,
    }
    log = make_log(histories, NUM_ITEMS, times, labels)
    split = _split_or_reason(parts, lambda: log.split(**options))
    if split is not None:
        sample = _check(split, rows, parts, graph, num_negatives)
        tested = {row[0] for row in parts["test"]}
        trained = {row[0] for row in parts["train"]}
        assert [row[0] for row in sample] == sorted(tested & trained)


@given(
    st.booleans().flatmap(_rows),
    st.sampled_from([(0, 5), (1, 2), (2, 4), (2, 6), (3, 9), (4, 5), (5, 10)]),
    st.none() | st.integers(1, 4),
    st.sampled_from([int, float]),
)
@MODEST
def test_by_time(make_log, rows, points, train_targets, kind):
    histories, times, labels = rows
    valid_from, test_from = points

    def part_of(times, place):
        if times[place] >= test_from:
            return "test"
        return "valid" if times[place] >= valid_from else "train"

    parts, graph = _naive(rows, part_of, train_targets)
    log = make_log(histories, NUM_ITEMS, [[kind(time) for time in part] for part in times], labels)
    split = _split_or_reason(
        parts,
        lambda: split_log(
            log, "time", valid_from=valid_from, test_from=test_from, train_targets=train_targets
        ),
    )
    if split is not None:
        sample = _check(split, rows, parts, graph)
        assert len(sample) == min(len(parts["test"]), len(parts["train"]))


def test_by_time_cuts_after_80_and_90_percent_of_the_rows(make_log):
    # 5 users with 4 rows each at times 0..19, shuffled between users.
    order = np.random.default_rng(0).permutation(20).reshape(5, 4)
    times = np.sort(order, axis=1).tolist()
    log = make_log([[0, 1, 2, 3]] * 5, NUM_ITEMS, times)
    split = log.split("time")
    assert (split.settings["valid_from"], split.settings["test_from"]) == (16, 18)
    assert split.history.times.max() == 15
    assert split.history.num_behaviors == 16


def test_points_of_time_are_exact(make_log):
    """Microseconds since 1970 differ in digits that a 32-bit float does not hold."""
    start = 1_650_000_000_000_000
    log = make_log([[0, 1, 2, 3, 4, 5]], NUM_ITEMS, [[start + place for place in range(6)]])
    for kind in (int, float, str):
        split = log.split("time", valid_from=kind(start + 3), test_from=kind(start + 5))
        assert split.history.items.tolist() == [0, 1, 2]
        assert split.valid.target[::2].tolist() == [3, 4]
    nano = make_log([[0, 1, 2, 3]], NUM_ITEMS, [[start * 1000 + place for place in range(4)]])
    split = nano.split("time", valid_from=start * 1000 + 2, test_from=start * 1000 + 3)
    assert split.history.items.tolist() == [0, 1]
    assert split.settings["test_from"] == start * 1000 + 3


@pytest.mark.parametrize(
    "points",
    [
        ("2024-05-03", "2024-05-04T12:00:00"),
        (datetime.date(2024, 5, 3), datetime.datetime(2024, 5, 4, 12)),
    ],
)
def test_points_of_time_as_dates(make_log, points):
    epoch = datetime.datetime(1970, 1, 1)
    days = [(datetime.datetime(2024, 5, day) - epoch).days * 86_400_000_000 for day in range(1, 7)]
    log = make_log([[0, 1, 2, 3, 4, 5]], NUM_ITEMS, [days])
    split = log.split("time", valid_from=points[0], test_from=points[1])
    assert split.history.items.tolist() == [0, 1]
    assert split.valid.target[::2].tolist() == [2, 3]
    assert split.test.target[::2].tolist() == [4, 5]


@given(_rows(labelled=True), st.integers(0, 9), st.sampled_from(["last", "time"]))
@MODEST
def test_rows_before_train_from_are_history_only(make_log, rows, train_from, by):
    log = make_log(rows[0], NUM_ITEMS, rows[1], rows[2])
    points = {"valid_from": 5, "test_from": 8} if by == "time" else {}

    def part_of(times, place):
        if by == "time":
            return PARTS[(times[place] >= 5) + (times[place] >= 8)]
        left = len(times) - place
        return "train" if len(times) < 3 or left > 2 else PARTS[3 - left]

    parts, graph = _naive(rows, part_of)
    # An example's own time is not listed: drop it by its place among the user's training rows.
    times = [
        time
        for user in rows[1]
        for place, time in enumerate(user)
        if part_of(user, place) == "train"
    ]
    parts["train"] = [row for row, t in zip(parts["train"], times, strict=True) if t >= train_from]
    split = _split_or_reason(parts, lambda: log.split(by, train_from=train_from, **points))
    if split is not None:
        _check(split, rows, parts, graph)
        assert split.settings["train_from"] == train_from


def test_rows_shown_together_do_not_tell_each_others_labels(make_log):
    log = make_log([[0, 1, 2, 3, 4]], NUM_ITEMS, times=[[1, 2, 2, 2, 3]], labels=[[1, 1, 0, 1, 1]])
    split = log.split("time", valid_from=2, test_from=3)
    assert [row[1] for row in _listed(split.valid)] == [[0], [0], [0]]
    assert [row[1] for row in _listed(split.test)] == [[0, 1, 3]]
    assert [row[1] for row in _listed(split.train)] == [[]]


@pytest.mark.parametrize("by", ["last", "time"])
def test_history_of_the_graph_holds_nothing_of_validation_and_test(log, labelled_log, by):
    for whole in (log, labelled_log):
        split = whole.split(by)
        positives = whole.positives()
        late = len(split.valid[split.valid.label > 0]) + len(split.test[split.test.label > 0])
        assert split.history.num_behaviors == positives.num_behaviors - late
        for user in range(whole.num_users):
            kept = split.history.items[split.history.users == user]
            every = positives.items[positives.users == user]
            assert torch.equal(kept, every[: kept.numel()])
        if by == "time":
            assert int(split.history.times.max()) < split.settings["valid_from"]


@pytest.mark.parametrize("negatives", ["uniform", "popularity"])
def test_negatives_of_a_part_depend_on_the_seed_alone(log, negatives):
    def targets(split):
        return [getattr(split, name).target for name in PARTS]

    one = targets(log.split(negatives=negatives, seed=1))
    again = targets(log.split(negatives=negatives, seed=1))
    other = targets(log.split(negatives=negatives, seed=2))
    shorter = targets(log.split(negatives=negatives, seed=1, train_targets=1))
    for which in range(3):
        assert torch.equal(one[which], again[which])
        assert torch.equal(one[which][::2], other[which][::2])
        assert not torch.equal(one[which][1::2], other[which][1::2])
    assert shorter[0].numel() < one[0].numel()
    assert torch.equal(shorter[1], one[1])
    assert torch.equal(shorter[2], one[2])


def test_training_sample_depends_on_the_seed(log):
    one, again, other = (log.split(seed=seed).train_sample for seed in (1, 1, 2))
    assert _listed(one) == _listed(again)
    assert _listed(one)[::2] != _listed(other)[::2]  # of the positives, not only of negatives
    assert one.user[::2].tolist() == list(range(log.num_users))


def _drawn_and_expected(log, negatives, weight):
    """How often the test negatives were each item, and how often the weights would have it."""
    drawn, expected = np.zeros(len(weight)), np.zeros(len(weight))
    for _, history, target, label in _listed(log.split(negatives=negatives, num_negatives=40).test):
        if label:
            left = np.array(weight, dtype=float)
            left[[*history, target]] = 0
            expected += 40 * left / left.sum()
        else:
            drawn[target] += 1
    return drawn, expected


def test_popularity_negatives_are_drawn_in_proportion_to_training_counts(make_log):
    rng = np.random.default_rng(0)
    share = np.arange(1, 13) / np.arange(1, 13).sum()
    histories = rng.choice(12, size=(60, 5), p=share).tolist()
    for history in histories[:30]:
        history[-1] = 12  # of the test alone: never drawn
    log = make_log(histories, num_items=14)  # 13 is of nobody
    counts = np.bincount(np.array(histories)[:, :-2].ravel(), minlength=14)
    popular, popular_expected = _drawn_and_expected(log, "popularity", counts)
    uniform, uniform_expected = _drawn_and_expected(log, "uniform", np.ones(14))
    assert popular[12:].sum() == 0
    assert scipy.stats.chisquare(popular[:12], popular_expected[:12]).pvalue > 0.05
    assert scipy.stats.chisquare(uniform, uniform_expected).pvalue > 0.05
    assert (uniform > 0).all()


def test_user_who_has_seen_all_but_one_item(make_log):
    log = make_log([[0, 1, 2, 3, 4], [0, 0, 0]], num_items=6)
    split = log.split(num_negatives=3)
    assert split.test.target.tolist()[:4] == [4, 5, 5, 5]


def test_user_who_has_seen_all_items_is_refused(make_log):
    log = make_log([[0, 1, 2, 3, 4, 5], [0, 0, 0]])
    with pytest.raises(InputError, match="user number 0 has acted on every item"):
        log.split()


def test_single_item_is_refused(make_log):
    with pytest.raises(InputError, match="negatives cannot be drawn: of 1 items"):
        make_log([[0, 0, 0, 0]]).split()
    # With labels no negative is needed.
    labelled = make_log([[0, 0, 0, 0]], labels=[[1, 0, 1, 0]])
    assert len(labelled.split().train) == 2


def test_popularity_without_two_training_items_is_refused(make_log):
    log = make_log([[0, 0, 1, 2], [0, 0, 2, 1]], num_items=4)
    assert log.split("time", valid_from=2, test_from=3).train.target.unique().numel() > 1
    with pytest.raises(InputError, match="of 4 items fewer than two can be a negative"):
        log.split("time", valid_from=2, test_from=3, negatives="popularity")


def test_settings_tell_how_the_log_was_split(log, labelled_log):
    split = log.split("last", negatives="popularity", num_negatives=2, train_targets=3, seed=4)
    assert split.settings == {
        "by": "last",
        "negatives": "popularity",
        "num_negatives": 2,
        "train_targets": 3,
        "seed": 4,
    }
    split = labelled_log.split("time", valid_from=1050, test_from=1080)
    assert split.settings == {
        "by": "time",
        "negatives": "logged",
        "num_negatives": None,
        "train_targets": None,
        "seed": 0,
        "valid_from": 1050,
        "test_from": 1080,
    }
    sizes = f"train={len(split.train)}, valid={len(split.valid)}, test={len(split.test)}"
    assert repr(split) == f"Split({sizes}, by='time')"
    total = len(split.train) + len(split.valid) + len(split.test)
    assert total == labelled_log.num_behaviors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "user"}, "split by='user' is unknown; choose from last, time"),
        ({"negatives": "hard"}, "negatives='hard' is unknown; choose from uniform, popularity"),
        ({"num_negatives": 0}, "num_negatives must be at least 1, not 0"),
        ({"train_targets": 0}, "train_targets must be at least 1, not 0"),
        ({"valid_from": 3}, "valid_from and test_from go with split by='time'"),
        ({"by": "time", "valid_from": 3}, "give both valid_from and test_from, or neither"),
        ({"by": "time", "test_from": 3}, "give both valid_from and test_from, or neither"),
        (
            {"by": "time", "valid_from": 3, "test_from": 3},
            "valid_from=3 must come before test_from=3",
        ),
        ({"by": "time", "valid_from": "soon", "test_from": 3}, "valid_from=soon is not a time"),
        ({"by": "time", "valid_from": float("nan"), "test_from": 3}, "nan is not a time"),
        (
            {"by": "time", "valid_from": 5000, "test_from": 6000},
            r"no validation example in BehaviorLog\(users=60.*, whose times run from \d+ to \d+$",
        ),
        ({"by": "time", "valid_from": 0, "test_from": 1050}, "leaves no training example"),
        ({"train_from": 5000}, "leaves no training example"),
        ({"train_from": "soon"}, "train_from=soon is not a time"),
    ],
)
def test_bad_options_are_refused(log, options, message):
    with pytest.raises(InputError, match=message):
        log.split(**options)


def test_log_read_from_a_frame_can_be_split():
    """Ids, times and order of a table come through to the examples."""
    rows = [
        ("b", 30, 2),
        ("a", 10, 1),
        ("c", 50, 9),
        ("a", 20, 3),
        ("b", 20, 1),
        ("a", 30, 2),
        ("b", 10, 3),
        ("a", 40, 4),
    ]
    frame = pl.DataFrame(rows, schema=["u", "i", "t"], orient="row")
    split = BehaviorLog.from_frame(frame, "u", "i", "t").split()
    assert [row[:3] for row in _listed(split.test)[::2]] == [(0, [0, 2, 1], 3), (1, [1, 2], 0)]
    assert [row[:3] for row in _listed(split.valid)[::2]] == [(0, [0, 2], 1), (1, [1], 2)]
    assert [row[:3] for row in _listed(split.train)[::2]] == [(0, [0], 2)]
