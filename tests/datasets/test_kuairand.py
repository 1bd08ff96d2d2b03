"""KuaiRand-Pure in the publishers' CSV format."""

import hashlib
import tarfile

import pytest
import torch

import resemb_gnn.datasets.kuairand as module
from resemb_gnn import InputError
from resemb_gnn.datasets import KuaiRandPure, load_source
from tests.ties import tie_key

LOG_HEADER = (
    "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,"
    "is_hate,long_view,play_time_ms,duration_ms,profile_stay_time,comment_stay_time,"
    "is_profile_enter,is_rand,tab"
)
VIDEO_HEADER = (
    "video_id,author_id,video_type,upload_dt,upload_type,visible_status,video_duration,"
    "server_width,server_height,music_id,music_type,tag"
)
USER_HEADER = "user_id,user_active_degree,is_lowactive_period,follow_user_num,onehot_feat1"
USERS = ["3,full_active,0,514,62", "9,high_active,1,7,"]  # of user 1 nothing is known
DAY = 86_400_000
MIDNIGHT = 1_649_347_200_000  # 8 April 2022 in Beijing
VIDEOS = [
    '0,7349781,NORMAL,2022-04-10,LongImport,0.0,87433.0,720.0,1280.0,9155697141,9.0,"39,68"',
    "1,2103883,NORMAL,2022-04-10,Kmovie,0.0,218066.0,720.0,1280.0,6355810746,9.0,2",
    "2,5067285,NORMAL,2022-04-09,ShortImport,0.0,,720.0,1280.0,6618412736,4.0,2",
    "3,5067286,NORMAL,2022-04-09,ShortImport,0.0,9233.0,720.0,1280.0,6618412736,4.0,",
    "4,5067287,AD,2022-04-09,Web,0.0,9233.0,720.0,1280.0,6618412736,4.0,68",
]


def shown(user, video, day, second, click, long_view=0, rand=0):
    """A row of a log: so many days and seconds after 8 April in Beijing."""
    time = MIDNIGHT + day * DAY + second * 1000 + 7
    date = 20220408 + day if day < 23 else 20220501 + day - 23
    feedback = f"{click},0,0,0,0,0,{long_view}"
    return f"{user},{video},{date},1600,{time},{feedback},1385,209900,0,0,0,{rand},1"


STANDARD = [
    [
        shown(3, 0, 0, 5, click=1, long_view=1),
        shown(3, 1, 1, 9, click=0),
        shown(3, 4, 1, 9, click=1),
        shown(1, 2, 2, 0, click=1),
        shown(1, 4, 3, 0, click=0, long_view=1),
    ],
    [
        shown(1, 0, 22, 0, click=1),  # 30 April
        shown(3, 1, 22, 60, click=0),
        shown(3, 0, 23, 0, click=0),  # 1 May
        shown(1, 1, 24, 0, click=1),
    ],
]
RANDOM = [shown(3, 3, 20, 0, click=0, rand=1)]


def write(folder, standard=STANDARD, videos=VIDEOS):
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "log_standard_4_08_to_4_21_pure.csv": [LOG_HEADER, *standard[0]],
        "log_standard_4_22_to_5_08_pure.csv": [LOG_HEADER, *standard[1]],
        "log_random_4_22_to_5_08_pure.csv": [LOG_HEADER, *RANDOM],
        "video_features_basic_pure.csv": [VIDEO_HEADER, *videos],
        "user_features_pure.csv": [USER_HEADER, *USERS],
    }
    for name, lines in files.items():
        (folder / name).write_text("\n".join(lines) + "\n")


