import gzip
import socket
import sys

import numpy as np
import polars as pl
import pytest
import torch
from torch_geometric.utils import to_dense_adj

import resemb_gnn as rg
from resemb_gnn import InputError

# Each edge once, as OGB publishes it: with a self-loop, and one edge given both ways round.
EDGES = [(0, 1), (1, 2), (2, 0), (3, 4), (4, 4), (5, 1), (1, 5), (6, 3)]
NUM_NODES, NUM_FEATURES = 8, 5  # node 7 has no edge
ASINS = [f"B{number:09d}" for number in (50, 10, 40, 30, 20, 70, 60, 80)]


def _write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt") as file:
        file.write("".join(",".join(map(str, row)) + "\n" for row in rows))


@pytest.fixture
def features():
    return np.random.default_rng(0).normal(size=(NUM_NODES, NUM_FEATURES)).round(4)


@pytest.fixture
def root(tmp_path, features):
    """A folder that holds eight products in the layout of ogbn-products."""
    folder = tmp_path / "ogbn_products"
    (folder / "processed").mkdir(parents=True)
    (folder / "RELEASE_v1.txt").write_text("# Release note for ogbn-products\n\n### v1\n")
    _write(folder / "raw" / "edge.csv.gz", EDGES)
    _write(folder / "raw" / "node-feat.csv.gz", features.tolist())
    _write(folder / "raw" / "node-label.csv.gz", [(n % 47,) for n in range(NUM_NODES)])
    _write(folder / "raw" / "num-node-list.csv.gz", [(NUM_NODES,)])
    _write(folder / "raw" / "num-edge-list.csv.gz", [(len(EDGES),)])
    for part, nodes in (("train", (0, 1, 2, 3)), ("valid", (4, 5)), ("test", (6, 7))):
        _write(folder / "split" / "sales_ranking" / f"{part}.csv.gz", [(n,) for n in nodes])
    mapping = [("node idx", "asin"), *enumerate(ASINS)]
    _write(folder / "mapping" / "nodeidx2asin.csv.gz", mapping)
    return tmp_path


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Reading neither opens a connection nor asks on standard input."""

    def refuse(*_, **__):
        raise AssertionError("a connection was asked for")

    monkeypatch.setattr("builtins.input", refuse)
    monkeypatch.setattr("ogb.utils.url.ur.urlopen", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


def _dense(nodes):
    """Adjacency among ``nodes``, from the list of edges."""
    out = torch.zeros(len(nodes), len(nodes))
    for i, j in EDGES:
        if i != j and i in nodes and j in nodes:
            a, b = nodes.index(i), nodes.index(j)
            out[a, b] = out[b, a] = 1
    return out


def _log(items):
    frame = pl.DataFrame({"user": [0] * len(items), "item": items, "time": range(len(items))})
    return rg.BehaviorLog.from_frame(frame, "user", "item", "time")


@pytest.mark.parametrize("times_read", [1, 2])  # the second time OGB reads its processed copy
def test_whole_graph(root, features, times_read):
    for _ in range(times_read):
        graph = rg.from_ogb(root)
    assert torch.equal(
        to_dense_adj(graph.edge_index, max_num_nodes=NUM_NODES)[0], _dense(list(range(NUM_NODES)))
    )
    assert graph.num_nodes == NUM_NODES
    assert graph.is_undirected()
    assert graph.is_coalesced()
    assert graph.x.dtype == torch.float32
    assert torch.allclose(graph.x, torch.from_numpy(features).float())
    assert "count" not in graph


def test_nodes_are_the_items_of_a_log(root, features):
    stranger = "B000000015"  # in the log, not in the graph
    items = ["B000000050", "B000000010", "B000000010", stranger, "B000000040", "B000000080"]
    log = _log(items)
    graph = rg.from_ogb(root, log)
    assert log.item_ids.to_list() == sorted(set(items))
    nodes = [ASINS.index(item) if item in ASINS else None for item in log.item_ids]
    assert torch.equal(to_dense_adj(graph.edge_index, max_num_nodes=5)[0], _dense(nodes))
    assert graph.edge_index.numel()
    assert graph.is_coalesced()
    for item, node in enumerate(nodes):
        expected = np.zeros(NUM_FEATURES) if node is None else features[node]
        assert graph.x[item].numpy() == pytest.approx(expected, abs=1e-6)
    assert graph.count.tolist() == [items.count(item) for item in log.item_ids]
    assert graph.num_nodes == log.num_items


@pytest.mark.parametrize("encoder", ["average", "gcn", "gat"])
def test_item_graph_of_res_embedding(root, encoder):
    graph = rg.from_ogb(root)
    with pytest.raises(InputError, match=r"shrinkage needs graph\.count"):
        rg.ResEmbedding(graph, 4, 3, encoder)
    embedding = rg.ResEmbedding(graph, 4, 3, encoder, shrinkage=None)
    ids = torch.arange(NUM_NODES)
    embedding(ids).square().sum().backward()
    assert embedding.centers.grad.abs().sum() > 0
    assert torch.allclose(embedding.center_weights(ids).sum(dim=1), torch.ones(NUM_NODES))
    graph.count = torch.tensor([0, 1000, 1, 1, 1, 1, 1, 1])
    shrunk = rg.ResEmbedding(graph, 4, 3, encoder, shrinkage=1000.0)
    with torch.no_grad():
        assert torch.equal(shrunk.residual_part(ids)[0], torch.zeros(4))
        assert torch.allclose(shrunk.residual_part(ids)[1], shrunk.residual[1] / 2)


def test_din_trains_on_a_graph_of_products(root):
    rng = np.random.default_rng(0)
    rows = [(user, ASINS[rng.integers(8)], time) for user in range(30) for time in range(5)]
    frame = pl.DataFrame(rows, schema=["user", "item", "time"], orient="row")
    log = rg.BehaviorLog.from_frame(frame, "user", "item", "time")
    split = log.split(by="last")
    embedding = rg.ResEmbedding(rg.from_ogb(root, split.history), 8, 4)
    before = embedding.centers.detach().clone()
    result = rg.fit(rg.DIN(embedding), split, epochs=1, progress=False)
    assert 0 <= result.test.auc <= 1
    assert not torch.equal(before, embedding.centers)


@pytest.mark.parametrize("missing", ["RELEASE_v1.txt", "raw/edge.csv.gz", "raw/node-feat.csv.gz"])
def test_missing_file_is_named_and_nothing_downloaded(root, missing):
    (root / "ogbn_products" / missing).unlink()
    with pytest.raises(InputError, match=f"{missing} is missing: is this ogbn-products"):
        rg.from_ogb(root)
    assert (root / "ogbn_products").is_dir()


def test_folder_that_ogb_prefers_is_the_one_checked(root):
    (root / "ogbn_products_pyg").mkdir()
    with pytest.raises(InputError, match=r"ogbn_products_pyg.RELEASE_v1\.txt is missing"):
        rg.from_ogb(root)
    (root / "ogbn_products_pyg").rmdir()
    (root / "ogbn_products").rename(root / "ogbn_products_pyg")
    assert rg.from_ogb(root).num_nodes == NUM_NODES


@pytest.mark.parametrize(
    "content",
    [b"not gzip", gzip.compress(b"a,b\nc,d\n", mtime=0), b""],
    ids=["not gzip", "no numbers", "empty"],  # gzip writes the time, so its bytes are no name
)
def test_damaged_file_is_refused(root, content):
    (root / "ogbn_products" / "raw" / "edge.csv.gz").write_bytes(content)
    with pytest.raises(InputError, match=r"ogbn-products in .* cannot be read"):
        rg.from_ogb(root)


def test_edge_to_a_node_that_is_not_there_is_refused(root):
    _write(root / "ogbn_products" / "raw" / "edge.csv.gz", [*EDGES[:-1], (6, 8)])
    with pytest.raises(InputError, match=r"names nodes outside 0\.\.7"):
        rg.from_ogb(root)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (None, "no ids of the nodes"),
        ([("node idx", "asin"), (0, "B000000050"), (1, "B000000050")], "names an item twice"),
        ([("node idx", "asin"), (0, "B000000050"), (8, "B000000010")], r"outside 0\.\.7"),
        ([("node idx", "asin"), ("x", "B000000050")], "cannot be read"),
        ([("node idx",), (0,)], "cannot be read"),
        ([("node idx", "asin"), (0, "B1")], "no item of .* is in"),
    ],
)
def test_ids_that_cannot_be_used_are_refused(root, rows, message):
    path = root / "ogbn_products" / "mapping" / "nodeidx2asin.csv.gz"
    path.unlink()
    if rows is not None:
        _write(path, rows)
    with pytest.raises(InputError, match=message):
        rg.from_ogb(root, _log(["B000000050", "B000000010"]))


def test_without_ogb_the_message_says_what_to_install(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "ogb.nodeproppred", None)
    with pytest.raises(ImportError, match="from_ogb needs the package ogb: pip install ogb"):
        rg.from_ogb(root)


def test_globals_are_allowed_only_inside():
    from torch_geometric.data.storage import GlobalStorage

    with rg.ogb_globals():
        assert GlobalStorage in torch.serialization.get_safe_globals()
    assert GlobalStorage not in torch.serialization.get_safe_globals()


def test_ids_are_found_as_everywhere(root):
    """Whole numbers by their canonical texts; no other text is theirs."""
    texts = ["7", "08", "9.0", "10", "11", "+12", "x", "13"]
    mapping = [("node idx", "asin"), *enumerate(texts)]
    _write(root / "ogbn_products" / "mapping" / "nodeidx2asin.csv.gz", mapping)
    pattern = root / "run[1]"  # a name, not a pattern
    pattern.mkdir()
    (root / "ogbn_products").rename(pattern / "ogbn_products")
    for dtype in (pl.Int64, pl.Float64):
        frame = pl.DataFrame({"item": range(7, 14), "user": [0] * 7, "time": range(7)})
        log = rg.BehaviorLog.from_frame(frame.cast({"item": dtype}), "user", "item", "time")
        graph = rg.from_ogb(pattern, log)
        nodes = [0, None, None, 3, 4, None, 7]
        assert torch.equal(to_dense_adj(graph.edge_index, max_num_nodes=7)[0], _dense(nodes))
