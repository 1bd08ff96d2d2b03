import pytest
import torch

from resemb_gnn import InputError
from resemb_gnn.datasets.sequence_file import read_sequence_file


def _read(tmp_path, text):
    path = tmp_path / "log.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_sequence_file(path)


def test_one_user_a_line_in_time_order(tmp_path):
    log = _read(tmp_path, "10 7 3 7\n2 30\n\n9  3\t30 \n")
    assert log.user_ids.to_list() == [2, 9, 10]
    assert log.item_ids.to_list() == [3, 7, 30]
    assert log.ptr.tolist() == [0, 1, 3, 6]
    assert log.items.tolist() == [2, 0, 2, 1, 0, 1]
    assert log.times.tolist() == [0, 0, 1, 0, 1, 2]
    assert log.labels is None
    assert log.num_categories == 0


@pytest.mark.parametrize(
    "text", ["\ufeffu1 a b\nu2 b", "u1 a b\r\nu2 b\r\n", "\n\nu1 a b\n \nu2 b"]
)
def test_line_ends_and_byte_order_mark(tmp_path, text):
    log = _read(tmp_path, text)
    assert log.user_ids.to_list() == ["u1", "u2"]
    assert log.items.tolist() == [0, 1, 1]


def test_ids_with_leading_zeros_stay_strings(tmp_path):
    log = _read(tmp_path, "01 007 7\n1 7\n")
    assert log.user_ids.to_list() == ["01", "1"]
    assert log.item_ids.to_list() == ["007", "7"]


@pytest.mark.parametrize(
    ("attributes", "categories", "found"),
    [
        ('{"7": [1, 2], "3": [2], "9": [5], "30": [1, 2], "8": []}', [None, 1], [0, 1, 1]),
        ('{"7": [1, "a"], "3": ["a"], "30": [3], "8": [], "9": []}', ["3", "a"], [1, 1, 0]),
        ("{}", [None], [0, 0, 0]),
    ],
)
def test_attributes_are_categories(tmp_path, attributes, categories, found):
    (tmp_path / "attributes.json").write_text(attributes)
    (tmp_path / "log.txt").write_text("10 7 3 7\n2 30\n")
    log = read_sequence_file(tmp_path / "log.txt", tmp_path / "attributes.json")
    assert log.item_ids.to_list() == [3, 7, 30]
    assert log.category_ids.to_list() == categories
    assert log.item_category.tolist() == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"log\.txt is empty"),
        (" \n\n", r"log\.txt is empty"),
        ("1 5\n\n2\n", r"log\.txt, line 3: user '2' has no item"),
        ("1 5\n2 6\n1 7\n2 8\n", r"log\.txt, line 3: user '1' came before"),
        ("1 5\n2 6\n3 7\n\n2 8\n", r"log\.txt, line 5: user '2' came before"),
        (b"1 \xff\xfe\n", r"log\.txt, line 1: .*utf-8"),
    ],
)
def test_bad_files_are_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        _read(tmp_path, text)


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.txt cannot be read"):
        read_sequence_file(tmp_path / "nowhere.txt")
    with pytest.raises(InputError, match="cannot be read"):
        read_sequence_file(tmp_path)


def test_beauty(shared_data):
    path = shared_data / "amazon" / "Beauty.txt"
    log = read_sequence_file(str(path))
    assert (log.num_users, log.num_items, log.num_behaviors) == (22_363, 12_101, 198_502)
    histories = {}
    for line in path.read_text().splitlines():
        user, *items = map(int, line.split())
        histories[user] = items
    assert log.user_ids.to_list() == sorted(histories)
    assert log.item_ids.to_list() == sorted({i for items in histories.values() for i in items})
    flat = [item for user in sorted(histories) for item in histories[user]]
    assert torch.tensor(log.item_ids.to_list())[log.items].tolist() == flat
    assert log.ptr.diff().tolist() == [len(histories[user]) for user in sorted(histories)]