def table(log):
    """The log's rows as (user, video, milliseconds, label)."""
    users = log.user_ids.gather(log.users.numpy())
    items = log.item_ids.gather(log.items.numpy())
    return list(zip(users, items, (log.times // 1000).tolist(), log.labels.tolist(), strict=True))


def rows(lines, column):
    names = LOG_HEADER.split(",")
    parts = [dict(zip(names, line.split(","), strict=True)) for line in lines]
    key = [
        (int(p["user_id"]), int(p["video_id"]), int(p["time_ms"]), float(p[column])) for p in parts
    ]
    return sorted(key, key=lambda row: (row[0], row[2], tie_key(*row[:2])))


@pytest.mark.parametrize("label", ["is_click", "long_view"])
@pytest.mark.parametrize("random", [False, True])
def test_exposures_with_labels_and_times(tmp_path, label, random):
    write(tmp_path / "raw")
    log = KuaiRandPure(tmp_path, label, random_exposures=random).log
    lines = STANDARD[0] + STANDARD[1] + (RANDOM if random else [])
    assert table(log) == rows(lines, label)
    assert bool((log.times % 1000 == 0).all())  # microseconds
    names = [log.category_ids[number] for number in log.item_category.tolist()]
    # Of five videos two have tag 2, two 68, one 39; video 3 has none.
    assert names == [68, 2, 2, *([None] if random else []), 68]


def test_features_of_videos_exposures_and_users(tmp_path):
    write(tmp_path / "raw")
    log = KuaiRandPure(tmp_path, random_exposures=True).log
    videos = log.features.items.decode().to_dict(as_series=False)
    assert videos == {
        "tag": [[39, 68], [2], [2], None, [68]],
        "author_id": [7349781, 2103883, 5067285, 5067286, 5067287],
        "video_duration": [87433, 218066, None, 9233, 9233],
    }
    context = log.features.context
    assert list(context.features) == ["tab", "upload_age", "hour"]
    assert context.features["tab"].decode().to_list() == [1] * log.num_behaviors
    # User 1 saw video 2, of 9 April, at midnight of 10 April in Beijing: 16 o'clock UTC.
    assert log.item_ids[int(log.items[0])] == 2
    first = context[torch.tensor([0])].decode().row(0, named=True)
    assert first["upload_age"] == pytest.approx(1)
    assert first["hour"] == 16
    assert log.features.users.decode().to_dict(as_series=False) == {
        "user_active_degree": [None, "full_active"],
        "is_lowactive_period": [None, 0],
        "follow_user_num": [None, 514],
        "onehot_feat1": [None, 62],
    }
    kinds = {one.name: one.kind for one in log.features.users}
    assert kinds["follow_user_num"] == "numeric"
    assert kinds["onehot_feat1"] == "category"


def test_users_may_be_unknown(tmp_path):
    write(tmp_path / "raw")
    (tmp_path / "raw" / "user_features_pure.csv").unlink()
    log = KuaiRandPure(tmp_path).log
    assert log.features.users is None
    assert len(log.features.items) == log.num_items


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (3, "yesterday", "column 'upload_dt', line 3: .*'yesterday' is not a day"),
        (6, "long", "column 'video_duration', line 3: .*'long' is not a number"),
    ],
)
def test_bad_features_are_refused(tmp_path, at, value, message):
    fields = VIDEOS[1].split(",")
    fields[at] = value
    write(tmp_path / "raw", videos=[VIDEOS[0], ",".join(fields), *VIDEOS[2:]])
    with pytest.raises(InputError, match=rf"video_features_basic_pure\.csv, {message}"):
        KuaiRandPure(tmp_path)


def test_split_of_source_is_by_beijing_days(tmp_path):
    write(tmp_path)
    source = load_source(f"kuairand:{tmp_path}")
    assert source.name == "kuairand-pure"
    split = source.make_split()
    sizes = [len(part) for part in (split.train, split.valid, split.test)]
    assert sizes == [5, 2, 2]
    batch = split.test.batch(split.test.user.argsort())
    assert batch.label.tolist() == [1, 0]
    # Clicks before the exposure, those of validation days too.
    ids = [source.log.item_ids[item] for item in batch.history.tolist()]
    assert ids == [2, 0, 0, 4]
    assert batch.ptr.tolist() == [0, 2, 4]
    # Shown together with a click: not told by it.
    train = split.train.batch(split.train.user.argsort())
    lengths = sorted(zip(train.user.tolist(), train.ptr.diff().tolist(), strict=True))
    assert lengths == [(0, 0), (0, 1), (1, 0), (1, 1), (1, 1)]
    # Graph: clicks of training alone.
    assert split.history.ptr.tolist() == [0, 1, 3]


def archive(folder, names):
    path = folder / "KuaiRand-Pure.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name in names:
            tar.add(folder / name, f"KuaiRand-Pure/data/{name}")
    return path


def test_archive_is_fetched_checked_and_unpacked(tmp_path, monkeypatch):
    write(tmp_path / "publisher")
    path = archive(tmp_path / "publisher", [p.name for p in (tmp_path / "publisher").iterdir()])
    monkeypatch.setattr(module, "_URL", path.as_uri())
    root = tmp_path / "root"
    with pytest.raises(InputError, match="the published file has 0820331067a3784d9691136f772b35a7"):
        KuaiRandPure(root)
    assert not [p for p in root.rglob("*") if p.is_file()]
    digest = hashlib.md5(path.read_bytes()).hexdigest()
    monkeypatch.setattr(module, "_CHECKSUM", f"md5:{digest}")
    log = KuaiRandPure(root).log
    assert table(log) == rows(STANDARD[0] + STANDARD[1], "is_click")
    names = {p.name for p in (root / "raw").iterdir()}
    assert names == {"KuaiRand-Pure.tar.gz", *KuaiRandPure(root).raw_file_names}


def test_archive_in_raw_is_taken(tmp_path):
    write(tmp_path / "publisher")
    names = [p.name for p in (tmp_path / "publisher").iterdir()]
    (tmp_path / "raw").mkdir()
    archive(tmp_path / "publisher", names).rename(tmp_path / "raw" / "KuaiRand-Pure.tar.gz")
    assert KuaiRandPure(tmp_path).log.num_behaviors == 9
    (tmp_path / "other" / "raw").mkdir(parents=True)
    archive(tmp_path / "publisher", names[:0]).rename(
        tmp_path / "other" / "raw" / "KuaiRand-Pure.tar.gz"
    )
    with pytest.raises(InputError, match=r"tar\.gz holds no log_standard"):
        KuaiRandPure(tmp_path / "other")
    (tmp_path / "other" / "raw" / "KuaiRand-Pure.tar.gz").write_bytes(b"cut off")
    with pytest.raises(InputError, match=r"tar\.gz cannot be read"):
        KuaiRandPure(tmp_path / "other")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            shown(1, 4, 3, 0, click=0, long_view=1),
            "1,4,2022",
            "line 6: 3 fields, but the header has ",
        ),
        ("time_ms", "time", "has no column 'time_ms'"),
        (f"{MIDNIGHT + 5007}", "soon", "column 'time_ms', line 2: .*'soon' is not a time"),
        (f"{MIDNIGHT + 5007}", "1" * 17, "column 'time_ms', line 2: .* is not a time in ms"),
        (
            f"{MIDNIGHT + 5007},1",
            f"{MIDNIGHT + 5007},2",
            "column 'is_click', line 2: .*'2' is not a",
        ),
        ("\n3,1,", "\n,1,", "column 'user_id', line 3: .* missing"),
    ],
)
def test_bad_values_name_file_column_and_row(tmp_path, old, new, message):
    write(tmp_path / "raw")
    path = tmp_path / "raw" / "log_standard_4_08_to_4_21_pure.csv"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=rf"log_standard_4_08_to_4_21_pure\.csv.*({message})"):
        KuaiRandPure(tmp_path)


