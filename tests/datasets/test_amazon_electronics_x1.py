"""The benchmark's rows, and the same rows out of the split."""

from collections import Counter

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings

import resemb_gnn as rg
import resemb_gnn.datasets.amazon_electronics_x1 as module
from resemb_gnn import InputError
from resemb_gnn.datasets import AmazonElectronicsX1, load_source
from resemb_gnn.experiment import compare
from resemb_gnn.io.digests import file_digest
from resemb_gnn.settings import CompareSettings

HEADER = "label,user_id,item_id,cate_id,item_history,cate_history"
NUM_ITEMS = 40


def category(item):
    return item * 7 % 5


def rows_of(user, sequence, negatives):
    """DIN's rows of a user, those of the last review apart."""
    rows = []
    for t in range(1, len(sequence)):
        history = "^".join(map(str, sequence[:t]))
        categories = "^".join(str(category(item)) for item in sequence[:t])
        for label, item in ((1, sequence[t]), (0, negatives[t])):
            rows.append(f"{label},{user},{item},{category(item)},{history},{categories}")
    return rows[:-2], rows[-2:]


def write(root, users, seed=0):
    """Writes the files of ``{user: (sequence, negatives)}`` and returns their rows."""
    train, test = [], []
    for user, (sequence, negatives) in users.items():
        early, late = rows_of(user, sequence, negatives)
        train += early
        test += late
    np.random.default_rng(seed).shuffle(train)
    (root / "raw").mkdir(parents=True, exist_ok=True)
    for name, rows in (("train.csv", train), ("test.csv", test)):
        (root / "raw" / name).write_text("\n".join([HEADER, *rows]) + "\n")
    return train, test


def rows_of_examples(data, examples):
    """Every example as a row of the files, by way of its batch."""
    log, batch = data.log, examples.batch(torch.arange(len(examples)))
    items, categories = log.item_ids.to_list(), log.item_category.tolist()
    rows = []
    for at in range(len(batch)):
        history = batch.history[batch.ptr[at] : batch.ptr[at + 1]].tolist()
        target = int(batch.target[at])
        columns = [
            int(batch.label[at]),
            log.user_ids[int(batch.user[at])],
            items[target],
            log.category_ids[categories[target]],
            "^".join(str(items[item]) for item in history),
            "^".join(str(log.category_ids[categories[item]]) for item in history),
        ]
        rows.append(",".join(map(str, columns)))
    return rows


ITEM = st.integers(0, NUM_ITEMS - 1)


@st.composite
def many_users(draw):
    numbers = draw(st.lists(st.integers(0, 99), min_size=4, max_size=9, unique=True))
    users = {}
    for user in numbers:
        size = draw(st.integers(3, 7))
        column = st.lists(ITEM, min_size=size, max_size=size)
        users[user] = draw(column), draw(column)
    users[100] = [1, 2, 3, 1], [0, 4, 5, 6]
    users[101] = [2, 2, 2, 2], [0, 2, 5, 6]
    users[102] = [3, 9], [0, 5]  # tested, never trained on
    return users


@given(many_users(), st.sampled_from([0.4, 0.6]), st.integers(0, 3))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_split_holds_every_published_row_and_no_other(tmp_path, users, share, seed):
    train, test = write(tmp_path, users)
    data = AmazonElectronicsX1(tmp_path, published=False)
    split = data.split(share, seed)
    found_train, found_valid, found_test = (
        rows_of_examples(data, part) for part in (split.train, split.valid, split.test)
    )
    assert Counter(found_test) == Counter(test)
    assert Counter(found_train + found_valid) == Counter(train)
    # Validation is all training rows of its users.
    validating = {row.split(",")[1] for row in found_valid}
    assert not validating & {row.split(",")[1] for row in found_train}
    # The graph's behaviours: training users' reviews but the last, in order.
    history = split.history
    assert history.labels is None
    for number, user in enumerate(history.user_ids):
        got = history.items[history.ptr[number] : history.ptr[number + 1]]
        got = [history.item_ids[item] for item in got.tolist()]
        if got:
            assert got == users[user][0][:-1]
            assert str(user) not in validating
        elif len(users[user][0]) > 2:
            assert str(user) in validating


@pytest.fixture
def users():
    rng = np.random.default_rng(5)
    return {
        user: (rng.integers(NUM_ITEMS, size=size).tolist(), rng.integers(NUM_ITEMS, size=size))
        for user, size in enumerate(rng.integers(5, 12, size=40))
    }


