"""Every row trains, for so many epochs, and none is held out."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import resemb_gnn as rg
from resemb_gnn import InputError, cli
from resemb_gnn.graph import edge_list
from resemb_gnn.training import Epoch
from tests.shop import read_shop, shop_flags, shop_settings

SMALL = ["--epochs", "2", "--folds", "2", "--embedding-dim", "4", "--quiet"]


def flags(shop: Path) -> list[str]:
    given = shop_flags(shop)
    at = given.index("--split")
    return [*given[:at], *given[at + 2 :]]


def test_every_row_is_trained_on(
    later_shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "model"
    assert cli.main(["fit", *flags(later_shop), "--no-test", "--out", str(out), *SMALL]) == 0
    assert "every row trained, and none was left to score" in capsys.readouterr().out
    trained, log = rg.load(out), read_shop(later_shop)
    data, figures = trained.facts["data"], trained.facts["figures"]
    assert data["train_examples"] == log.num_behaviors
    assert (data["valid_examples"], data["test_examples"]) == (0, 0)
    assert figures["best_epoch"] == figures["epochs"] == 2
    every = edge_list(rg.covisit_graph(log))
    for found, expected in zip(edge_list(trained.graph), every, strict=True):
        assert torch.equal(found, expected)
    assert "Every row trained, for 2 epochs" in (out / "README.md").read_text()
    assert cli.main(["evaluate", "--model", str(out)]) == 2
    assert "was trained on every row of its data: name a later log" in capsys.readouterr().err
    same = ["--data", str(later_shop / "log.csv"), "--items", str(later_shop / "items.csv")]
    same += ["--users", str(later_shop / "users.csv")]
    assert cli.main(["evaluate", "--model", str(out), *same]) == 2
    later = ["--data", str(later_shop / "later.csv"), "--quiet"]
    assert cli.main(["evaluate", "--model", str(out), *later]) == 0
    updated = tmp_path / "updated"
    assert cli.main(["update", "--model", str(out), *later, "--out", str(updated)]) == 0
    assert rg.load(updated).facts["figures"]["test"]["auc"] > 0
    assert cli.main(["evaluate", "--model", str(updated)]) == 2


def test_the_last_epoch_is_kept(log: rg.BehaviorLog) -> None:
    model = rg.DIN(nn.Embedding(log.num_items, 4))
    states: list[dict[str, Tensor]] = []

    def keep(number: int, epoch: Epoch) -> None:
        states.append({name: value.clone() for name, value in model.state_dict().items()})

    result = rg.fit(
        model, log.split(by="none"), epochs=3, patience=1, progress=False, on_epoch=keep
    )
    assert (result.best_epoch, len(result.curve)) == (3, 3)
    for name, value in model.state_dict().items():
        assert torch.equal(value, states[-1][name]), name
    assert not torch.equal(states[0]["embedding.weight"], states[-1]["embedding.weight"])


@pytest.mark.parametrize("option", [{"split": "time"}, {"test_from": "5", "split": None}])
def test_points_of_a_split_are_refused(later_shop: Path, option: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"without a test \(--no-test\) every row trains"):
        rg.train(**shop_settings(later_shop) | {"test": False} | option)