def test_unknown_label_is_refused(tmp_path):
    with pytest.raises(InputError, match="label='is_like' is unknown; choose from is_click, long"):
        KuaiRandPure(tmp_path, label="is_like")


def test_decimal_tags_are_the_same_tags(tmp_path):
    """A column of single tags with gaps is easily written as decimal numbers."""
    write(tmp_path / "raw", videos=[VIDEOS[0], VIDEOS[1] + ".0", VIDEOS[2], *VIDEOS[3:]])
    log = KuaiRandPure(tmp_path).log
    assert log.category_ids.to_list() == [2, 68]


def test_hostile_names_in_the_archive_write_nothing_outside(tmp_path):
    # Members are taken by their last name alone; links are passed over.
    write(tmp_path / "publisher")
    raw = tmp_path / "deep" / "raw"
    raw.mkdir(parents=True)
    with tarfile.open(raw / "KuaiRand-Pure.tar.gz", "w:gz") as tar:
        for file in sorted((tmp_path / "publisher").iterdir()):
            if "random" in file.name:
                continue
            tar.add(file, f"../../../{file.name}")
        tar.add(file, "../../evil.csv")
        tar.add(file, str(tmp_path / "absolute.csv"))
        link = tarfile.TarInfo("log_random_4_22_to_5_08_pure.csv")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert KuaiRandPure(tmp_path / "deep").log.num_behaviors > 0
    new = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    assert all(tmp_path / "deep" in path.parents for path in new)
    with pytest.raises(InputError, match=r"tar\.gz holds no log_random"):
        KuaiRandPure(tmp_path / "deep", random_exposures=True)
