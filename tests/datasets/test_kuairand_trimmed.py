import datetime

import polars as pl
import pytest
import torch

from resemb_gnn import InputError
from resemb_gnn.datasets import KuaiRandPureTrimmed, load_source

APRIL_25 = 1_650_816_000_000  # midnight of Beijing, milliseconds
DAY = 86_400_000


def write(folder, **changes):
    columns = ["user_id", "video_id", "time_ms", "is_click", "long_view", "is_rand", "tab"]
    valid = [
        (7, 1, APRIL_25 - 9, 1, 1, 0, 1),  # before the history's end
        (7, 2, APRIL_25 + 5, 0, 0, 0, 1),
        (9, 1, APRIL_25 + DAY, 1, 0, 0, 1),
        (7, 3, APRIL_25 + 5 * DAY, 1, 1, 0, 1),
        (9, 2, APRIL_25 + 5 * DAY, 0, 1, 0, 1),
    ]
    test = [(7, 1, APRIL_25 + 7 * DAY, 0, 0, 0, 1), (9, 3, APRIL_25 + 6 * DAY, 1, 0, 0, 1)]
    histories = {
        "user_id": [7, 8, 9],
        "last_time_ms": [APRIL_25 - 5, APRIL_25 - 99, APRIL_25 - 7],
        "positive_history": [[3, 1, 3], [4, 2], []],
    }
    items = {"video_id": [1, 2, 3, 4, 5], "tag": ["8,9", "9", "10", "8", "11"]}
    frames = {
        "exposures_val": pl.DataFrame(valid, schema=columns, orient="row"),
        "exposures_test": pl.DataFrame(test, schema=columns, orient="row"),
        "histories": pl.DataFrame(histories),
        "items": pl.DataFrame(items),
        **changes,
    }
    folder.mkdir(exist_ok=True)
    for name, frame in frames.items():
        frame.write_parquet(folder / f"{name}.parquet")


def test_histories_come_before_exposures_and_train_nothing(tmp_path):
    write(tmp_path / "raw")
    source = load_source(f"kuairand:{tmp_path}")
    log = source.log
    assert log.user_ids.to_list() == [7, 8, 9]
    assert [log.item_ids[item] for item in log.items.tolist()] == [
        1,
        3,
        1,
        3,
        2,
        3,
        1,
        4,
        2,
        1,
        2,
        3,
    ]
    assert log.labels.tolist() == [1, 1, 1, 1, 0, 1, 0, 1, 1, 1, 0, 1]
    assert [log.category_ids[n] for n in log.item_category.tolist()] == [8, 9, 10, 8]
    assert log.features.items.features["tag"].decode().to_list() == [[8, 9], [9], [10], [8]]
    assert log.features.items.features["author_id"].missing().all()
    # Histories were shown in no tab that is known.
    shown = [tab is None for tab in log.features.context.features["tab"].decode()]
    assert [place for place, tab in enumerate(shown) if tab] == [1, 2, 3, 7, 8]
    split = source.make_split()
    assert split.settings["train_from"] == APRIL_25 * 1000
    batch = split.train.batch(torch.arange(2))
    assert batch.user.tolist() == [0, 2]
    assert batch.label.tolist() == [0, 1]
    assert [log.item_ids[item] for item in batch.history.tolist()] == [1, 3, 1, 3]
    assert (len(split.valid), len(split.test)) == (2, 2)
    assert split.history.ptr.tolist() == [0, 4, 6, 7]  # histories and training clicks


def test_bad_histories_are_refused(tmp_path):
    flat = pl.DataFrame({"user_id": [7], "last_time_ms": [1], "positive_history": [3]})
    write(tmp_path, histories=flat)
    with pytest.raises(InputError, match=r"histories\.parquet, column 'positive_history' holds I"):
        KuaiRandPureTrimmed(tmp_path)
    late = flat.with_columns(pl.col("positive_history").implode(), last_time_ms=10**17)
    write(tmp_path, histories=late)
    with pytest.raises(InputError, match=r"histories\.parquet, column 'last_time_ms', row 0 .*ms"):
        KuaiRandPureTrimmed(tmp_path)
    write(tmp_path, histories=flat.drop("last_time_ms"))
    with pytest.raises(InputError, match=r"histories\.parquet has no column 'last_time_ms'"):
        KuaiRandPureTrimmed(tmp_path)
    (tmp_path / "items.parquet").unlink()
    with pytest.raises(InputError, match=r"raw/exposures_val\.parquet is not there"):
        KuaiRandPureTrimmed(tmp_path)


