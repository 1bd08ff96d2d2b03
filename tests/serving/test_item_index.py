"""Exported item vectors and the search for similar items, against dense cosines."""

import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet
import pytest
import torch
from sklearn.metrics.pairwise import cosine_similarity
from torch import nn

from resemb_gnn import DIN, BehaviorLog, InputError, ResEmbedding, covisit_graph
from resemb_gnn.serving import ItemIndex, export_embeddings, export_scorer

needs_usearch = pytest.mark.skipif(not find_spec("usearch"), reason="needs the extra serve")


def make_table(num_items: int, dim: int = 8) -> tuple[nn.Embedding, pl.Series]:
    torch.manual_seed(0)
    ids = pl.Series([f"B{number * 11 % num_items:04d}" for number in range(num_items)])
    return nn.Embedding(num_items, dim), ids


def dense_neighbors(table: nn.Embedding, ids: pl.Series, item: int, k: int) -> list[str]:
    cosine = cosine_similarity(table.weight.detach().numpy())[item]
    cosine[item] = -2
    return ids[np.argsort(-cosine)[:k]].to_list()


def test_table_in_parquet(log: BehaviorLog, tmp_path: Path) -> None:
    emb = ResEmbedding(covisit_graph(log), 6, 4, residual_std=0.5, shrinkage=2.0)
    export_embeddings(emb, log.item_ids, tmp_path / "new" / "folder", index=False)
    path = tmp_path / "new" / "folder" / "items.parquet"
    table = pyarrow.parquet.read_table(path)  # another reader than the one that is used here
    assert table["item_id"].to_pylist() == log.item_ids.to_list()
    expected = emb.materialize().weight.detach().numpy()
    np.testing.assert_array_equal(np.array(table["vector"].to_pylist(), np.float32), expected)
    assert [part.name for part in path.parent.iterdir()] == ["items.parquet"]


@pytest.mark.parametrize("exact", [True, pytest.param(False, marks=needs_usearch)])
def test_similar(exact: bool, tmp_path: Path) -> None:
    table, ids = make_table(60)
    made = export_embeddings(table, ids, tmp_path, index=not exact)
    cosine = cosine_similarity(table.weight.detach().numpy())
    for found in (made, ItemIndex.load(tmp_path)):
        assert (found.index is None) == exact
        missed = 0
        for item in range(60):
            similar = found.similar(ids[item], 5)
            nearest = dense_neighbors(table, ids, item, 5)
            missed += len({*nearest} - {*similar["item_id"]})
            rows = [ids.to_list().index(name) for name in similar["item_id"]]
            assert item not in rows
            np.testing.assert_allclose(similar["similarity"], cosine[item, rows], atol=1e-5)
            if exact:
                assert similar["item_id"].to_list() == nearest
            assert similar["similarity"].is_sorted(descending=True)
        # Threads build the index together, so which items it overlooks differs from run to run.
        assert missed <= (0 if exact else 15)


@needs_usearch
def test_index_finds_most_of_the_nearest(tmp_path: Path) -> None:
    table, ids = make_table(2000, dim=16)
    found = export_embeddings(table, ids, tmp_path)
    exact = ItemIndex.load(tmp_path, exact=True)
    assert exact.index is None
    items = range(0, 2000, 40)
    hits = [
        len({*found.similar(ids[i])["item_id"]} & {*exact.similar(ids[i])["item_id"]})
        for i in items
    ]
    assert sum(hits) > 0.9 * 10 * len(items)


@pytest.mark.parametrize("index", [False, pytest.param(True, marks=needs_usearch)])
def test_few_items_twins_and_zeros(index: bool, tmp_path: Path) -> None:
    rows = torch.tensor([[1.0, 0], [2.0, 0], [0, 0], [-1.0, 0], [1.0, 0]])
    table = nn.Embedding.from_pretrained(rows)
    found = export_embeddings(table, pl.Series([10, 20, 30, 40, 50]), tmp_path, index=index)
    similar = found.similar(10, 9)
    assert similar["item_id"].to_list() == [20, 50, 30, 40]
    assert similar["similarity"].to_list() == pytest.approx([1, 1, 0, -1])
    assert 50 not in found.similar(50, 2)["item_id"]
    assert found.similar(30, 9)["similarity"].to_list() == pytest.approx([0] * 4)
    nearest = found.search(np.array([-0.1, 0.0]), 1)
    assert nearest.rows() == [(40, pytest.approx(1.0))]