def test_model_is_trained_on_the_published_examples(tmp_path, users):
    train, test = write(tmp_path, users)
    data = AmazonElectronicsX1(tmp_path, published=False)
    split = data.split(valid_share=0.25)
    assert len(split.train) + len(split.valid) == len(train)
    assert split.valid.user.unique().numel() == 10
    assert len(split.train_sample) == 30  # as the test: at most one row a training user
    graph = rg.SpectralFeatures(dim=4)(rg.covisit_graph(split.history))
    embedding = rg.ResEmbedding(graph, 4, 4, encoder="gcn")
    model = rg.DIN(embedding, item_category=data.log.item_category)
    result = rg.fit(model, split, epochs=1, progress=False)
    assert result.test.auc == rg.evaluate(model, split.test).auc
    assert len(split.test) == len(test) == 80


def test_split_depends_on_the_seed(tmp_path, users):
    write(tmp_path, users)
    data = AmazonElectronicsX1(tmp_path, published=False)
    one, again, other = (data.split(seed=seed).valid.user for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one.unique(), other.unique())
    assert data.split().settings == {
        "by": "published",
        "negatives": "published",
        "num_negatives": 1,
        "valid_share": 0.05,
        "seed": 0,
    }
    with pytest.raises(InputError, match="valid_share must lie between 0 and 1, not 1"):
        data.split(valid_share=1)


def test_other_files_than_the_published_are_refused(tmp_path, users):
    write(tmp_path, users)
    for read in (AmazonElectronicsX1, lambda root: load_source(f"amazon-electronics-x1:{root}")):
        with pytest.raises(InputError, match=r"train\.csv has md5 .*has e9bf80b92985e463"):
            read(tmp_path)
    assert not (tmp_path / "processed").exists()


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        (
            "train.csv",
            "1,7,2,4,1,2\n",
            "2,7,2,4,1,2\n",
            "'label', line 2: .*'2' is not a label",
        ),
        (
            "train.csv",
            "1,7,2,4,1,2\n",
            "1,7,2,4,,2\n",
            "'item_history', line 2: .* is empty",
        ),
        ("train.csv", "1,7,2,4,1,2\n", "1,7,2,4,1,2^3\n", "line 2: .*differ in length"),
        ("train.csv", "1,7,2,4,1,2\n", "1,7,9,3,1,2\n", "user '7': item_history is no start"),
        ("train.csv", "1,7,2,4,1,2\n", "", "user '7': item_history is no start"),
        ("train.csv", "0,7,5,0,1,2\n", "0,7,5,0,9,2\n", "line 3: user '7': item_history is no"),
        ("train.csv", "0,7,5,0,1,2\n", "0,7,5,0,1,4\n", "line 3: user '7': cate_history is no"),
        ("train.csv", "0,7,5,0,1,2\n", "1,7,5,0,1,2\n", "line 3: user '7': two rows of label 1"),
        ("train.csv", "0,7,5,0,1,2\n", "0,7,5,1,1,2\n", "the item has another cate_id elsewhere"),
        (
            "train.csv",
            "0,7,5,0,1,2\n",
            "0,7,5,0,1^2^3^4,2^4^1^3\n",
            "user '7': test rows, and",
        ),
        ("test.csv", "1,8,", "1,9,", "user '8': .*test rows|user '9': .*no start"),
        ("test.csv", "label,", "clicked,", "has no column 'label'"),
    ],
)
def test_rows_that_do_not_fit_are_named(tmp_path, name, old, new, message):
    write(tmp_path, {8: ([3, 5, 1], [0, 5, 5])})
    users = {7: ([1, 2, 3, 4], [0, 5, 5, 5]), 8: ([3, 5, 1], [0, 5, 5])}
    train = [row for user in users for row in rows_of(user, *users[user])[0]]
    test = [row for user in users for row in rows_of(user, *users[user])[1]]
    (tmp_path / "raw" / "train.csv").write_text("\n".join([HEADER, *train]) + "\n")
    (tmp_path / "raw" / "test.csv").write_text("\n".join([HEADER, *test]) + "\n")
    assert len(AmazonElectronicsX1(tmp_path, published=False).log.times) == 12
    change(tmp_path / "raw" / name, old, new)
    with pytest.raises(InputError, match=message):
        AmazonElectronicsX1(tmp_path, published=False)


@pytest.mark.usefixtures("no_pictures")
def test_comparison_runs_on_the_published_examples(tmp_path, users, monkeypatch):
    train, test = write(tmp_path, users)
    found = {
        name: f"md5:{file_digest(tmp_path / 'raw' / name, 'md5')}" for name in module._CHECKSUMS
    }
    monkeypatch.setattr(module, "_CHECKSUMS", found)
    options = {
        "data": f"amazon-electronics-x1:{tmp_path}",
        "embeddings": ("plain",),
        "seeds": 1,
        "epochs": 1,
        "out": str(tmp_path / "out"),
        "quiet": True,
    }
    results = compare(CompareSettings(**options))
    data = results["data"]
    assert data["train_examples"] + data["valid_examples"] == len(train)
    assert data["test_examples"] == len(test)
    assert data["split"]["by"] == "published"
    with pytest.raises(InputError, match="comes with its own examples"):
        compare(CompareSettings(**options, split="last", resume=True))
