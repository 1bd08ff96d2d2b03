"""The examples run, and what they train has learnt something."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch

FOLDER = Path(__file__).resolve().parents[2] / "examples"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["plain_pytorch", "pyg_lightgcn", "torch_rechub_din"])
def test_auc_above_chance(name: str) -> None:
    if name == "torch_rechub_din":
        pytest.importorskip("torch_rechub", reason="needs torch-rechub")
    found = load(name).main()
    assert "ResEmbedding" in found
    assert len(found) == 2
    for which, auc in found.items():
        assert 0.55 < auc < 1, which


def test_hit_rate_above_chance() -> None:
    found = load("sasrec").main()
    for which, rate in found.items():
        assert 2 * 10 / 120 < rate < 1, which


def test_rechub_padding_row() -> None:
    pytest.importorskip("torch_rechub", reason="needs torch-rechub")
    table = torch.nn.Embedding(5, 3)
    rows = load("torch_rechub_din").Padded(table)(torch.tensor([[0, 1, 5]]))
    expected = torch.cat([torch.zeros(1, 3), table.weight[[0, 4]]])
    assert torch.equal(rows, expected[None])


def test_every_example_is_tested() -> None:
    names = {path.stem for path in FOLDER.glob("*.py")}
    assert names == {"plain_pytorch", "pyg_lightgcn", "torch_rechub_din", "sasrec"}