@pytest.mark.parametrize("index", [False, pytest.param(True, marks=needs_usearch)])
def test_as_many_as_asked_for_among_equal_vectors(index: bool, tmp_path: Path) -> None:
    rows = torch.ones(3000, 32)
    rows[2900:] = torch.randn(100, 32)
    ids = pl.Series(range(3000))
    found = export_embeddings(nn.Embedding.from_pretrained(rows), ids, tmp_path, index=index)
    for each in (found, ItemIndex.load(tmp_path)):
        for item, k in ((0, 10), (7, 500), (0, 2500), (2950, 2500), (5, 2999)):
            similar = each.similar(item, k)
            assert len(similar) == k
            assert similar["item_id"].n_unique() == k
            assert item not in similar["item_id"]
        assert each.similar(7, 500)["similarity"].to_list() == pytest.approx([1.0] * 500)
    assert len(found.similar(0, 5000)) == 2999


def test_an_index_that_finds_too_few_gives_way_to_the_exact_search() -> None:
    class Lost:
        """An index that never finds more than two."""

        def search(self, vector: np.ndarray, k: int) -> Any:
            return SimpleNamespace(keys=np.arange(min(k, 2), dtype=np.uint64))

    table, ids = make_table(60)
    vectors = table.weight.detach().numpy()
    found, exact = ItemIndex(ids, vectors, Lost()), ItemIndex(ids, vectors)
    assert found.search(vectors[3], 2)["item_id"].len() == 2
    assert found.similar(ids[3], 9).equals(exact.similar(ids[3], 9))
    assert found.similar(ids[3], 9)["item_id"].to_list() == dense_neighbors(table, ids, 3, 9)


def test_bad_questions(tmp_path: Path) -> None:
    table, ids = make_table(6)
    found = export_embeddings(table, ids, tmp_path, index=False)
    with pytest.raises(InputError, match="item 'nobody' is unknown"):
        found.similar("nobody")
    for ask in (lambda: found.search(found.vectors[0], 0), lambda: found.similar(ids[0], 0)):
        with pytest.raises(InputError, match="k must be at least 1, not 0"):
            ask()
    with pytest.raises(InputError, match="the vector holds a value that is not finite"):
        found.search(np.full(8, np.nan, dtype=np.float32))
    with pytest.raises(InputError, match=r"the vector has shape \[3\], not \[8\]"):
        found.search(np.zeros(3))


def test_bad_tables(tmp_path: Path) -> None:
    table, ids = make_table(6)
    with pytest.raises(InputError, match=r"shape \[6, 8\], but there are 5 ids"):
        export_embeddings(table, ids[:5], tmp_path / "out", index=False)
    twice = pl.Series(["B0001", "B0001", "c", "d", "e", "f"])
    with pytest.raises(InputError, match="id 'B0001' comes twice"):
        export_embeddings(table, twice, tmp_path / "out", index=False)
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match=r"items\.parquet cannot be read"):
        ItemIndex.load(tmp_path)


@needs_usearch
def test_an_index_never_stays_beside_a_new_table(tmp_path: Path) -> None:
    table, ids = make_table(6)
    export_embeddings(table, ids, tmp_path)
    export_embeddings(table, ids, tmp_path, index=False)
    assert ItemIndex.load(tmp_path).index is None
    export_embeddings(table, ids, tmp_path)
    other, more = make_table(7)
    export_embeddings(other, more, tmp_path / "other")
    (tmp_path / "other" / "items.parquet").replace(tmp_path / "items.parquet")
    with pytest.raises(InputError, match="does not belong to"):
        ItemIndex.load(tmp_path)


