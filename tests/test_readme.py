"""The library examples of README run as they stand there, and it is short."""

import re
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from resemb_gnn import BehaviorLog, datasets

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_library_examples(log: BehaviorLog, monkeypatch: pytest.MonkeyPatch) -> None:
    example, own_loop = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    # The real one is read in seconds; a user of it waits for as long as training takes.
    monkeypatch.setattr(datasets, "read_complete_journey", lambda: log)
    names: dict[str, Any] = {}
    exec(example, names)
    assert 0.5 < names["result"].test.auc <= 1
    assert isinstance(names["table"], nn.Embedding)
    batch = names["split"].train.batch(names["split"].train.target.new_tensor([0, 1, 2]))
    names |= {"batch": batch, "labels": batch.label, "candidate_ids": batch.target}
    names["click_loss"] = nn.functional.binary_cross_entropy_with_logits
    exec(own_loop, names)
    names["loss"].backward()
    assert names["emb"].residual.grad.abs().sum() > 0


def test_it_can_be_read_in_three_minutes() -> None:
    assert README.count("\n") <= 130
