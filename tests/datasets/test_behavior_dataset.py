"""The conventions that all data sets of files share, on one of them with a counter."""

import json
import os
from pathlib import Path

import pytest
import torch
from torch_geometric.data import Dataset, HeteroData

from resemb_gnn import BehaviorLog, InputError
from resemb_gnn.datasets.behavior_dataset import BehaviorDataset


class Table(BehaviorDataset):
    page = "the publisher's page"
    reads = 0

    def __init__(self, root, positive=1, force_reload=False):
        self.positive = positive
        super().__init__(root, force_reload)

    @property
    def raw_file_names(self):
        return ["log.csv"]

    def options(self):
        return {"positive": self.positive}

    def read(self):
        Table.reads += 1
        return BehaviorLog.from_frame(
            self.raw_files["log.csv"], "u", "i", "t", category="c", label="l"
        )


@pytest.fixture
def root(tmp_path):
    Table.reads = 0
    path = tmp_path / "raw" / "log.csv"
    path.parent.mkdir()
    path.write_text("u,i,t,c,l\na,1,3,x,0\na,2,1,y,1\nb,1,2,x,1\n")
    return tmp_path


def same(one: BehaviorLog, other: BehaviorLog) -> bool:
    tensors = ("items", "ptr", "times", "labels", "item_category")
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in tensors) and all(
        getattr(one, name).to_list() == getattr(other, name).to_list()
        for name in ("user_ids", "item_ids", "category_ids")
    )


def test_processed_form_gives_the_same_log_without_reading_again(root):
    first = Table(root)
    assert Table.reads == 1
    again = Table(str(root))
    assert Table.reads == 1
    assert same(again.log, first.log)
    assert same(again.log, first.read())
    assert again.log.labels.tolist() == [1, 0, 1]


def test_processed_form_is_parquet_with_its_provenance(root):
    folder = Path(Table(root).processed_dir)
    assert folder.parent == root / "processed"
    assert {path.suffix for path in folder.iterdir()} == {".parquet", ".json"}
    assert list(folder.parent.iterdir()) == [folder]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["options"] == {"positive": 1}
    assert list(manifest["sha256"]) == ["log.csv"]


class Hostile:
    """Makes a file on being unpickled."""

    def __init__(self, proof):
        self.proof = proof

    def __reduce__(self):
        return (Path.touch, (self.proof,))


def test_what_pyg_would_unpickle_is_left_alone(root):
    folder, proof = Path(Table(root).processed_dir), root / "proof"
    for name in ("pre_transform.pt", "pre_filter.pt"):
        torch.save(Hostile(proof), folder / name)
    Table(root)
    Table(root, force_reload=True)
    assert not proof.exists()
    torch.save(Hostile(proof), folder / "pre_transform.pt")
    with pytest.warns(UserWarning, match="pre_transform"):
        Dataset._process(Table(root))  # the proof that PyG's own way would
    assert proof.exists()


def test_changed_files_or_options_are_read_anew(root):
    Table(root)
    Table(root, positive=2)
    assert Table.reads == 2
    path = root / "raw" / "log.csv"
    stat = path.stat()
    path.write_text(path.read_text().replace("a,1,3", "a,2,3"))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # same size and time, other content
    assert Table(root).log.items.tolist() == [1, 1, 0]
    assert Table.reads == 3
    Table(root, positive=2)
    assert Table.reads == 4
    Table(root)
    assert Table.reads == 4


def test_reload_can_be_forced_and_damage_is_mended(root):
    data = Table(root)
    Table(root, force_reload=True)
    assert Table.reads == 2
    for name in ("behaviors.parquet", "users.parquet"):
        (Path(data.processed_dir) / name).write_bytes(b"PAR1 cut off")
        assert same(Table(root).log, data.log)
    assert Table.reads == 4


def test_failure_leaves_nothing_half_written(root, monkeypatch):
    save = BehaviorLog.save

    def fail(log, folder):
        save(log, folder)
        raise OSError("disk full")

    monkeypatch.setattr(BehaviorLog, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        Table(root)
    assert list((root / "processed").iterdir()) == []


def test_a_place_that_cannot_be_written_is_found_out_before_the_files_are_read(root):
    (root / "processed").touch()
    with pytest.raises(InputError, match="processed cannot be written: Not a directory"):
        Table(root)
    assert not Table.reads


def test_folder_of_raw_files_is_left_as_it_is(root):
    data = Table(root / "raw")
    assert data.raw_dir == str(root / "raw")
    assert [path.name for path in (root / "raw").iterdir()] == ["log.csv"]
    assert same(data.log, Table(root).log)


def test_missing_file_says_where_it_goes_and_where_it_is_had(tmp_path):
    with pytest.raises(InputError, match=r"raw/log\.csv is not there.*the publisher's page"):
        Table(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_bad_file_is_refused_and_nothing_kept(root):
    (root / "raw" / "log.csv").write_text("u,i,t,c,l\na,1,soon,x,0\n")
    with pytest.raises(InputError, match="'soon' is not a time"):
        Table(root)
    assert not (root / "processed").exists()


def test_is_a_pyg_data_set_of_one_graph(root):
    data = Table(root)
    assert isinstance(data, Dataset)
    assert len(data) == 1
    (graph,) = data
    assert isinstance(graph, HeteroData)
    graph.validate()
    assert graph["user"].num_nodes == 2
    assert graph["item"].category.tolist() == [0, 1]
    relation = graph["user", "acts_on", "item"]
    assert relation.edge_index.tolist() == [[0, 0, 1], [1, 0, 0]]
    assert relation.time.tolist() == [1, 3, 2]
    assert relation.label.tolist() == [1, 0, 1]
    assert (
        str(data) == "Table(BehaviorLog(users=2, items=2, behaviors=3, positives=2, categories=2))"
    )
