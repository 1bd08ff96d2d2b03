"""The examples run, and what they train has learnt something."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from resemb_gnn import BehaviorLog

FOLDER = Path(__file__).resolve().parents[2] / "examples"
BY_AUC = ("plain_pytorch", "pyg_lightgcn", "torch_rechub_din", "fuxictr_din")
NEEDS = {"torch_rechub_din": "torch_rechub", "fuxictr_din": "fuxictr", "recbole_sasrec": "recbole"}


@pytest.fixture(autouse=True)
def _beside_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a script is run: what lies in its folder can be imported."""
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.delitem(sys.modules, "padding", raising=False)


def load(name: str) -> ModuleType:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name], reason=f"needs {NEEDS[name]}")
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", BY_AUC)
def test_auc_above_chance(name: str) -> None:
    found = load(name).main()
    assert "ResEmbedding" in found
    assert len(found) == 2
    for which, auc in found.items():
        assert 0.55 < auc < 1, which


@pytest.mark.parametrize(("name", "num_items"), [("sasrec", 120), ("recbole_sasrec", 100)])
def test_hit_rate_above_chance(
    name: str, num_items: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "recbole_sasrec" and not hasattr(np, "float_"):
        pytest.skip("RecBole 1.2.1 does not start with NumPy 2")
    monkeypatch.chdir(tmp_path)  # RecBole logs there
    found = load(name).main()
    assert len(found) == 2
    for which, rate in found.items():
        assert 2 * 10 / num_items < rate < 1, which


def test_padding_row() -> None:
    table = torch.nn.Embedding(5, 3)
    rows = load("padding").Padded(table)(torch.tensor([[0, 1, 5]]))
    expected = torch.cat([torch.zeros(1, 3), table.weight[[0, 4]]])
    assert torch.equal(rows, expected[None])


def test_fuxictr_trains_the_swapped_embedding() -> None:
    """The same rows from its own table or behind the padding row give the same scores, and a step
    of its optimiser moves centres and residuals.
    """
    example = load("fuxictr_din")
    rg = example.rg
    split = rg.InterestDelayModel(num_users=40, num_items=30).sample().split(by="time")
    torch.manual_seed(0)
    model = example.make_model(30)
    layer = model.embedding_layer.embedding_layer.embedding_layers
    emb = rg.ResEmbedding(rg.covisit_graph(split.history), embedding_dim=16, num_centers=4)
    with torch.no_grad():
        layer["item"].weight[1:] = emb.materialize().weight
    order = torch.arange(len(split.test))
    before = model.predict(example.batches(split.test, order))
    example.swap(model, emb)
    after = model.predict(example.batches(split.test, order))
    assert before == pytest.approx(after, abs=1e-5)
    start = {name: value.clone() for name, value in emb.named_parameters()}
    model.train_epoch(example.batches(split.train, torch.arange(64)))
    for name, value in emb.named_parameters():
        assert not torch.equal(value, start[name]), name


def test_own_log_from_a_table_to_served_vectors(tmp_path: Path) -> None:
    example = load("own_log")
    example.synthetic_table(tmp_path / "shop.csv")
    found = example.main(["--data", str(tmp_path / "shop.csv"), "--epochs", "2"])
    assert 0.55 < found["auc"] < 1
    similar = found["similar"]
    assert len(similar) == 5
    assert similar["similarity"].is_sorted(descending=True)
    assert (found["served"] / "items.parquet").is_file()


def test_retail_log_is_as_a_shop_has_it(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    example = load("retail_log")
    rows = example.main(["--rows", "2000", "--out", str(path)])
    assert rows["user_id"].str.contains(r"^hh-\d+$").all()
    assert not rows["ts"].is_sorted()
    columns = {"user": "user_id", "item": "item_id", "time": "ts", "category": "category"}
    log = BehaviorLog.from_frame(path, **columns)
    assert log.num_behaviors == 2000
    whole = example.read_complete_journey()
    bought = set(zip(whole.users.tolist(), whole.items.tolist(), strict=True))
    user = {f"hh-{name}": number for number, name in enumerate(whole.user_ids)}
    item = {f"P-{name}": number for number, name in enumerate(whole.item_ids)}
    drawn = zip(log.users.tolist(), log.items.tolist(), strict=True)
    assert all((user[log.user_ids[u]], item[log.item_ids[i]]) in bought for u, i in drawn)


def test_compare_encoders() -> None:
    found = load("compare_encoders").main(["--epochs", "1"])
    assert {"nn.Embedding", "gcn", "gat", "average"} < found.keys()
    for values in found.values():
        assert len(values) == 1
        assert 0 < values[0] < 1


def test_theory() -> None:
    found = load("theory").main(["--users", "150", "--epochs", "4"])
    ours, table = found["ResEmbedding"], found["nn.Embedding"]
    assert ours["radius"] < table["radius"]
    assert ours["gap"] < table["gap"]
    assert 0 <= ours["nmi"] <= 1
    assert 1 <= ours["effective centres"] <= 6


def test_every_example_is_tested() -> None:
    names = {path.stem for path in FOLDER.glob("*.py")}
    others = {"sasrec", "padding", "own_log", "compare_encoders", "theory", "sharded_table"}
    others |= {"retail_log", "shop", "recbole_sasrec"}
    assert names == {*BY_AUC, *others}


def test_a_sharded_table_trains_as_a_whole_one() -> None:
    found = importlib.import_module("sharded_table").main()
    assert list(found) == ["nn.Embedding", "ResEmbedding"]
    for one in found.values():
        assert (one["rows"], one["rows a process"]) == (121, 61)
        assert max(one["loss"], one["table"], one["logits"]) < 1e-4


def test_features_bring_what_decides_the_click(tmp_path: Path) -> None:
    found = load("shop").main(["--rows", "3000", "--epochs", "2", "--out", str(tmp_path)])
    assert found["with features"] > found["ids alone"] + 0.05
    assert (tmp_path / "users.csv").is_file()