@needs_usearch
@pytest.mark.parametrize("name", ["items.parquet", "items.usearch", "items.sha256"])
def test_a_changed_file_never_reaches_usearch(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, ids = make_table(6)
    export_embeddings(table, ids, tmp_path)
    assert ItemIndex.load(tmp_path).index is not None
    other = nn.Embedding(6, 8)
    export_embeddings(other, ids, tmp_path / "other")
    monkeypatch.setattr("usearch.index.Index.restore", None)
    (tmp_path / "other" / name).replace(tmp_path / name)
    with pytest.raises(InputError, match="is damaged or does not belong to"):
        ItemIndex.load(tmp_path)
    (tmp_path / name).unlink()
    if name == "items.sha256":
        with pytest.raises(InputError, match="is damaged or does not belong to"):
            ItemIndex.load(tmp_path)
        assert ItemIndex.load(tmp_path, exact=True).index is None


@pytest.mark.parametrize(
    ("vector", "kind", "message"),
    [
        ([1.0, float("nan")], pl.Array(pl.Float32, 2), "not finite"),
        ([1.0, None], pl.Array(pl.Float32, 2), "not finite"),
        ([1, 2], pl.Array(pl.Int64, 2), "not vectors of float32"),
        ([1.0, 2.0], pl.List(pl.Float32), "not vectors of float32"),
        (1.0, pl.Float32, "not vectors of float32"),
    ],
)
def test_vectors_that_are_none(tmp_path: Path, vector: object, kind: Any, message: str) -> None:
    column = pl.Series("vector", [vector, vector], dtype=kind)
    pl.DataFrame({"item_id": [1, 2], "vector": column}).write_parquet(tmp_path / "items.parquet")
    with pytest.raises(InputError, match=message):
        ItemIndex.load(tmp_path)


def test_without_usearch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table, ids = make_table(6)
    monkeypatch.setitem(sys.modules, "usearch", None)
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with pytest.raises(ImportError, match=r"index=True needs usearch.*pip install .*serve"):
        export_embeddings(table, ids, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    export_embeddings(table, ids, tmp_path, index=False)
    (tmp_path / "items.usearch").touch()
    with pytest.raises(ImportError, match=r"items\.usearch needs usearch"):
        ItemIndex.load(tmp_path)
    assert len(ItemIndex.load(tmp_path, exact=True).similar(ids[0], 3)) == 3


@pytest.mark.parametrize("same", [20, 20.0, "20", np.int64(20), np.float32(20)])
def test_an_item_is_found_by_its_id_of_any_type(same: Any, tmp_path: Path) -> None:
    table = nn.Embedding.from_pretrained(torch.tensor([[1.0, 0], [2.0, 0], [0, 1], [1.0, 0]]))
    made = export_embeddings(table, pl.Series([10, 20, 30, 40]), tmp_path, index=False)
    for found in (made, ItemIndex.load(tmp_path)):
        assert found.similar(same, 9)["item_id"].to_list() == [10, 40, 30]


@pytest.mark.parametrize("other", [20.5, "020", "+20", "20.0", True, 2**70, "x"])
def test_another_id_is_unknown(other: Any) -> None:
    found = ItemIndex(pl.Series([1, 20]), np.eye(2))
    with pytest.raises(InputError, match=r"item .* is unknown"):
        found.similar(other)


@pytest.mark.parametrize("other", [None, "", float("nan"), [20], b"20", 2**140])
def test_what_is_no_id_is_refused(other: Any) -> None:
    found = ItemIndex(pl.Series([1, 20]), np.eye(2))
    with pytest.raises(InputError, match="column 'item'"):
        found.similar(other)


@pytest.mark.parametrize("missing", [None, "", float("nan")])
def test_what_could_not_be_loaded_is_not_exported(missing: object, tmp_path: Path) -> None:
    table, _ = make_table(2)
    ids = pl.Series("item_id", ["a" if missing == "" else 0.5, missing])
    with pytest.raises(InputError, match="column 'item_id', row 1"):
        export_embeddings(table, ids, tmp_path / "out", index=False)
    assert not (tmp_path / "out").exists()


def test_vectors_take_the_place_of_vectors_alone(log: BehaviorLog, tmp_path: Path) -> None:
    """A saved log, and a saved model, have an ``items.parquet``, too."""
    log.save(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    embedding = nn.Embedding(log.num_items, 4)
    with pytest.raises(InputError, match=r"items\.parquet belongs to something else"):
        export_embeddings(embedding, log.item_ids, tmp_path, index=False)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    for _ in range(2):
        export_embeddings(embedding, log.item_ids, tmp_path / "served", index=False)


def test_a_folder_that_cannot_be_written(log: BehaviorLog, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    embedding = nn.Embedding(log.num_items, 4)
    with pytest.raises(InputError, match="cannot be written: Not a directory"):
        export_embeddings(embedding, log.item_ids, tmp_path / "file", index=False)
    with pytest.raises(InputError, match="cannot be written: Not a directory"):
        export_scorer(DIN(embedding), tmp_path / "file" / "below", onnx=False)