def test_real_data(shared_data):
    folder = shared_data / "kuairand_pure"
    before = sorted(folder.iterdir())
    source = load_source(f"kuairand:{folder}")
    assert sorted(folder.iterdir()) == before
    frames = {path.stem: pl.read_parquet(path) for path in folder.glob("*.parquet")}
    exposures = pl.concat([frames["exposures_val"], frames["exposures_test"]])
    histories = frames["histories"].explode("positive_history").drop_nulls("positive_history")
    log = source.log
    assert log.num_behaviors == exposures.height + histories.height
    assert log.num_categories > 30
    videos = frames["items"].sort("video_id").filter(pl.col("video_id").is_in(log.item_ids))
    known = log.features.items.decode()
    assert known["author_id"].to_list() == videos["author_id"].to_list()
    tags = videos["tag"].str.split(",").to_list()
    assert [one or [] for one in known["tag"].to_list()] == [[t for t in one if t] for one in tags]
    assert known["video_duration"].to_list() == videos["video_duration"].to_list()
    context = log.features.context
    tabs = context.features["tab"].missing()
    assert int((~tabs).sum()) == exposures.height
    some = (~tabs).nonzero().flatten()[::997]
    uploaded = dict(videos.select("video_id", "upload_dt").iter_rows())
    for row, now in zip(some.tolist(), context[some].decode().iter_rows(named=True), strict=True):
        item, time = log.item_ids[int(log.items[row])], int(log.times[row]) / 1e6
        day = datetime.datetime.fromisoformat(uploaded[item] + "T00:00+08:00")
        assert now["upload_age"] == pytest.approx((time - day.timestamp()) / 86_400, rel=1e-4)
        assert now["hour"] == datetime.datetime.fromtimestamp(time, datetime.UTC).hour
        wanted = exposures.filter(
            (pl.col("video_id") == item)
            & (pl.col("user_id") == log.user_ids[int(log.users[row])])
            & (pl.col("time_ms") == int(log.times[row]) // 1000)
        )
        assert now["tab"] in wanted["tab"]
    split = source.make_split()
    time = pl.col("time_ms")
    midnights = [APRIL_25, APRIL_25 + 5 * DAY, APRIL_25 + 6 * DAY]
    for part, low, high in zip(
        (split.train, split.valid, split.test),
        midnights,
        [*midnights[1:], 2 * APRIL_25],
        strict=True,
    ):
        wanted = exposures.filter((time >= low) & (time < high))
        assert len(part) == wanted.height
        assert int(part.label.sum()) == wanted["is_click"].sum()
    # A user's test history, recounted: the long views, then the clicks before.
    user = int(split.test.user[1000])
    raw = log.user_ids[user]
    rows = exposures.filter(pl.col("user_id") == raw)
    history = histories.filter(pl.col("user_id") == raw)
    mine = (split.test.user == user).nonzero().flatten()
    batch = split.test.batch(mine)
    shown = rows.filter(time >= midnights[2]).sort("time_ms", maintain_order=True)
    for at, row in enumerate(shown.iter_rows(named=True)):
        clicks = rows.filter((time < row["time_ms"]) & (pl.col("is_click") == 1))
        clicks = clicks.sort("time_ms", maintain_order=True)["video_id"].to_list()
        got = batch.history[batch.ptr[at] : batch.ptr[at + 1]].tolist()
        want = history["positive_history"].to_list() + clicks
        assert [log.item_ids[item] for item in got] == want
        assert float(batch.label[at]) == row["is_click"]
