import json

import pytest

import resemb_gnn.datasets.s3rec as module
from resemb_gnn import InputError
from resemb_gnn.datasets import S3Rec, load_source

SEQUENCES = "1 11 12 13\n2 12 14\n"
ATTRIBUTES = {"11": [7, 1], "12": [7, 1], "13": [7, 2], "14": [7], "15": [1, 3]}


@pytest.fixture
def root(tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "Toys.txt").write_text(SEQUENCES)
    (tmp_path / "raw" / "Toys_item2attributes.json").write_text(json.dumps(ATTRIBUTES))
    return tmp_path


def test_attributes_become_categories(root):
    # 7 has four of the file's five items, 1 three: neither is told.
    log = S3Rec(root, "Toys").log
    assert log.item_ids.to_list() == [11, 12, 13, 14]
    assert log.items.tolist() == [0, 1, 2, 1, 3]
    assert log.category_ids.to_list() == [None, 2]
    assert log.item_category.tolist() == [0, 0, 1, 0]
    found = log.features.items.features["attributes"]
    assert found.kind == "list"
    assert found.decode().to_list() == [[7, 1], [7, 1], [7, 2], [7]]
    # They come back from the processed form.
    again = S3Rec(root, "Toys").log.features.items.features["attributes"]
    assert again.decode().to_list() == found.decode().to_list()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "item2attributes.json cannot be read"),
        ("[1]", "holds no object"),
        ('{"11": 3}', "attributes of item '11' are 3"),
        ('{"11": [[3]]}', r"attributes of item '11' are \[\[3\]\]"),
    ],
)
def test_bad_attributes_are_refused(root, text, message):
    (root / "raw" / "Toys_item2attributes.json").write_text(text)
    with pytest.raises(InputError, match=message):
        S3Rec(root, "Toys")


def test_unknown_name_must_be_there(tmp_path):
    with pytest.raises(InputError, match=r"raw/Toys\.txt is not there: get it from .*S3-?Rec"):
        S3Rec(tmp_path, "Toys")


def test_missing_file_is_fetched_and_checked(tmp_path, monkeypatch):
    (tmp_path / "Beauty.txt").write_text(SEQUENCES)
    monkeypatch.setattr(module, "_URL", tmp_path.as_uri())
    with pytest.raises(InputError, match="the published file has 226cce9c"):
        S3Rec(tmp_path / "root", "Beauty")
    assert not list((tmp_path / "root").rglob("*.txt"))


@pytest.mark.parametrize(
    ("name", "size", "categories"), [("Beauty", 12_101, 7), ("Sports_and_Outdoors", 18_357, 103)]
)
def test_published_files(shared_data, tmp_path, monkeypatch, name, size, categories):
    monkeypatch.setattr(module, "_URL", (shared_data / "amazon").as_uri())
    log = S3Rec(tmp_path, name).log
    assert (log.num_items, log.num_categories) == (size, categories)
    place = shared_data / "amazon"
    source = load_source(f"s3rec:{place / name}.txt")
    assert source.log.item_category.equal(log.item_category)
    table = json.loads((place / f"{name}_item2attributes.json").read_text())
    names = log.category_ids.to_list()
    attributes = log.features.items.features["attributes"].decode().to_list()
    assert attributes == [table[str(item)] for item in log.item_ids.to_list()]
    pairs = zip(log.item_ids.to_list(), log.item_category.tolist(), strict=True)
    assert all(names[number] in table[str(item)] for item, number in pairs)
