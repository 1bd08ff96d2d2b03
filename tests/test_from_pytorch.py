"""docs/from-pytorch.md: what stands there runs as it stands there."""

import re
from pathlib import Path
from typing import Any

import torch
from torch import nn

PAGE = Path(__file__).parents[1] / "docs/from-pytorch.md"


def test_the_same_model_and_loop_train_either_table() -> None:
    there, here = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    names: dict[str, Any] = {}
    exec(there, names)
    assert "resemb_gnn" not in there
    start = nn.functional.binary_cross_entropy_with_logits(torch.zeros(5), names["label"]).item()
    torch.manual_seed(0)
    exec(here.replace("train(", "loss = train("), names)
    assert names["loss"] < start
    assert names["log"].item_ids.to_list() == list(range(names["num_items"]))
    rows = names["items"](torch.arange(names["num_items"]))
    torch.testing.assert_close(names["table"].weight, rows)
